"""Routes that bring another registry's content here as it was; `lastgood import` is their client.

Bodies are decoded by msgspec: they are large, and hold NaN and infinities, which JSON has no numbers
for, as the strings that MLflow uses for them.
"""

from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from lastgood.api.limits import check_json, headers_of
from lastgood.api.native.replies import reply
from lastgood.api.native.requests import Calling
from lastgood.core.exchange import (
    Asked,
    Found,
    ImportedFile,
    ImportedModel,
    ImportedVersion,
    RunRecord,
    Series,
)
from lastgood.core.tracking import Experiment, LoggedModel
from lastgood.engine.importing import Importing
from lastgood.engine.importing.registry import RegistryImport
from lastgood.engine.importing.tracking import TrackingImport
from lastgood.errors import InvalidInput, TooLarge

__all__ = ["importing_routes"]

T = TypeVar("T")
REASON_LENGTH_MAX = 1000


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """What all bodies have in common: a misspelt field is refused."""


class _Experiments(_Body):
    experiments: list[Experiment]


class _Ids(_Body):
    ids: list[str]


class _Points(_Body):
    series: list[Series]


class _Runs(_Body):
    runs: list[RunRecord]


class _LoggedModels(_Body):
    models: list[LoggedModel]


class _Files(_Body):
    files: list[ImportedFile]


class _Models(_Body):
    models: list[ImportedModel]
    reason: str = ""


class _Versions(_Body):
    versions: list[ImportedVersion]
    reason: str = ""


async def _raw(request: Request) -> bytes:
    check_json(request.method, headers_of(request.scope))
    return await request.body()


_Raw = Annotated[bytes, Depends(_raw)]


def _read(body: bytes, kind: type[T]) -> T:
    """The body as that type.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"The body cannot be read: {error}") from error


def _reason(text: str) -> str:
    if len(text) > REASON_LENGTH_MAX:
        raise TooLarge(f"A reason may have {REASON_LENGTH_MAX:,} characters here")
    return text


def _described(*fields: str) -> dict[str, Any]:
    """The body for OpenAPI: its fields are the classes of `lastgood.core.exchange`."""
    properties = {field: {"type": "array"} for field in fields}
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def importing_routes(importing: Importing) -> APIRouter:
    """All may be repeated: what is here already is left as it is."""
    routes = APIRouter(prefix="/import", tags=["import"])
    _tracking(routes, importing.tracking)
    _registry(routes, importing.registry)

    @routes.post("/digests", response_model=Found, openapi_extra=_described("runs", "histories"))
    def digests(body: _Raw) -> Response:
        """Digests of what is here, to be compared with what is elsewhere. Changes nothing."""
        return reply(importing.checking.digests(_read(body, Asked)))

    return routes


def _tracking(routes: APIRouter, tracking: TrackingImport) -> None:
    @routes.post("/experiments", response_model=list[int], openapi_extra=_described("experiments"))
    def experiments(body: _Raw) -> Response:
        """Make experiments; the ids that they have here."""
        return reply(tracking.experiments(_read(body, _Experiments).experiments))

    @routes.post("/points", status_code=204, openapi_extra=_described("series"))
    def points(body: _Raw) -> Response:
        """Histories of metrics, before the runs that they belong to."""
        tracking.points(_read(body, _Points).series)
        return Response(status_code=204)

    @routes.post("/runs", response_model=int, openapi_extra=_described("runs"))
    def runs(body: _Raw) -> Response:
        """Runs with all that was logged to them; how many were new."""
        return reply(tracking.runs(_read(body, _Runs).runs))

    @routes.post("/runs/known", response_model=list[str], openapi_extra=_described("ids"))
    def known_runs(body: _Raw) -> Response:
        """Those of the runs that are here already."""
        return reply(tracking.known_runs(_read(body, _Ids).ids))

    @routes.post("/logged-models", response_model=int, openapi_extra=_described("models"))
    def logged_models(body: _Raw) -> Response:
        """Logged models; how many were new."""
        return reply(tracking.logged_models(_read(body, _LoggedModels).models))

    @routes.post("/logged-models/known", response_model=list[str], openapi_extra=_described("ids"))
    def known_logged_models(body: _Raw) -> Response:
        """Those of the logged models that are here already."""
        return reply(tracking.known_logged_models(_read(body, _Ids).ids))

    @routes.post("/files", status_code=204, openapi_extra=_described("files"))
    def files(body: _Raw) -> Response:
        """Artifacts of runs and logged models, whose objects were sent before."""
        tracking.files(_read(body, _Files).files)
        return Response(status_code=204)


def _registry(routes: APIRouter, registry: RegistryImport) -> None:
    @routes.post("/models", response_model=int, openapi_extra=_described("models"))
    def models(body: _Raw, caller: Calling) -> Response:
        """Registered models, without versions and aliases; how many operations that took."""
        sent = _read(body, _Models)
        return reply(registry.models(sent.models, caller=caller, reason=_reason(sent.reason)))

    @routes.post("/models/numbers", response_model=list[int], openapi_extra=_described("ids"))
    def numbers(body: _Raw) -> Response:
        """The highest version number ever given under each name, also to a version that was deleted."""
        return reply(registry.numbers_used(_read(body, _Ids).ids))

    @routes.post("/versions", response_model=int, openapi_extra=_described("versions"))
    def versions(body: _Raw, caller: Calling) -> Response:
        """Versions under the numbers they had; how many were new."""
        sent = _read(body, _Versions)
        return reply(registry.versions(sent.versions, caller=caller, reason=_reason(sent.reason)))

    @routes.post("/aliases", response_model=int, openapi_extra=_described("models"))
    def aliases(body: _Raw, caller: Calling) -> Response:
        """Aliases, and the refs that stages are; how many operations that took."""
        sent = _read(body, _Models)
        return reply(registry.aliases(sent.models, caller=caller, reason=_reason(sent.reason)))

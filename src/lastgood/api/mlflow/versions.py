"""MLflow's calls on model versions and stages: translation only."""

from functools import partial

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.mlflow.arrivals import done
from lastgood.api.mlflow.artifacts import download
from lastgood.api.mlflow.callers import caller_of
from lastgood.api.mlflow.guarding import checked_if_guarded
from lastgood.api.mlflow.registry_shapes import VersionReply, VersionShape, version_shape
from lastgood.api.mlflow.shapes import KeyValue, pairs_of
from lastgood.api.mlflow.wire import (
    Handler,
    Int64,
    MlflowRequest,
    decode,
    empty_reply,
    invalid_value,
    reply,
)
from lastgood.core.ids import parse_version_number
from lastgood.core.stages import stage_named
from lastgood.engine.artifacts import folder_of_uri
from lastgood.engine.catalogue import CatalogueQuery, NewVersion, VersionEntry
from lastgood.engine.sources import SourceClaim, is_elsewhere
from lastgood.errors import NotFound

__all__ = ["ROOT_ROUTES", "ROUTES"]

VERSIONS_MAX = 200_000  # in one answer; MLflow's limit, and what its server does when none is given
PROMPT_TAG = "mlflow.prompt.is_prompt"


class _Create(msgspec.Struct):
    name: str
    source: str
    run_id: str = ""
    model_id: str = ""
    run_link: str = ""
    description: str = ""
    tags: list[KeyValue] = []


class _Version(msgspec.Struct):
    name: str
    version: str


class _Describe(msgspec.Struct):
    name: str
    version: str
    description: str = ""


class _Transition(msgspec.Struct):
    name: str
    version: str
    stage: str
    archive_existing_versions: bool = False


class _Search(msgspec.Struct):
    filter: str = ""
    max_results: Int64 = VERSIONS_MAX
    order_by: list[str] = []
    page_token: str = ""


class _Found(msgspec.Struct, omit_defaults=True):
    model_versions: list[VersionShape] = []
    next_page_token: str = ""


class _SetTag(msgspec.Struct):
    name: str
    version: str
    key: str
    value: str = ""


class _DeleteTag(msgspec.Struct):
    name: str
    version: str
    key: str


class _ArtifactUri(msgspec.Struct):
    artifact_uri: str


async def create(request: MlflowRequest) -> Response:
    """Register what the source names as the next version."""
    sent = decode(request, _Create)
    catalogue, caller = request.services.catalogue, caller_of(request)
    tags = pairs_of(sent.tags)
    new = NewVersion(
        model=sent.name,
        claim=SourceClaim(
            source=sent.source,
            run_id=sent.run_id,
            logged_model_id=sent.model_id,
            own_host=request.header(b"host"),
            placeholder=tags.get(PROMPT_TAG, "").lower() == "true",
        ),
        description=sent.description,
        run_link=sent.run_link,
        tags=tags,
    )
    prepare = partial(catalogue.prepare_version, new, program=caller.origin.program)
    # A thread is for reading files; where there are none it costs more than all the rest.
    prepared = prepare() if is_elsewhere(new.claim) else await run_in_threadpool(prepare)
    return _version(await done(catalogue.register_version(prepared, caller=caller)))


async def get(request: MlflowRequest) -> Response:
    """One version."""
    sent = decode(request, _Version)
    number = parse_version_number(sent.version)
    return _version(request.services.catalogue.version(sent.name, number))


async def update(request: MlflowRequest) -> Response:
    """Describe a version."""
    sent = decode(request, _Describe)
    number = parse_version_number(sent.version)
    catalogue = request.services.catalogue
    described = catalogue.describe_version(
        sent.name, number, sent.description, caller=caller_of(request)
    )
    return _version(await done(described))


async def delete(request: MlflowRequest) -> Response:
    """Take a version from view."""
    sent = decode(request, _Version)
    number = parse_version_number(sent.version)
    catalogue = request.services.catalogue
    await done(catalogue.delete_version(sent.name, number, caller=caller_of(request)))
    return empty_reply()


async def transition(request: MlflowRequest) -> Response:
    """Move a version to a stage."""
    sent = decode(request, _Transition)
    number, stage = parse_version_number(sent.version), stage_named(sent.stage)
    catalogue = request.services.catalogue
    move = partial(
        catalogue.transition,
        sent.name,
        number,
        to=stage,
        archive_existing=sent.archive_existing_versions,
        caller=caller_of(request),
    )
    check = partial(catalogue.check_bytes, sent.name, number)
    return _version(await checked_if_guarded(move, check=check))


async def search(request: MlflowRequest) -> Response:
    """Versions that match."""
    sent = decode(request, _Search)
    if not 1 <= sent.max_results <= VERSIONS_MAX:
        raise invalid_value(
            "max_results", sent.max_results, why=f"It must be from 1 to {VERSIONS_MAX}"
        )
    query = CatalogueQuery(
        filter=sent.filter,
        order_by=sent.order_by,
        results_max=sent.max_results,
        token=sent.page_token,
    )

    def find() -> Response:
        page = request.services.catalogue.search_versions(query)
        return reply(_Found([version_shape(entry) for entry in page.items], page.token))

    return await run_in_threadpool(find)


async def download_uri(request: MlflowRequest) -> Response:
    """Where the bytes of a version are."""
    sent = decode(request, _Version)
    number = parse_version_number(sent.version)
    return reply(_ArtifactUri(request.services.catalogue.download_uri(sent.name, number)))


async def set_tag(request: MlflowRequest) -> Response:
    """Set a tag of a version."""
    sent = decode(request, _SetTag)
    return await _tag(request, _Version(sent.name, sent.version), sent.key, sent.value)


async def delete_tag(request: MlflowRequest) -> Response:
    """Remove a tag of a version; none of that name is no error."""
    sent = decode(request, _DeleteTag)
    return await _tag(request, _Version(sent.name, sent.version), sent.key, None)


async def download_file(request: MlflowRequest) -> Response:
    """Send a file of a version, as the user interface asks for it."""
    sent = decode(request, _Version)
    number = parse_version_number(sent.version)
    uri = request.services.catalogue.download_uri(sent.name, number)
    folder = folder_of_uri(uri)
    if folder is None:
        raise NotFound(f"The files of {sent.name}/{number} are not here but at {uri}")
    request.path_params = {"path": f"{folder}/{request.query_value('path')}"}
    return await download(request)


async def _tag(request: MlflowRequest, of: _Version, key: str, value: str | None) -> Response:
    number = parse_version_number(of.version)
    catalogue = request.services.catalogue
    await done(catalogue.tag_version(of.name, number, key, value, caller=caller_of(request)))
    return empty_reply()


def _version(entry: VersionEntry) -> Response:
    return reply(VersionReply(version_shape(entry)))


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/model-versions/create"): create,
    ("GET", "/model-versions/get"): get,
    ("PATCH", "/model-versions/update"): update,
    ("DELETE", "/model-versions/delete"): delete,
    ("POST", "/model-versions/transition-stage"): transition,
    ("GET", "/model-versions/search"): search,
    ("GET", "/model-versions/get-download-uri"): download_uri,
    ("POST", "/model-versions/set-tag"): set_tag,
    ("DELETE", "/model-versions/delete-tag"): delete_tag,
}
"""Paths relative to ``/api/2.0/mlflow``."""

ROOT_ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/model-versions/get-artifact"): download_file,
}
"""Full paths."""

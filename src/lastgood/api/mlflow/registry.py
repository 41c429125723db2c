"""MLflow's calls on registered models and their aliases: translation only."""

from functools import partial

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.mlflow.arrivals import done
from lastgood.api.mlflow.callers import caller_of
from lastgood.api.mlflow.guarding import checked_if_guarded
from lastgood.api.mlflow.registry_shapes import (
    ModelReply,
    ModelShape,
    VersionReply,
    VersionShape,
    model_shape,
    version_shape,
)
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
from lastgood.engine.catalogue import CatalogueQuery

__all__ = ["ROUTES"]

MODELS_MAX = 1000  # in one answer


class _Named(msgspec.Struct):
    name: str


class _Create(msgspec.Struct):
    name: str
    description: str = ""
    tags: list[KeyValue] = []


class _Rename(msgspec.Struct):
    name: str
    new_name: str


class _Describe(msgspec.Struct):
    name: str
    description: str = ""


class _SetTag(msgspec.Struct):
    name: str
    key: str
    value: str = ""


class _DeleteTag(msgspec.Struct):
    name: str
    key: str


class _Search(msgspec.Struct):
    filter: str = ""
    max_results: Int64 = 100
    order_by: list[str] = []
    page_token: str = ""


class _Found(msgspec.Struct, omit_defaults=True):
    registered_models: list[ModelShape] = []
    next_page_token: str = ""


class _Latest(msgspec.Struct):
    name: str
    stages: list[str] = []


class _Versions(msgspec.Struct, omit_defaults=True):
    model_versions: list[VersionShape] = []


class _SetAlias(msgspec.Struct):
    name: str
    alias: str
    version: str


class _Alias(msgspec.Struct):
    name: str
    alias: str


async def create(request: MlflowRequest) -> Response:
    """Make a model."""
    sent = decode(request, _Create)
    catalogue = request.services.catalogue
    tags = pairs_of(sent.tags)
    await done(
        catalogue.create_model(
            sent.name, description=sent.description, tags=tags, caller=caller_of(request)
        )
    )
    return _model(request, sent.name)


async def get(request: MlflowRequest) -> Response:
    """A model with its aliases and the newest version of each stage."""
    return _model(request, decode(request, _Named).name)


async def rename(request: MlflowRequest) -> Response:
    """Give a model another name."""
    sent = decode(request, _Rename)
    catalogue = request.services.catalogue
    await done(catalogue.rename_model(sent.name, to=sent.new_name, caller=caller_of(request)))
    return _model(request, sent.new_name)


async def update(request: MlflowRequest) -> Response:
    """Describe a model."""
    sent = decode(request, _Describe)
    catalogue = request.services.catalogue
    await done(catalogue.describe_model(sent.name, sent.description, caller=caller_of(request)))
    return _model(request, sent.name)


async def delete(request: MlflowRequest) -> Response:
    """Take a model from view."""
    sent = decode(request, _Named)
    await done(request.services.catalogue.delete_model(sent.name, caller=caller_of(request)))
    return empty_reply()


async def search(request: MlflowRequest) -> Response:
    """Models that match."""
    sent = decode(request, _Search)
    if not 1 <= sent.max_results <= MODELS_MAX:
        raise invalid_value(
            "max_results", sent.max_results, why=f"It must be from 1 to {MODELS_MAX}"
        )
    query = CatalogueQuery(
        filter=sent.filter,
        order_by=sent.order_by,
        results_max=sent.max_results,
        token=sent.page_token,
    )

    def find() -> Response:
        page = request.services.catalogue.search_models(query)
        return reply(_Found([model_shape(entry) for entry in page.items], page.token))

    return await run_in_threadpool(find)


async def set_tag(request: MlflowRequest) -> Response:
    """Set a tag of a model."""
    sent = decode(request, _SetTag)
    catalogue = request.services.catalogue
    await done(catalogue.tag_model(sent.name, sent.key, sent.value, caller=caller_of(request)))
    return empty_reply()


async def delete_tag(request: MlflowRequest) -> Response:
    """Remove a tag of a model; none of that name is no error."""
    sent = decode(request, _DeleteTag)
    catalogue = request.services.catalogue
    await done(catalogue.tag_model(sent.name, sent.key, None, caller=caller_of(request)))
    return empty_reply()


async def latest_versions(request: MlflowRequest) -> Response:
    """The newest version of each stage asked for."""
    sent = decode(request, _Latest)
    stages = [stage_named(text) for text in sent.stages]
    entries = request.services.catalogue.latest_versions(sent.name, stages)
    return reply(_Versions([version_shape(entry) for entry in entries]))


async def set_alias(request: MlflowRequest) -> Response:
    """Point an alias at a version."""
    sent = decode(request, _SetAlias)
    catalogue = request.services.catalogue
    number = parse_version_number(sent.version)
    move = partial(catalogue.set_alias, sent.name, sent.alias, number, caller=caller_of(request))
    check = partial(catalogue.check_bytes, sent.name, number)
    await checked_if_guarded(move, check=check)
    return empty_reply()


async def get_by_alias(request: MlflowRequest) -> Response:
    """The version that an alias names."""
    sent = decode(request, _Alias)
    entry = request.services.catalogue.version_by_alias(sent.name, sent.alias)
    return reply(VersionReply(version_shape(entry)))


async def delete_alias(request: MlflowRequest) -> Response:
    """Remove an alias; none of that name is no error."""
    sent = decode(request, _Alias)
    catalogue = request.services.catalogue
    await done(catalogue.delete_alias(sent.name, sent.alias, caller=caller_of(request)))
    return empty_reply()


def _model(request: MlflowRequest, name: str) -> Response:
    return reply(ModelReply(model_shape(request.services.catalogue.model(name))))


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/registered-models/create"): create,
    ("GET", "/registered-models/get"): get,
    ("POST", "/registered-models/rename"): rename,
    ("PATCH", "/registered-models/update"): update,
    ("DELETE", "/registered-models/delete"): delete,
    ("GET", "/registered-models/search"): search,
    ("POST", "/registered-models/set-tag"): set_tag,
    ("DELETE", "/registered-models/delete-tag"): delete_tag,
    ("POST", "/registered-models/get-latest-versions"): latest_versions,
    ("GET", "/registered-models/get-latest-versions"): latest_versions,
    ("POST", "/registered-models/alias"): set_alias,
    ("GET", "/registered-models/alias"): get_by_alias,
    ("DELETE", "/registered-models/alias"): delete_alias,
}
"""Paths relative to ``/api/2.0/mlflow``."""

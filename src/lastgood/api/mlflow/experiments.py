"""MLflow's calls on experiments."""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.mlflow.arrivals import done
from lastgood.api.mlflow.shapes import ExperimentShape, KeyValue, experiment_shape, pairs_of
from lastgood.api.mlflow.wire import (
    Handler,
    Int64,
    MlflowRequest,
    decode,
    empty_reply,
    enum_name,
    reply,
)
from lastgood.engine.tracking.searches import VIEWS, Query

__all__ = ["ROUTES", "VIEW_NAMES"]

VIEW_NAMES = dict(enumerate(VIEWS, start=1))


class _ById(msgspec.Struct):
    experiment_id: str


class _ByName(msgspec.Struct):
    experiment_name: str


class _Create(msgspec.Struct):
    name: str
    artifact_location: str = ""
    tags: list[KeyValue] = []


class _Rename(msgspec.Struct):
    experiment_id: str
    new_name: str


class _SetTag(msgspec.Struct):
    experiment_id: str
    key: str
    value: str = ""


class _DeleteTag(msgspec.Struct):
    experiment_id: str
    key: str


class _Search(msgspec.Struct):
    max_results: Int64 = 0
    view_type: str | int = "ACTIVE_ONLY"
    filter: str = ""
    order_by: list[str] = []
    page_token: str = ""


class _Created(msgspec.Struct):
    experiment_id: str


class _One(msgspec.Struct):
    experiment: ExperimentShape


class _Found(msgspec.Struct, omit_defaults=True):
    experiments: list[ExperimentShape] = []
    next_page_token: str = ""


async def create(request: MlflowRequest) -> Response:
    """Make an experiment."""
    sent = decode(request, _Create)
    future = request.services.tracking.experiments.create(
        sent.name, artifact_location=sent.artifact_location, tags=pairs_of(sent.tags)
    )
    return reply(_Created(str((await done(future)).id)))


async def get(request: MlflowRequest) -> Response:
    """One experiment by id."""
    sent = decode(request, _ById)
    return reply(
        _One(experiment_shape(request.services.tracking.experiments.get(sent.experiment_id)))
    )


async def get_by_name(request: MlflowRequest) -> Response:
    """One experiment by name."""
    sent = decode(request, _ByName)
    found = request.services.tracking.experiments.named(sent.experiment_name)
    return reply(_One(experiment_shape(found)))


async def search(request: MlflowRequest) -> Response:
    """Experiments that match a filter."""
    sent = decode(request, _Search)
    query = Query(
        filter=sent.filter,
        order_by=sent.order_by,
        view=enum_name(sent.view_type, VIEW_NAMES, parameter="view_type"),
        results_max=sent.max_results,
        token=sent.page_token,
    )
    page = await run_in_threadpool(request.services.tracking.searches.experiments, query)
    return reply(_Found([experiment_shape(one) for one in page.items], page.token))


async def update(request: MlflowRequest) -> Response:
    """Rename an experiment."""
    sent = decode(request, _Rename)
    await done(request.services.tracking.experiments.rename(sent.experiment_id, sent.new_name))
    return empty_reply()


async def delete(request: MlflowRequest) -> Response:
    """Hide an experiment and its runs."""
    await done(request.services.tracking.experiments.delete(decode(request, _ById).experiment_id))
    return empty_reply()


async def restore(request: MlflowRequest) -> Response:
    """Bring an experiment and its runs back."""
    await done(request.services.tracking.experiments.restore(decode(request, _ById).experiment_id))
    return empty_reply()


async def set_tag(request: MlflowRequest) -> Response:
    """Set a tag of an experiment."""
    sent = decode(request, _SetTag)
    await done(
        request.services.tracking.experiments.set_tag(sent.experiment_id, sent.key, sent.value)
    )
    return empty_reply()


async def delete_tag(request: MlflowRequest) -> Response:
    """Delete a tag of an experiment."""
    sent = decode(request, _DeleteTag)
    await done(request.services.tracking.experiments.delete_tag(sent.experiment_id, sent.key))
    return empty_reply()


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/experiments/create"): create,
    ("GET", "/experiments/get"): get,
    ("GET", "/experiments/get-by-name"): get_by_name,
    ("GET", "/experiments/search"): search,
    ("POST", "/experiments/search"): search,
    ("POST", "/experiments/update"): update,
    ("POST", "/experiments/delete"): delete,
    ("POST", "/experiments/restore"): restore,
    ("POST", "/experiments/set-experiment-tag"): set_tag,
    ("POST", "/experiments/delete-experiment-tag"): delete_tag,
}

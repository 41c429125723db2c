"""MLflow's calls on runs, their parameters, tags, inputs and outputs."""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.mlflow.arrivals import done
from lastgood.api.mlflow.experiments import VIEW_NAMES
from lastgood.api.mlflow.shapes import (
    DatasetInputShape,
    KeyValue,
    ModelLinkShape,
    OfRun,
    RunInfoShape,
    RunShape,
    dataset_input_of,
    pairs_of,
    run_info_shape,
    run_shape,
)
from lastgood.api.mlflow.wire import (
    Handler,
    Int64,
    JsonReply,
    MlflowRequest,
    decode,
    empty_reply,
    enum_name,
    reply,
)
from lastgood.core.tracking import ModelLink
from lastgood.engine.tracking.runs import STATUSES, NewRun, RunUpdate
from lastgood.engine.tracking.searches import Page, Query

__all__ = ["ROUTES"]

SEARCH_RESULTS_DEFAULT = 1000
_STATUS_NAMES = dict(enumerate(STATUSES, start=1))


class _Create(msgspec.Struct):
    experiment_id: str = "0"
    user_id: str = ""
    run_name: str = ""
    start_time: Int64 | None = None
    tags: list[KeyValue] = []


class _Update(OfRun, kw_only=True):
    status: str | int | None = None
    end_time: Int64 | None = None
    run_name: str = ""


class _Search(msgspec.Struct):
    experiment_ids: list[str] = []
    filter: str = ""
    run_view_type: str | int = "ACTIVE_ONLY"
    max_results: Int64 = SEARCH_RESULTS_DEFAULT
    order_by: list[str] = []
    page_token: str = ""


class _LogParam(OfRun, kw_only=True):
    key: str
    value: str = ""


class _DeleteTag(OfRun, kw_only=True):
    key: str


class _LogModel(OfRun, kw_only=True):
    model_json: str


class _LogInputs(OfRun, kw_only=True):
    datasets: list[DatasetInputShape] = msgspec.field(default_factory=list)
    models: list[ModelLinkShape] = msgspec.field(default_factory=list)


class _LogOutputs(OfRun, kw_only=True):
    models: list[ModelLinkShape]


class _One(msgspec.Struct):
    run: RunShape


class _Updated(msgspec.Struct):
    run_info: RunInfoShape


class _Found(msgspec.Struct, omit_defaults=True):
    runs: list[msgspec.Raw] = []
    next_page_token: str = ""


async def create(request: MlflowRequest) -> Response:
    """Make a run."""
    sent = decode(request, _Create)
    new = NewRun(
        experiment_id=sent.experiment_id,
        name=sent.run_name,
        user_id=sent.user_id,
        start_ms=sent.start_time,
        tags=pairs_of(sent.tags),
    )
    run, facts = await done(request.services.tracking.runs.create(new))
    return reply(_One(run_shape(run, facts)))


async def get(request: MlflowRequest) -> Response:
    """One run with what was logged to it."""
    run_id, tracking = decode(request, OfRun).id, request.services.tracking
    document = tracking.searches.run_at_once(run_id, request.services.run_documents)
    if document is not None:
        return JsonReply(b'{"run":' + document + b"}")
    run, facts = tracking.runs.get(run_id)
    return reply(_One(run_shape(run, facts)))


async def update(request: MlflowRequest) -> Response:
    """Change status, end or name of a run."""
    sent = decode(request, _Update)
    status = sent.status
    change = RunUpdate(
        status=None if status is None else enum_name(status, _STATUS_NAMES, parameter="status"),
        end_ms=sent.end_time,
        name=sent.run_name or None,
    )
    run = await done(request.services.tracking.runs.update(sent.id, change))
    return reply(_Updated(run_info_shape(run)))


async def search(request: MlflowRequest) -> Response:
    """Runs that match a filter."""
    sent = decode(request, _Search)
    query = Query(
        filter=sent.filter,
        order_by=sent.order_by,
        view=enum_name(sent.run_view_type, VIEW_NAMES, parameter="run_view_type"),
        results_max=sent.max_results,
        token=sent.page_token,
    )
    searches = request.services.tracking.searches
    asked = (sent.experiment_ids, query, request.services.run_documents)
    if (page := searches.runs_at_once(*asked)) is not None:
        return _found(page)
    return await run_in_threadpool(lambda: _found(searches.runs(*asked)))


def _found(page: Page[bytes]) -> Response:
    return reply(_Found(list(map(msgspec.Raw, page.items)), page.token))


async def delete(request: MlflowRequest) -> Response:
    """Hide a run."""
    await done(request.services.tracking.runs.delete(decode(request, OfRun).id))
    return empty_reply()


async def restore(request: MlflowRequest) -> Response:
    """Bring a run back."""
    await done(request.services.tracking.runs.restore(decode(request, OfRun).id))
    return empty_reply()


async def log_param(request: MlflowRequest) -> Response:
    """Store a parameter."""
    sent = decode(request, _LogParam)
    await done(request.services.tracking.evidence.log_param(sent.id, sent.key, sent.value))
    return empty_reply()


async def set_tag(request: MlflowRequest) -> Response:
    """Set a tag of a run."""
    sent = decode(request, _LogParam)
    await done(request.services.tracking.evidence.set_tag(sent.id, sent.key, sent.value))
    return empty_reply()


async def delete_tag(request: MlflowRequest) -> Response:
    """Delete a tag of a run."""
    sent = decode(request, _DeleteTag)
    await done(request.services.tracking.runs.delete_tag(sent.id, sent.key))
    return empty_reply()


async def log_model(request: MlflowRequest) -> Response:
    """Remember that the run wrote a model, as MLflow 2 clients say it."""
    sent = decode(request, _LogModel)
    await done(request.services.tracking.evidence.record_model(sent.id, sent.model_json))
    return empty_reply()


async def log_inputs(request: MlflowRequest) -> Response:
    """Link datasets and models that went into the run."""
    sent = decode(request, _LogInputs)
    future = request.services.tracking.evidence.log_inputs(
        sent.id,
        datasets=[dataset_input_of(one) for one in sent.datasets],
        models=[ModelLink(one.model_id) for one in sent.models],
    )
    await done(future)
    return empty_reply()


async def log_outputs(request: MlflowRequest) -> Response:
    """Link logged models that came out of the run."""
    sent = decode(request, _LogOutputs)
    links = [ModelLink(one.model_id, one.step) for one in sent.models]
    await done(request.services.tracking.evidence.log_outputs(sent.id, links))
    return empty_reply()


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/runs/create"): create,
    ("GET", "/runs/get"): get,
    ("POST", "/runs/update"): update,
    ("POST", "/runs/search"): search,
    ("POST", "/runs/delete"): delete,
    ("POST", "/runs/restore"): restore,
    ("POST", "/runs/log-parameter"): log_param,
    ("POST", "/runs/set-tag"): set_tag,
    ("POST", "/runs/delete-tag"): delete_tag,
    ("POST", "/runs/log-model"): log_model,
    ("POST", "/runs/log-inputs"): log_inputs,
    ("POST", "/runs/outputs"): log_outputs,
}

"""MLflow 3's calls on logged models."""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.mlflow.arrivals import done
from lastgood.api.mlflow.shapes import KeyValue, number, pairs_of, shown_pairs
from lastgood.api.mlflow.wire import (
    Handler,
    Int64,
    MlflowRequest,
    decode,
    empty_reply,
    enum_name,
    reply,
)
from lastgood.core.tracking import LoggedModel
from lastgood.engine.tracking.logged_models import STATUSES, NewModel
from lastgood.engine.tracking.searches import DatasetFilter, ModelOrder, ModelQuery

__all__ = ["ROUTES"]

SEARCH_RESULTS_DEFAULT = 50
_STATUS_NAMES = dict(enumerate(STATUSES))


class _Create(msgspec.Struct):
    experiment_id: str
    name: str = ""
    model_type: str = ""
    source_run_id: str = ""
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class _Finalize(msgspec.Struct):
    status: str | int


class _Tags(msgspec.Struct):
    tags: list[KeyValue] = []


class _Params(msgspec.Struct):
    params: list[KeyValue] = []


class _Dataset(msgspec.Struct):
    dataset_name: str
    dataset_digest: str = ""


class _Order(msgspec.Struct):
    field_name: str
    ascending: bool = True
    dataset_name: str = ""
    dataset_digest: str = ""


class _Search(msgspec.Struct):
    experiment_ids: list[str]
    filter: str = ""
    datasets: list[_Dataset] = []
    max_results: Int64 = SEARCH_RESULTS_DEFAULT
    order_by: list[_Order] = []
    page_token: str = ""


class _Info(msgspec.Struct, omit_defaults=True):
    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    model_type: str
    source_run_id: str
    status_message: str = ""
    tags: list[KeyValue] = []


class _Metric(msgspec.Struct, omit_defaults=True):
    key: str
    value: float | str
    timestamp: int
    step: int
    model_id: str
    run_id: str
    dataset_name: str = ""
    dataset_digest: str = ""


class _Data(msgspec.Struct, omit_defaults=True):
    params: list[KeyValue] = []
    metrics: list[_Metric] = []


class _Model(msgspec.Struct):
    info: _Info
    data: _Data


class _One(msgspec.Struct):
    model: _Model


class _Found(msgspec.Struct, omit_defaults=True):
    models: list[_Model] = []
    next_page_token: str = ""


async def create(request: MlflowRequest) -> Response:
    """Make a logged model."""
    sent = decode(request, _Create)
    new = NewModel(
        experiment_id=sent.experiment_id,
        name=sent.name or None,
        model_type=sent.model_type,
        source_run_id=sent.source_run_id,
        params=pairs_of(sent.params),
        tags=pairs_of(sent.tags),
    )
    return reply(_One(_shape(await done(request.services.tracking.logged_models.create(new)))))


async def get(request: MlflowRequest) -> Response:
    """One logged model."""
    allow_deleted = request.query_value("allow_deleted").lower() == "true"
    model = request.services.tracking.logged_models.get(
        request.path_params["model_id"], allow_deleted=allow_deleted
    )
    return reply(_One(_shape(model)))


async def finalize(request: MlflowRequest) -> Response:
    """Say how the upload of a logged model ended."""
    status = enum_name(decode(request, _Finalize).status, _STATUS_NAMES, parameter="status")
    future = request.services.tracking.logged_models.finalize(
        request.path_params["model_id"], status
    )
    return reply(_One(_shape(await done(future))))


async def delete(request: MlflowRequest) -> Response:
    """Hide a logged model."""
    await done(request.services.tracking.logged_models.delete(request.path_params["model_id"]))
    return empty_reply()


async def set_tags(request: MlflowRequest) -> Response:
    """Set tags of a logged model."""
    tags = pairs_of(decode(request, _Tags).tags)
    future = request.services.tracking.logged_models.set_tags(request.path_params["model_id"], tags)
    await done(future)
    return empty_reply()


async def delete_tag(request: MlflowRequest) -> Response:
    """Delete a tag of a logged model."""
    future = request.services.tracking.logged_models.delete_tag(
        request.path_params["model_id"], request.path_params["tag_key"]
    )
    await done(future)
    return empty_reply()


async def log_params(request: MlflowRequest) -> Response:
    """Add parameters to a logged model."""
    params = pairs_of(decode(request, _Params).params)
    future = request.services.tracking.logged_models.log_params(
        request.path_params["model_id"], params
    )
    await done(future)
    return empty_reply()


async def search(request: MlflowRequest) -> Response:
    """Logged models that match a filter."""
    sent = decode(request, _Search)
    query = ModelQuery(
        experiment_ids=sent.experiment_ids,
        filter=sent.filter,
        datasets=[DatasetFilter(d.dataset_name, d.dataset_digest) for d in sent.datasets],
        order_by=[_order(one) for one in sent.order_by],
        results_max=sent.max_results,
        token=sent.page_token,
    )

    def find() -> Response:
        page = request.services.tracking.searches.logged_models(query)
        return reply(_Found([_shape(model) for model in page.items], page.token))

    return await run_in_threadpool(find)


def _order(sent: _Order) -> ModelOrder:
    dataset = DatasetFilter(sent.dataset_name, sent.dataset_digest) if sent.dataset_name else None
    return ModelOrder(sent.field_name, sent.ascending, dataset)


def _shape(model: LoggedModel) -> _Model:
    info = _Info(
        model_id=model.model_id,
        experiment_id=str(model.experiment_id),
        name=model.name,
        creation_timestamp_ms=model.created_ms,
        last_updated_timestamp_ms=model.changed_ms,
        artifact_uri=model.artifact_uri,
        status=model.status,
        model_type=model.model_type,
        source_run_id=model.source_run_id,
        status_message=model.status_message,
        tags=shown_pairs(model.tags),
    )
    metrics = [
        _Metric(
            m.key,
            number(m.value),
            m.at_ms,
            m.step,
            model.model_id,
            m.run_id,
            m.dataset_name,
            m.dataset_digest,
        )
        for m in model.metrics
    ]
    return _Model(info, _Data(shown_pairs(model.params), metrics))


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/logged-models"): create,
    ("POST", "/logged-models/search"): search,
    ("GET", "/logged-models/{model_id}"): get,
    ("PATCH", "/logged-models/{model_id}"): finalize,
    ("DELETE", "/logged-models/{model_id}"): delete,
    ("PATCH", "/logged-models/{model_id}/tags"): set_tags,
    ("DELETE", "/logged-models/{model_id}/tags/{tag_key}"): delete_tag,
    ("POST", "/logged-models/{model_id}/params"): log_params,
}

"""What MLflow's web pages draw: the history of one metric over many runs, the datasets of experiments."""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.mlflow.shapes import number
from lastgood.api.mlflow.wire import Handler, Int64, MlflowRequest, decode, reply
from lastgood.core.tracking import Metric
from lastgood.engine.tracking.summaries import POINTS_MAX, SAMPLES_MAX
from lastgood.errors import InvalidInput

__all__ = ["ROUTES"]


class _Interval(msgspec.Struct, kw_only=True):
    metric_key: str
    run_ids: list[str] = msgspec.field(default_factory=list)
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Int64 = SAMPLES_MAX


class _Bulk(msgspec.Struct, kw_only=True):
    run_id: list[str] = msgspec.field(default_factory=list)
    metric_key: str | None = None
    max_results: Int64 = POINTS_MAX


class _Experiments(msgspec.Struct, kw_only=True):
    experiment_ids: list[str] = msgspec.field(default_factory=list)


class _Point(msgspec.Struct, frozen=True):
    key: str
    value: float | str
    timestamp: int
    step: int
    run_id: str


class _Sampled(msgspec.Struct, omit_defaults=True):
    metrics: list[_Point] = []


class _Histories(msgspec.Struct):
    metrics: list[_Point]


class _Dataset(msgspec.Struct, omit_defaults=True):
    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class _Datasets(msgspec.Struct, omit_defaults=True):
    dataset_summaries: list[_Dataset] = []


async def sampled_history(request: MlflowRequest) -> Response:
    """Points of a metric of many runs, evenly spread over each."""
    sent = decode(request, _Interval)
    if not sent.run_ids:
        raise InvalidInput("Missing value for required parameter 'run_ids'")
    if (sent.start_step is None) != (sent.end_step is None):
        raise InvalidInput(
            "If either start step or end step are specified, both must be specified."
        )
    steps = None
    if sent.start_step is not None and sent.end_step is not None:
        steps = (sent.start_step, sent.end_step)

    def find() -> Response:
        found = request.services.tracking.summaries.sampled(
            sent.run_ids, sent.metric_key, steps=steps, results_max=sent.max_results
        )
        return reply(_Sampled(_points(found)))

    return await run_in_threadpool(find)


async def histories(request: MlflowRequest) -> Response:
    """The first points of a metric of many runs."""
    sent = decode(request, _Bulk)
    if sent.metric_key is None and sent.run_id:
        raise InvalidInput("GetMetricHistoryBulk request must specify a metric_key.")

    def find() -> Response:
        found = request.services.tracking.summaries.histories(
            sent.run_id, sent.metric_key or "", results_max=sent.max_results
        )
        return reply(_Histories(_points(found)))

    return await run_in_threadpool(find)


async def search_datasets(request: MlflowRequest) -> Response:
    """The datasets that runs of some experiments used."""
    sent = decode(request, _Experiments)

    def find() -> Response:
        found = request.services.tracking.summaries.datasets(sent.experiment_ids)
        return reply(
            _Datasets([_Dataset(str(d.experiment_id), d.name, d.digest, d.context) for d in found])
        )

    return await run_in_threadpool(find)


def _points(found: list[tuple[str, Metric]]) -> list[_Point]:
    return [_Point(m.key, number(m.value), m.at_ms, m.step, run_id) for run_id, m in found]


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/metrics/get-history-bulk"): histories,
    ("GET", "/metrics/get-history-bulk-interval"): sampled_history,
    ("POST", "/experiments/search-datasets"): search_datasets,
}
"""Paths relative to ``/api/2.0/mlflow``."""

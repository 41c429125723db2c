"""MLflow's calls that log metrics, alone or in batches, and read their history."""

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.mlflow.arrivals import done
from lastgood.api.mlflow.shapes import KeyValue, MetricShape, OfRun, metric_shape
from lastgood.api.mlflow.wire import (
    Handler,
    Int64,
    MlflowRequest,
    decode,
    empty_reply,
    reply,
)
from lastgood.core.tracking import Metric
from lastgood.engine.tracking.evidence import Batch

__all__ = ["ROUTES"]


class _Point(Metric, frozen=True, gc=False, kw_only=True, rename={"at_ms": "timestamp"}):
    """A point as it is sent, which is a point as tracking knows it: a batch has a thousand of them."""

    at_ms: Int64
    step: Int64 = 0


class _LogMetric(_Point, frozen=True, gc=False, kw_only=True):
    run_id: str = ""
    run_uuid: str = ""


class _LogBatch(OfRun, kw_only=True):
    metrics: list[_Point] = msgspec.field(default_factory=list)
    params: list[KeyValue] = msgspec.field(default_factory=list)
    tags: list[KeyValue] = msgspec.field(default_factory=list)


class _History(OfRun, kw_only=True):
    metric_key: str
    max_results: Int64 | None = None
    page_token: str = ""


class _Points(msgspec.Struct, omit_defaults=True):
    metrics: list[MetricShape] = []
    next_page_token: str = ""


async def log_metric(request: MlflowRequest) -> Response:
    """Store one point of a metric."""
    sent = decode(request, _LogMetric)
    run_id = OfRun(run_id=sent.run_id, run_uuid=sent.run_uuid).id
    await done(request.services.tracking.evidence.log_metric(run_id, sent))
    return empty_reply()


async def log_batch(request: MlflowRequest) -> Response:
    """Store metrics, parameters and tags, all or nothing."""
    sent = decode(request, _LogBatch)
    batch = Batch(
        metrics=sent.metrics,
        params=[(one.key, one.value) for one in sent.params],
        tags=[(one.key, one.value) for one in sent.tags],
    )
    await done(request.services.tracking.evidence.log_batch(sent.id, batch))
    return empty_reply()


async def get_history(request: MlflowRequest) -> Response:
    """All points of a metric, page by page."""
    sent = decode(request, _History)

    def find() -> Response:
        page = request.services.tracking.searches.history(
            sent.id, sent.metric_key, results_max=sent.max_results, token=sent.page_token
        )
        return reply(_Points([metric_shape(one) for one in page.items], page.token))

    return await run_in_threadpool(find)


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/runs/log-metric"): log_metric,
    ("POST", "/runs/log-batch"): log_batch,
    ("GET", "/metrics/get-history"): get_history,
}

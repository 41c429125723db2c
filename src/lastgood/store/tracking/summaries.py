"""What charts and lists show of many runs at once: sampled histories, the datasets of experiments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from lastgood.core.tracking import Metric
from lastgood.store.database import Connection
from lastgood.store.schema import datasets, metrics, run_datasets
from lastgood.store.statement import Row, Statement

__all__ = ["DatasetSummary", "Steps", "dataset_summaries", "history_of_runs", "sampled_history"]

Steps = tuple[int, int]
"""The first and the last step that are wanted."""

CONTEXT_TAG = "mlflow.data.context"
LINKS_READ_MAX = 100_000  # distinct pairs of a dataset and its tags that one summary looks at
EVEN_POINTS_MAX = 10_000  # of a history whose every n-th point is looked for
_ALL_STEPS = (-(2**63), 2**63 - 1)
_NAN = float("nan")

_c = metrics.c
_STEP_ORDER = (_c.step, _c.at_ms, _c.value, _c.is_nan)
_points = sa.select(_c.step, _c.at_ms, _c.value, _c.is_nan).where(
    _c.run_id == sa.bindparam("run_id"), _c.key == sa.bindparam("key")
)
_points_of_steps = _points.where(_c.step.between(sa.bindparam("first"), sa.bindparam("last")))


def _first_of_each_bucket(points: sa.Select[Any]) -> sa.Select[Any]:
    bucket = sa.func.ntile(sa.bindparam("buckets", type_=sa.Integer)).over(order_by=_STEP_ORDER)
    bucketed = points.add_columns(bucket.label("bucket")).subquery()
    order = (bucketed.c.step, bucketed.c.at_ms, bucketed.c.value, bucketed.c.is_nan)
    place = sa.func.row_number().over(partition_by=bucketed.c.bucket, order_by=order)
    ranked = sa.select(*order, place.label("place")).subquery()
    shown = (ranked.c.step, ranked.c.at_ms, ranked.c.value, ranked.c.is_nan)
    return sa.select(*shown).where(ranked.c.place == 1).order_by(*shown)


def _newest(points: sa.Select[Any]) -> sa.Select[Any]:
    return points.order_by(*(column.desc() for column in _STEP_ORDER)).limit(1)


_samples = _first_of_each_bucket(_points), _newest(_points)
_samples_of_steps = _first_of_each_bucket(_points_of_steps), _newest(_points_of_steps)
_limit = sa.bindparam("rows_max", type_=sa.Integer)
_some = _points_of_steps.with_only_columns(sa.literal_column("1")).limit(_limit).subquery("some")
_count = Statement(sa.select(sa.func.count()).select_from(_some))
_next_step = Statement(_points_of_steps.order_by(*_STEP_ORDER).limit(1))
_last = Statement(_newest(_points_of_steps))
_next_of_step = Statement(
    _points.where(_c.step == sa.bindparam("step"), _c.at_ms >= sa.bindparam("since"))
    .order_by(*_STEP_ORDER[1:])
    .limit(1)
)

_of_runs = (
    sa.select(_c.run_id, _c.step, _c.at_ms, _c.value, _c.is_nan)
    .where(_c.run_id.in_(sa.bindparam("run_ids", expanding=True)), _c.key == sa.bindparam("key"))
    .order_by(_c.run_id, _c.at_ms, _c.step, _c.value, _c.is_nan)
    .limit(sa.bindparam("limit"))
)

_d = datasets.c
_links = (
    sa.select(_d.experiment_id, _d.name, _d.digest, run_datasets.c.tags)
    .distinct()
    .join(run_datasets, run_datasets.c.dataset_id == _d.id)
    .where(_d.experiment_id.in_(sa.bindparam("experiment_ids", expanding=True)))
    .order_by(_d.experiment_id, _d.name, _d.digest, run_datasets.c.tags)
    .limit(LINKS_READ_MAX)
)


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset that runs of an experiment used, and what for; `context` is None if nobody said."""

    experiment_id: int
    name: str
    digest: str
    context: str | None


def sampled_history(
    connection: Connection, run_id: str, key: str, *, limit: int, steps: Steps | None
) -> list[Metric]:
    """At most `limit` points of a metric, evenly spread over all of them in order of steps.

    The first and the last point are always among them; of a sample of one it is the last. Of a
    history of more than 10,000 points they are evenly spread over the steps, not over the points,
    because finding every n-th point would mean to read all of them.
    """
    bound: dict[str, Any] = {"run_id": run_id, "key": key}
    first_step, last_step = steps or _ALL_STEPS
    within = bound | {"first": first_step, "last": last_step}
    if _count.scalar(connection, within | {"rows_max": EVEN_POINTS_MAX + 1}) > EVEN_POINTS_MAX:
        return [_metric(key, *row) for row in _sparse(connection, within, limit)]
    buckets, newest = _samples
    if steps is not None:
        buckets, newest = _samples_of_steps
        bound |= {"first": steps[0], "last": steps[1]}
    found = [tuple(row) for row in connection.execute(buckets, bound | {"buckets": limit})]
    last = connection.execute(newest, bound).first()
    if last is not None and found[-1] != tuple(last):
        del found[limit - 1 :]
        found.append(tuple(last))
    return [_metric(key, *row) for row in found]


def _sparse(connection: Connection, within: dict[str, Any], limit: int) -> list[Row]:
    """Points at evenly spread steps; where they share few steps, at evenly spread times in each of these."""
    last = _last.first(connection, within)
    first = _next_step.first(connection, within)
    if first is None or last is None:
        return []
    if limit == 1:
        return [last]
    found: dict[Row, None] = {}
    for step in _spread(first[0], last[0], limit - 1):
        if row := _next_step.first(connection, within | {"first": step}):
            found[row] = None
    by_step = list(found)
    share = (limit - 1) // len(by_step)
    if share > 1:
        for step, *_ in by_step:
            found |= dict.fromkeys(_within_step(connection, within | {"step": step}, share))
    found[last] = None
    return sorted(found)


def _within_step(connection: Connection, of_step: dict[str, Any], count: int) -> Iterator[Row]:
    step = of_step["step"]
    first = _next_step.first(connection, of_step | {"first": step, "last": step})
    last = _last.first(connection, of_step | {"first": step, "last": step})
    if first is None or last is None:
        return
    for at_ms in _spread(first[1], last[1], count):
        if row := _next_of_step.first(connection, of_step | {"since": at_ms}):
            yield row


def _spread(first: int, last: int, count: int) -> Iterator[int]:
    """Up to that many whole numbers, evenly spread; the first is one of them, the last is not unless it is the first."""
    return iter(dict.fromkeys(first + (last - first) * i // count for i in range(count)))


def history_of_runs(
    connection: Connection, run_ids: Sequence[str], key: str, *, limit: int
) -> list[tuple[str, Metric]]:
    """The first `limit` points of a metric of several runs, by run, time, step and value."""
    rows = connection.execute(_of_runs, {"run_ids": list(run_ids), "key": key, "limit": limit})
    return [(run_id, _metric(key, *row)) for run_id, *row in rows]


def dataset_summaries(
    connection: Connection, experiment_ids: Sequence[int], *, limit: int
) -> list[DatasetSummary]:
    """The datasets that runs of these experiments used, each once per purpose."""
    found: dict[DatasetSummary, None] = {}
    for row in connection.execute(_links, {"experiment_ids": list(experiment_ids)}):
        experiment_id, name, digest, tags = row
        context = msgspec.json.decode(tags, type=dict[str, str]).get(CONTEXT_TAG)
        found[DatasetSummary(experiment_id, name, digest, context)] = None
        if len(found) == limit:
            break
    return list(found)


def _metric(key: str, step: int, at_ms: int, value: float, is_nan: bool) -> Metric:  # noqa: FBT001 - a row's column
    return Metric(key, _NAN if is_nan else value, at_ms, step)

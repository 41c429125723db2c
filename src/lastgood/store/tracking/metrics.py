"""Metrics: every point once, and the latest of each key.

What a call logs is stored as it came (`lastgood.store.tracking.arrivals`), and merged into histories and latest
values a little later: when much waits, when a search needs it, or from time to time. Whoever reads a run or a
history sees both together. See ADR 9.
"""

from collections.abc import Iterable, Mapping, Sequence
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter

import sqlalchemy as sa

from lastgood.core.tracking import Metric, Run
from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.schema import latest_metrics, logged_model_metrics
from lastgood.store.statement import Row, Statement
from lastgood.store.tracking.arrivals import (
    Arrived,
    arrivals_of,
    arrived_at,
    opened,
    points_of,
    remove_arrivals,
)
from lastgood.store.tracking.histories import add_to_histories, points_after
from lastgood.store.tracking.points import Point, as_metric, as_point
from lastgood.store.tracking.revisions import ChangingRun, change

__all__ = [
    "add_metrics",
    "add_model_metrics",
    "by_metric",
    "fold",
    "history",
    "merge_points",
    "model_metric_row",
    "newest",
]

_rank = itemgetter(1, 0, 2)  # of a point: step, time, value

_latest = insert(latest_metrics)
_new = _latest.excluded
_overwrite_older = _latest.on_conflict_do_update(
    index_elements=["run_id", "key"],
    set_={name: _new[name] for name in ("at_ms", "step", "value", "is_nan")},
    where=sa.tuple_(_new.step, _new.at_ms, _new.value)
    > sa.tuple_(latest_metrics.c.step, latest_metrics.c.at_ms, latest_metrics.c.value),
)
_LATEST = ("run_id", "key", "at_ms", "step", "value", "is_nan", "experiment_id", "start_ms")
_keep_latest = Statement(_overwrite_older, _LATEST)
_add_model = Statement(
    insert(logged_model_metrics).on_conflict_do_nothing(),
    (
        "run_id",
        "key",
        "at_ms",
        "step",
        "value",
        "is_nan",
        "model_id",
        "dataset_name",
        "dataset_digest",
    ),
)


def fold(tx: Connection, run: Run) -> None:
    """Merge what waits of a run into its histories and latest values."""
    if rows := arrivals_of(tx, run.run_id):
        merge_points(tx, change(tx, run), by_metric(rows))
        remove_arrivals(tx, run.run_id, rows[-1][0])


def by_metric(rows: Iterable[Row]) -> dict[str, list[Point]]:
    """The points of arrivals, which are rows of an id or a run and a body."""
    found: dict[str, list[Point]] = {}
    for _, points in opened(rows):
        for key, at_ms, step, value, is_nan in points:
            found.setdefault(key, []).append((at_ms, step, value, is_nan))
    return found


def add_metrics(tx: Connection, run: ChangingRun, points: Iterable[Metric]) -> None:
    """Merge points into the run's histories; of each key the greatest (step, time, value) becomes its latest."""
    found: dict[str, list[Point]] = {}
    for p in points:
        found.setdefault(p.key, []).append(as_point(p.at_ms, p.step, p.value))
    merge_points(tx, run, found)


def merge_points(tx: Connection, run: ChangingRun, found: Mapping[str, list[Point]]) -> None:
    """The same, of points by their metric; what is there already stays as it is."""
    add_to_histories(tx, run.run_id, found)
    of_run = (run.experiment_id, run.start_ms)
    _keep_latest.run_many(
        tx,
        [(run.run_id, key, *max(points, key=_rank), *of_run) for key, points in found.items()],
    )


def newest(known: Iterable[Metric], arrived: Iterable[Arrived]) -> list[Metric]:
    """The latest point of each metric, of those known and those that wait."""
    best = {metric.key: metric for metric in known}
    ranks = {key: _rank(as_point(m.at_ms, m.step, m.value)) for key, m in best.items()}
    for key, *point in arrived:
        rank = _rank(point)
        if key not in ranks or rank > ranks[key]:
            best[key], ranks[key] = as_metric(key, point), rank
    return list(best.values())


def model_metric_row(run_id: str, point: Metric) -> Row:
    """A point that names a logged model, for `add_model_metrics`."""
    return (
        run_id,
        point.key,
        *as_point(point.at_ms, point.step, point.value),
        point.model_id,
        point.dataset_name,
        point.dataset_digest,
    )


def add_model_metrics(tx: Connection, rows: Sequence[Row]) -> None:
    """Store points that name a logged model as its metrics too."""
    _add_model.run_many(tx, rows)


def history(
    connection: Connection, run_id: str, key: str, *, limit: int, after: Point | None = None
) -> list[Point]:
    """Points of a metric in order of time, step and value."""
    points = points_after(connection, run_id, key, after)
    waiting = waiting_points(connection, run_id, key)
    if waiting:
        late = sorted(point for point in waiting if after is None or point > after)
        points = map(itemgetter(0), groupby(merge(points, late)))
    return list(islice(points, limit))


def waiting_points(connection: Connection, run_id: str, key: str) -> list[Point]:
    """The points of one metric that wait."""
    return [
        point
        for _, arrived in arrived_at(connection, [run_id])
        for point in points_of(arrived, key)
    ]

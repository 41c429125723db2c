"""Points of metrics as they arrived: kept whole, one row a call, until they are merged into the histories.

What a call costs must not depend on how many metrics it names, and a B-tree asks a search, and mostly a page of its
own, for each. So a call's points are stored as one value, durable as anything; readers see them at once, see
`lastgood.store.tracking.metrics`, and later many calls are merged at the price of one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from lastgood.core.tracking import Metric
from lastgood.store.database import Connection
from lastgood.store.lists import among, listed
from lastgood.store.schema import metric_arrivals, runs
from lastgood.store.statement import Row, Statement
from lastgood.store.tracking.points import Point

__all__ = [
    "ROW_WEIGHT",
    "Arrival",
    "Arrived",
    "arrival_of",
    "arrivals_of",
    "arrived_at",
    "bodies_of_runs",
    "opened",
    "points_of",
    "put_arrivals",
    "remove_arrivals",
    "runs_waiting",
    "weight_waiting",
]

ROW_WEIGHT = 10  # what a row of its own costs those who read it, in points

Arrived = tuple[str, int, int, float, bool]
"""A metric's key and a point of it."""

_a = metric_arrivals.c
_run_id: sa.BindParameter[str] = sa.bindparam("run_id", type_=_a.run_id.type)
weight_waiting = (
    sa.select(sa.func.coalesce(sa.func.max(_a.id), 0))
    .where(_a.run_id == runs.c.run_id)
    .scalar_subquery()
)
"""What waits of a run, as a sum of weights: a column for what selects from `runs`."""
_put = Statement(metric_arrivals.insert(), ("run_id", "id", "experiment_id", "body"))
bodies_of_runs = Statement(
    sa.select(_a.run_id, _a.body)
    .where(among(_a.run_id, sa.bindparam("run_ids")))
    .order_by(_a.run_id, _a.id)
)
"""What waits of the runs in the list `run_ids`: run and body, for `opened`."""
_of_run = Statement(sa.select(_a.id, _a.body).where(_a.run_id == _run_id).order_by(_a.id))
_remove = Statement(
    metric_arrivals.delete().where(_a.run_id == _run_id, _a.id <= sa.bindparam("last"))
)
_waiting = sa.select(_a.run_id, sa.func.max(_a.id)).group_by(_a.run_id)
_waiting_runs = Statement(_waiting)
_waiting_of = Statement(_waiting.where(among(_a.experiment_id, sa.bindparam("ids"))))
_decoder = msgspec.msgpack.Decoder(list[Arrived])


@dataclass(frozen=True, slots=True)
class Arrival:
    """The points of one call, as they are stored."""

    weight: int
    body: bytes


def arrival_of(metrics: Sequence[Metric]) -> Arrival:
    """The points of a call; it does not matter in which thread this is made."""
    # As `as_point` does it, which would double what this takes.
    points = [
        (m.key, m.at_ms, m.step, m.value + 0.0, False)
        if m.value == m.value
        else (m.key, m.at_ms, m.step, 0.0, True)
        for m in metrics
    ]
    return Arrival(ROW_WEIGHT + len(points), msgspec.msgpack.encode(points))


def put_arrivals(tx: Connection, rows: Sequence[Row]) -> None:
    """Store calls' points, as rows of run, id, experiment and body; an id is what then waits of its run."""
    _put.run_many(tx, rows)


def arrived_at(
    connection: Connection, run_ids: Sequence[str]
) -> Iterator[tuple[str, list[Arrived]]]:
    """What waits of these runs, call by call: the run, and the points in the order in which they were given."""
    return opened(bodies_of_runs.all(connection, {"run_ids": listed(connection, run_ids)}))


def arrivals_of(connection: Connection, run_id: str) -> list[Row]:
    """What waits of a run: rows of id and body, for `remove_arrivals`."""
    return _of_run.all(connection, {"run_id": run_id})


def opened(rows: Iterable[Row]) -> Iterator[tuple[str, list[Arrived]]]:
    """The same, of rows that were read already."""
    for run_id, body in rows:
        yield run_id, _decoder.decode(body)


def points_of(arrived: Iterable[Arrived], key: str) -> list[Point]:
    """Those of one metric."""
    return [(at_ms, step, value, nan) for name, at_ms, step, value, nan in arrived if name == key]


def remove_arrivals(tx: Connection, run_id: str, last: int) -> None:
    """Forget what waits of a run, up to an id: it is in the histories now."""
    _remove.run(tx, {"run_id": run_id, "last": last})


def runs_waiting(
    connection: Connection, experiment_ids: Sequence[int] | None = None
) -> list[tuple[str, int]]:
    """The runs of which something waits, and its weight; of some experiments only, if any are given."""
    if experiment_ids is None:
        rows = _waiting_runs.all(connection)
    else:
        rows = _waiting_of.all(connection, {"ids": listed(connection, experiment_ids)})
    return [(run_id, weight) for run_id, weight in rows]

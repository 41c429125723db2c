"""Metrics: every point once, and the latest of each key."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lastgood.core.tracking import Metric, Run
from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.schema import latest_metrics, logged_model_metrics, metrics
from lastgood.store.statement import Row, Statement

__all__ = ["HistoryPosition", "add_metrics", "add_model_metrics", "history", "nan_as_flag"]

_c = metrics.c
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class HistoryPosition:
    """Where a page of a metric's history ended."""

    at_ms: int
    step: int
    value: float
    is_nan: bool


# The same point again is the same fact: clients repeat requests whose answer got lost.
_COLUMNS = ("run_id", "key", "at_ms", "step", "value", "is_nan")
_add = Statement(insert(metrics).on_conflict_do_nothing(), _COLUMNS)
_latest = insert(latest_metrics)
_new = _latest.excluded
_overwrite_older = _latest.on_conflict_do_update(
    index_elements=["run_id", "key"],
    set_={name: _new[name] for name in ("at_ms", "step", "value", "is_nan")},
    where=sa.tuple_(_new.step, _new.at_ms, _new.value)
    > sa.tuple_(latest_metrics.c.step, latest_metrics.c.at_ms, latest_metrics.c.value),
)
_keep_latest = Statement(_overwrite_older, (*_COLUMNS, "experiment_id", "start_ms"))
_OF_MODEL = ("model_id", "dataset_name", "dataset_digest")
_add_model = Statement(
    insert(logged_model_metrics).on_conflict_do_nothing(), (*_COLUMNS, *_OF_MODEL)
)
_history = sa.select(_c.at_ms, _c.step, _c.value, _c.is_nan).where(
    _c.run_id == sa.bindparam("run_id"), _c.key == sa.bindparam("key")
)
_ORDER = (_c.at_ms, _c.step, _c.value, _c.is_nan)
_page = _history.order_by(*_ORDER).limit(sa.bindparam("limit"))
_history_page = Statement(_page)
_history_after = Statement(
    _page.where(
        sa.tuple_(*_ORDER)
        > sa.tuple_(*(sa.bindparam(f"after_{c.name}", type_=c.type) for c in _ORDER))
    )
)


def add_metrics(tx: Connection, run: Run, points: Sequence[Metric]) -> None:
    """Store points; of each key the greatest (step, time, value) becomes its latest."""
    rows = [_row(run.run_id, p) for p in points]
    _add.run_many(tx, rows)
    latest = rows if len(rows) == 1 else _latest_of(rows)
    of_run = (run.experiment_id, run.start_ms)
    _keep_latest.run_many(tx, [row + of_run for row in latest])


def add_model_metrics(tx: Connection, run_id: str, points: Iterable[Metric]) -> None:
    """Store those points that name a logged model, as its metrics too."""
    rows = [
        (*_row(run_id, p), p.model_id, p.dataset_name, p.dataset_digest)
        for p in points
        if p.model_id
    ]
    _add_model.run_many(tx, rows)


def history(
    connection: Connection,
    run_id: str,
    key: str,
    *,
    limit: int,
    after: HistoryPosition | None = None,
) -> list[tuple[Metric, HistoryPosition]]:
    """Points of a metric in order of time, step and value; with each, where it stands."""
    bound: dict[str, Any] = {"run_id": run_id, "key": key, "limit": limit}
    query = _history_page
    if after is not None:
        query = _history_after
        bound |= {f"after_{c.name}": getattr(after, c.name) for c in _ORDER}
    return [
        (
            Metric(key, _NAN if is_nan else value, at_ms, step),
            HistoryPosition(at_ms, step, value, is_nan),
        )
        for at_ms, step, value, is_nan in query.all(connection, bound)
    ]


def _row(run_id: str, point: Metric) -> Row:
    return (run_id, point.key, point.at_ms, point.step, *nan_as_flag(point.value))


def _latest_of(rows: Sequence[Row]) -> list[Row]:
    best: dict[str, Row] = {}
    for row in rows:
        known = best.get(row[1])
        if known is None or _rank(row) > _rank(known):
            best[row[1]] = row
    return list(best.values())


def _rank(row: Row) -> Row:
    _, _, at_ms, step, value, _ = row
    return step, at_ms, value


def nan_as_flag(value: float) -> tuple[float, bool]:
    """A value as two columns: the value, and whether it is none."""
    # SQLite makes NULL of NaN, and NULL has no place in a key.
    return (0.0, True) if math.isnan(value) else (value, False)

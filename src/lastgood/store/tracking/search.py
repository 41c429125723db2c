"""Searches for runs and experiments as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from lastgood.core.filters import Clause, Order
from lastgood.core.ids import printable
from lastgood.core.tracking import Experiment, Run, RunFacts
from lastgood.errors import InvalidInput
from lastgood.store.database import Connection
from lastgood.store.schema import (
    datasets,
    experiment_tags,
    experiments,
    latest_metrics,
    params,
    run_datasets,
    run_tags,
    runs,
)
from lastgood.store.tracking.clauses import (
    NUMBERS,
    TEXTS,
    compare,
    has_entry,
    has_metric,
    nullable_keys,
    refuse,
)
from lastgood.store.tracking.experiments import EXPERIMENT_COLUMNS, experiments_from
from lastgood.store.tracking.keyset import Scalar, SortKey, behind, ordering
from lastgood.store.tracking.runs import RUN_COLUMNS, facts_of

__all__ = ["Paging", "search_experiments", "search_runs"]

STATEMENTS_KEPT_MAX = 64
_CONTEXT_TAG = '$."mlflow.data.context"'

_RUN_ATTRIBUTES: dict[str, tuple[sa.ColumnElement[Any], frozenset[str]]] = {
    "run_id": (runs.c.run_id, TEXTS),
    "run_name": (runs.c.name, TEXTS - {"IN", "NOT IN"}),
    "status": (runs.c.status, TEXTS - {"IN", "NOT IN"}),
    "artifact_uri": (runs.c.artifact_uri, TEXTS - {"IN", "NOT IN"}),
    "user_id": (runs.c.user_id, TEXTS - {"IN", "NOT IN"}),
    "lifecycle_stage": (runs.c.lifecycle, TEXTS - {"IN", "NOT IN"}),
    "experiment_id": (sa.cast(runs.c.experiment_id, sa.String), TEXTS - {"LIKE", "ILIKE"}),
    "start_time": (runs.c.start_ms, NUMBERS),
    "end_time": (runs.c.end_ms, NUMBERS),
}
_RUN_ALIASES = {
    "created": "start_time",
    "Created": "start_time",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
}
_EXPERIMENT_ATTRIBUTES: dict[str, tuple[sa.ColumnElement[Any], frozenset[str]]] = {
    "name": (experiments.c.name, TEXTS),
    "experiment_id": (sa.cast(experiments.c.id, sa.String), TEXTS - {"LIKE", "ILIKE"}),
    "creation_time": (experiments.c.created_ms, NUMBERS),
    "last_update_time": (experiments.c.changed_ms, NUMBERS),
}
_EXPERIMENT_ORDERS: dict[str, sa.ColumnElement[Any]] = {
    "name": experiments.c.name,
    "experiment_id": experiments.c.id,
    "creation_time": experiments.c.created_ms,
    "last_update_time": experiments.c.changed_ms,
}
_SORTED_TABLES = {"metric": latest_metrics, "param": params, "tag": run_tags}
_DATASET_FIELDS: dict[str, sa.ColumnElement[Any]] = {
    "name": datasets.c.name,
    "digest": datasets.c.digest,
    "context": sa.func.json_extract(run_datasets.c.tags, _CONTEXT_TAG),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Which rows of all that match, in which order."""

    filters: Sequence[Clause] = ()
    orders: Sequence[Order] = ()
    lifecycles: Sequence[str]
    limit: int
    after: Sequence[Scalar] = ()
    """The sort values of the row before the first wanted; empty: from the start."""


def search_runs(
    connection: Connection, experiment_ids: Sequence[int], paging: Paging
) -> tuple[list[tuple[Run, RunFacts]], list[Scalar]]:
    """Runs that match; and, if there are more, the sort values of the last one.

    Raises:
        InvalidInput: a filter or order that runs do not have.
    """
    query, keys = _runs_statement(
        tuple(experiment_ids),
        tuple(paging.lifecycles),
        tuple(paging.filters),
        tuple(paging.orders),
    )
    rows, last = _page(connection, query, keys, paging)
    found = [Run(*row[: len(RUN_COLUMNS)]) for row in rows]
    facts = facts_of(connection, [run.run_id for run in found])
    return [(run, facts[run.run_id]) for run in found], last


def search_experiments(
    connection: Connection, paging: Paging
) -> tuple[list[Experiment], list[Scalar]]:
    """Experiments that match; and, if there are more, the sort values of the last one.

    Raises:
        InvalidInput: a filter or order that experiments do not have.
    """
    keys = _experiment_keys(paging.orders)
    query = sa.select(*EXPERIMENT_COLUMNS).where(
        _one_of(experiments.c.lifecycle, paging.lifecycles),
        *(_experiment_condition(clause) for clause in paging.filters),
    )
    query = _sorted(query, keys)
    rows, last = _page(connection, query, keys, paging)
    return experiments_from(connection, [row[: len(EXPERIMENT_COLUMNS)] for row in rows]), last


@lru_cache(maxsize=STATEMENTS_KEPT_MAX)
def _runs_statement(
    experiment_ids: tuple[int, ...],
    lifecycles: tuple[str, ...],
    filters: tuple[Clause, ...],
    orders: tuple[Order, ...],
) -> tuple[sa.Select[Any], Sequence[SortKey]]:
    # Building the expression costs as much as running it, and searches repeat: pages, dashboards.
    keys, source = _run_keys(orders)
    query = (
        sa.select(*RUN_COLUMNS)
        .select_from(source)
        .where(
            _one_of(runs.c.experiment_id, experiment_ids),
            _one_of(runs.c.lifecycle, lifecycles),
            *(_run_condition(clause) for clause in filters),
        )
    )
    return _sorted(query, keys), keys


def _sorted(query: sa.Select[Any], keys: Sequence[SortKey]) -> sa.Select[Any]:
    values = [key.expression.label(f"sort_{i}") for i, key in enumerate(keys)]
    query = query.add_columns(*values).order_by(*ordering(keys))
    return query.limit(sa.bindparam("rows_max", type_=sa.Integer))


def _page(
    connection: Connection, query: sa.Select[Any], keys: Sequence[SortKey], paging: Paging
) -> tuple[Sequence[Sequence[Any]], list[Scalar]]:
    if paging.after:
        query = query.where(behind(keys, paging.after))
    rows = connection.execute(query, {"rows_max": paging.limit + 1}).all()
    if len(rows) <= paging.limit:
        return rows, []
    rows = rows[: paging.limit]
    return rows, list(rows[-1][-len(keys) :]) if rows else []


def _one_of(column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    # A single value lets SQLite read an index in order; a list of one does not.
    return column == values[0] if len(values) == 1 else column.in_(values)


def _run_condition(clause: Clause) -> sa.ColumnElement[bool]:
    if clause.target == "attribute":
        name = _RUN_ALIASES.get(clause.key, clause.key)
        if name not in _RUN_ATTRIBUTES:
            raise refuse(
                clause, f"Invalid attribute key, expected one of {sorted(_RUN_ATTRIBUTES)}"
            )
        return compare(clause, *_RUN_ATTRIBUTES[name])
    if clause.target == "metric":
        return has_metric(clause, latest_metrics, latest_metrics.c.run_id == runs.c.run_id)
    if clause.target == "dataset":
        return _has_dataset(clause)
    table = params if clause.target == "param" else run_tags
    return has_entry(clause, table, table.c.run_id == runs.c.run_id)


def _has_dataset(clause: Clause) -> sa.ColumnElement[bool]:
    column = _DATASET_FIELDS.get(clause.key)
    if column is None:
        raise refuse(clause, f"Invalid dataset key, expected one of {sorted(_DATASET_FIELDS)}")
    linked: sa.Select[Any] = sa.select(sa.literal_column("1")).join_from(
        run_datasets, datasets, datasets.c.id == run_datasets.c.dataset_id
    )
    return linked.where(
        run_datasets.c.run_id == runs.c.run_id, compare(clause, column, TEXTS)
    ).exists()


def _experiment_condition(clause: Clause) -> sa.ColumnElement[bool]:
    if clause.target == "tag":
        return has_entry(
            clause, experiment_tags, experiment_tags.c.experiment_id == experiments.c.id
        )
    if clause.target != "attribute" or clause.key not in _EXPERIMENT_ATTRIBUTES:
        raise refuse(
            clause,
            f"Invalid attribute key, expected tags or one of {sorted(_EXPERIMENT_ATTRIBUTES)}",
        )
    return compare(clause, *_EXPERIMENT_ATTRIBUTES[clause.key])


def _run_keys(orders: Sequence[Order]) -> tuple[list[SortKey], sa.FromClause]:
    """What to sort by, and the runs joined with what that needs: one look-up per run and order."""
    keys: list[SortKey] = []
    source: sa.FromClause = runs
    for order in orders:
        table = _SORTED_TABLES.get(order.target)
        if table is None:
            keys += _attribute_keys(order)
            continue
        entry = table.alias()
        source = source.outerjoin(
            entry, sa.and_(entry.c.run_id == runs.c.run_id, entry.c.key == order.key)
        )
        is_nan = entry.c.is_nan if table is latest_metrics else None
        empty = 0.0 if table is latest_metrics else ""
        keys += nullable_keys(entry.c.value, empty, ascending=order.ascending, is_nan=is_nan)
    named = {_RUN_ALIASES.get(o.key, o.key) for o in orders if o.target == "attribute"}
    if "start_time" not in named:
        keys.append(SortKey(runs.c.start_ms, ascending=False))
    if "run_id" not in named:
        keys.append(SortKey(runs.c.run_id, ascending=True))
    return keys, source


def _attribute_keys(order: Order) -> Sequence[SortKey]:
    name = _RUN_ALIASES.get(order.key, order.key)
    if order.target != "attribute" or name not in _RUN_ATTRIBUTES:
        raise InvalidInput(
            f"Invalid order_by key '{printable(order.key)}', expected a metric, param, tag or one of {sorted(_RUN_ATTRIBUTES)}"
        )
    if name == "end_time":  # a run that goes on has none
        return nullable_keys(runs.c.end_ms, 0, ascending=order.ascending)
    return (SortKey(_RUN_ATTRIBUTES[name][0], order.ascending),)


def _experiment_keys(orders: Sequence[Order]) -> list[SortKey]:
    keys = []
    for order in orders:
        column = _EXPERIMENT_ORDERS.get(order.key) if order.target == "attribute" else None
        if column is None:
            raise InvalidInput(
                f"Invalid order_by key '{printable(order.key)}', expected one of {sorted(_EXPERIMENT_ORDERS)}"
            )
        keys.append(SortKey(column, order.ascending))
    # MLflow's default: the newest first, and among equals the lower id; a given order breaks ties by the higher id.
    tie = SortKey(experiments.c.id, ascending=not orders)
    if not orders:
        keys.append(SortKey(experiments.c.created_ms, ascending=False))
    if not any(order.key == "experiment_id" for order in orders):
        keys.append(tie)
    return keys

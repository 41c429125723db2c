"""Searches for experiments as SQL."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.core.filters import Clause, Order
from lastgood.core.ids import printable
from lastgood.core.tracking import Experiment
from lastgood.errors import InvalidInput
from lastgood.store.database import Connection
from lastgood.store.schema import experiment_tags, experiments
from lastgood.store.statement import Statement
from lastgood.store.tracking.clauses import NUMBERS, TEXTS, compare, has_entry, one_of, refuse
from lastgood.store.tracking.experiments import EXPERIMENT_COLUMNS, experiments_from
from lastgood.store.tracking.keyset import Paging, Scalar, SortKey, behind, ordering

__all__ = ["search_experiments"]

_ATTRIBUTES: dict[str, tuple[sa.ColumnElement[Any], frozenset[str]]] = {
    "name": (experiments.c.name, TEXTS),
    "experiment_id": (sa.cast(experiments.c.id, sa.String), TEXTS - {"LIKE", "ILIKE"}),
    "creation_time": (experiments.c.created_ms, NUMBERS),
    "last_update_time": (experiments.c.changed_ms, NUMBERS),
}
_ORDERS: dict[str, sa.ColumnElement[Any]] = {
    "name": experiments.c.name,
    "experiment_id": experiments.c.id,
    "creation_time": experiments.c.created_ms,
    "last_update_time": experiments.c.changed_ms,
}


def search_experiments(
    connection: Connection, paging: Paging
) -> tuple[list[Experiment], list[Scalar]]:
    """Experiments that match; and, if there are more, the sort values of the last one.

    Raises:
        InvalidInput: a filter or order that experiments do not have.
    """
    keys = _keys(paging.orders)
    query = sa.select(*EXPERIMENT_COLUMNS, *(key.expression for key in keys)).where(
        one_of(experiments.c.lifecycle, paging.lifecycles),
        *(_condition(clause) for clause in paging.filters),
    )
    if paging.after:
        query = query.where(behind(keys, paging.after))
    query = query.order_by(*ordering(keys)).limit(paging.limit + 1)
    rows = Statement(query).all(connection)
    width = len(EXPERIMENT_COLUMNS)
    found = experiments_from(connection, [row[:width] for row in rows[: paging.limit]])
    return found, list(rows[paging.limit - 1][width:]) if len(rows) > paging.limit else []


def _condition(clause: Clause) -> sa.ColumnElement[bool]:
    if clause.target == "tag":
        return has_entry(
            clause, experiment_tags, experiment_tags.c.experiment_id == experiments.c.id
        )
    if clause.target != "attribute" or clause.key not in _ATTRIBUTES:
        raise refuse(
            clause,
            f"Invalid attribute key, expected tags or one of {sorted(_ATTRIBUTES)}",
        )
    return compare(clause, *_ATTRIBUTES[clause.key])


def _keys(orders: Sequence[Order]) -> list[SortKey]:
    keys = []
    for order in orders:
        column = _ORDERS.get(order.key) if order.target == "attribute" else None
        if column is None:
            raise InvalidInput(
                f"Invalid order_by key '{printable(order.key)}', expected one of {sorted(_ORDERS)}"
            )
        keys.append(SortKey(column, order.ascending))
    # MLflow's default: the newest first, and among equals the lower id; a given order breaks ties by the higher id.
    tie = SortKey(experiments.c.id, ascending=not orders)
    if not orders:
        keys.append(SortKey(experiments.c.created_ms, ascending=False))
    if not any(order.key == "experiment_id" for order in orders):
        keys.append(tie)
    return keys

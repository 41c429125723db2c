"""Searches for logged models as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from lastgood.core.filters import Clause
from lastgood.core.ids import printable
from lastgood.core.tracking import DELETED, LoggedModel
from lastgood.errors import InvalidInput
from lastgood.store.database import Connection
from lastgood.store.schema import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
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
from lastgood.store.tracking.keyset import Scalar, SortKey, behind, ordering
from lastgood.store.tracking.logged_models import MODEL_COLUMNS, models_from

__all__ = ["DatasetFilter", "ModelOrder", "ModelPaging", "search_models"]

_c, _m = logged_models.c, logged_model_metrics.c

_ATTRIBUTES: dict[str, tuple[sa.ColumnElement[Any], frozenset[str]]] = {
    "model_id": (_c.model_id, TEXTS),
    "name": (_c.name, TEXTS),
    "model_type": (_c.model_type, TEXTS),
    "source_run_id": (_c.source_run_id, TEXTS),
    "status": (_c.status, TEXTS),
    "artifact_location": (_c.artifact_uri, TEXTS),
    "creation_timestamp_ms": (_c.created_ms, NUMBERS),
    "last_updated_timestamp_ms": (_c.changed_ms, NUMBERS),
    "experiment_id": (sa.cast(_c.experiment_id, sa.String), TEXTS),
}
_ALIASES = {
    "artifact_uri": "artifact_location",
    "creation_time": "creation_timestamp_ms",
    "creation_timestamp": "creation_timestamp_ms",
    "last_updated_timestamp": "last_updated_timestamp_ms",
}


@dataclass(frozen=True, slots=True)
class DatasetFilter:
    """Only metrics measured on this dataset count; any digest if it is empty."""

    name: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ModelOrder:
    """An attribute, or ``metrics.`` and a key, to sort by."""

    field: str
    ascending: bool = True
    dataset: DatasetFilter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPaging:
    """Which models of all that match, in which order."""

    filters: Sequence[Clause] = ()
    datasets: Sequence[DatasetFilter] = ()
    orders: Sequence[ModelOrder] = ()
    limit: int
    after: Sequence[Scalar] = ()


def search_models(
    connection: Connection, experiment_ids: Sequence[int], paging: ModelPaging
) -> tuple[list[LoggedModel], list[Scalar]]:
    """Logged models that match; and, if there are more, the sort values of the last one.

    Raises:
        InvalidInput: a filter or order that logged models do not have.
    """
    keys = _keys(paging.orders)
    values = [key.expression.label(f"sort_{i}") for i, key in enumerate(keys)]
    query = (
        sa.select(*MODEL_COLUMNS, *values)
        .where(_c.experiment_id.in_(experiment_ids), _c.lifecycle != DELETED, *_conditions(paging))
        .order_by(*ordering(keys))
        .limit(paging.limit + 1)
    )
    if paging.after:
        query = query.where(behind(keys, paging.after))
    rows = connection.execute(query).all()
    more, rows = len(rows) > paging.limit, rows[: paging.limit]
    last = list(rows[-1][-len(keys) :]) if more and rows else []
    return models_from(connection, [row[: len(MODEL_COLUMNS)] for row in rows]), last


def _conditions(paging: ModelPaging) -> list[sa.ColumnElement[bool]]:
    on_datasets = [sa.or_(*(_on(d) for d in paging.datasets))] if paging.datasets else []
    found = [_condition(clause, on_datasets) for clause in paging.filters]
    if on_datasets and not any(clause.target == "metric" for clause in paging.filters):
        found.append(
            sa.select(sa.literal_column("1"))
            .where(_m.model_id == _c.model_id, *on_datasets)
            .exists()
        )
    return found


def _condition(
    clause: Clause, on_datasets: Sequence[sa.ColumnElement[bool]]
) -> sa.ColumnElement[bool]:
    if clause.target == "metric":
        return has_metric(clause, logged_model_metrics, _m.model_id == _c.model_id, *on_datasets)
    if clause.target in {"param", "tag"}:
        table = logged_model_params if clause.target == "param" else logged_model_tags
        return has_entry(_of_text(clause), table, table.c.model_id == _c.model_id)
    name = _ALIASES.get(clause.key, clause.key)
    if clause.target != "attribute" or name not in _ATTRIBUTES:
        raise refuse(clause, f"Invalid attribute key, expected one of {sorted(_ATTRIBUTES)}")
    column, operators = _ATTRIBUTES[name]
    return compare(clause if operators is NUMBERS else _of_text(clause), column, operators)


def _of_text(clause: Clause) -> Clause:
    """The clause for a text: of logged models ``params.depth = 6`` means what ``params.depth = '6'`` does."""
    return replace(clause, value=clause.written) if clause.written else clause


def _on(dataset: DatasetFilter) -> sa.ColumnElement[bool]:
    named = _m.dataset_name == dataset.name
    return sa.and_(named, _m.dataset_digest == dataset.digest) if dataset.digest else named


def _keys(orders: Sequence[ModelOrder]) -> list[SortKey]:
    keys: list[SortKey] = []
    named = {_ALIASES.get(order.field, order.field) for order in orders}
    for order in orders:
        keys += _keys_for(order)
    if "creation_timestamp_ms" not in named:
        keys.append(SortKey(_c.created_ms, ascending=False))
    if "model_id" not in named:
        keys.append(SortKey(_c.model_id, ascending=True))
    return keys


def _keys_for(order: ModelOrder) -> Sequence[SortKey]:
    entity, dot, key = order.field.partition(".")
    if dot:
        if entity != "metrics":
            raise InvalidInput(
                f"Invalid order by field name: {printable(order.field)}. Only metrics are supported"
            )
        value, is_nan = (
            _latest(key.strip("`"), column, order.dataset) for column in (_m.value, _m.is_nan)
        )
        return nullable_keys(value, 0.0, ascending=order.ascending, is_nan=is_nan)
    name = _ALIASES.get(order.field, order.field)
    if name not in _ATTRIBUTES:
        raise InvalidInput(f"Invalid order by field name: {printable(order.field)}")
    return (SortKey(_ATTRIBUTES[name][0], order.ascending),)


def _latest(
    key: str, column: sa.ColumnElement[Any], dataset: DatasetFilter | None
) -> sa.ColumnElement[Any]:
    conditions = [_on(dataset)] if dataset else []
    return (
        sa.select(column)
        .where(_m.model_id == _c.model_id, _m.key == key, *conditions)
        .order_by(_m.at_ms.desc(), _m.step.desc(), _m.run_id)
        .limit(1)
        .scalar_subquery()
    )

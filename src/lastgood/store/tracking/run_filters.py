"""What searches for runs filter and sort by, as SQL."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.core.filters import Clause, Order
from lastgood.core.ids import printable
from lastgood.errors import InvalidInput
from lastgood.store.dialects import json_text
from lastgood.store.schema import (
    HEAD_LENGTH,
    datasets,
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
    one_of,
    refuse,
)
from lastgood.store.tracking.keyset import SortKey

__all__ = [
    "ENTRIES",
    "INDEXED",
    "MISSING",
    "RANGES",
    "attribute_of",
    "candidates",
    "condition",
    "entry_matches",
    "is_scan",
    "key_of",
    "sort_keys",
    "sorted_value",
]

ENTRIES = {"metric": latest_metrics, "param": params, "tag": run_tags}
MISSING: dict[str, str | float] = {"metric": 0.0, "param": "", "tag": ""}
"""What stands in for the value of a run that has none, where values are sorted."""
_CONTEXT_TAG = "mlflow.data.context"
RANGES = frozenset({"=", "<", "<=", ">", ">="})
INDEXED = frozenset({"run_name", "status", "user_id", "start_time", "end_time"})
_PATTERNS = frozenset({"LIKE", "ILIKE"})
_LAST_CHARACTER = "\U0010ffff"
_SURROGATES, _AFTER_SURROGATES = 0xD800, 0xE000  # no characters between these

_ATTRIBUTES: dict[str, tuple[sa.ColumnElement[Any], frozenset[str]]] = {
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
_ALIASES = {
    "created": "start_time",
    "Created": "start_time",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
}
_DATASET_FIELDS: dict[str, sa.ColumnElement[Any]] = {
    "name": datasets.c.name,
    "digest": datasets.c.digest,
    "context": json_text(run_datasets.c.tags, _CONTEXT_TAG),
}
_ONE: sa.ColumnElement[int] = sa.literal_column("1")


def key_of(item: Clause | Order) -> str:
    """The key by which it is known, whatever it was called."""
    return _ALIASES.get(item.key, item.key) if item.target == "attribute" else item.key


def attribute_of(order: Order) -> sa.ColumnElement[Any]:
    """The column of an attribute.

    Raises:
        InvalidInput: runs do not have it.
    """
    name = key_of(order)
    if order.target != "attribute" or name not in _ATTRIBUTES:
        raise InvalidInput(
            f"Invalid order_by key '{printable(order.key)}', expected a metric, param, tag or one of {sorted(_ATTRIBUTES)}"
        )
    return _ATTRIBUTES[name][0]


def condition(clause: Clause) -> sa.ColumnElement[bool]:
    """That a row of `runs` matches the clause.

    Raises:
        InvalidInput: runs have no such thing, or it cannot be compared so.
    """
    if clause.target == "attribute":
        name = key_of(clause)
        if name not in _ATTRIBUTES:
            raise refuse(clause, f"Invalid attribute key, expected one of {sorted(_ATTRIBUTES)}")
        return compare(clause, *_ATTRIBUTES[name])
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
    linked: sa.Select[Any] = sa.select(_ONE).join_from(
        run_datasets, datasets, datasets.c.id == run_datasets.c.dataset_id
    )
    return linked.where(
        run_datasets.c.run_id == runs.c.run_id, compare(clause, column, TEXTS)
    ).exists()


def candidates(
    clause: Clause, experiment_ids: Sequence[int], lifecycles: Sequence[str]
) -> sa.Select[Any] | None:
    """The ids of all runs that match the clause, and perhaps of more, from an index; None if no index knows them.

    The clause must be valid: `condition` says so.
    """
    table = ENTRIES.get(clause.target)
    if table is not None:
        matches = entry_matches(clause, table) or _pattern_matches(clause, table)
        of = one_of(table.c.experiment_id, experiment_ids)
        if matches is None:
            return None
        return sa.select(table.c.run_id).where(of, table.c.key == clause.key, *matches)
    if clause.target != "attribute" or (name := key_of(clause)) not in INDEXED:
        return None
    beside = runs.alias("beside")
    column = beside.c[str(_ATTRIBUTES[name][0].key)]
    of = one_of(beside.c.experiment_id, experiment_ids)
    living = one_of(beside.c.lifecycle, lifecycles)
    if clause.operator in RANGES:
        matching: sa.ColumnElement[bool] | None = compare(clause, column, _ATTRIBUTES[name][1])
    else:
        matching = _starts(column, clause)
        if matching is None and clause.operator in _PATTERNS:
            matching = compare(clause, column, TEXTS)
    return None if matching is None else sa.select(beside.c.run_id).where(of, living, matching)


def is_scan(clause: Clause) -> bool:
    """Whether its candidates are found by looking at every value of the index."""
    return clause.operator in _PATTERNS and _fixed_start(clause) == ""


def entry_matches(clause: Clause, entry: Any) -> tuple[sa.ColumnElement[bool], ...] | None:
    """That a metric, parameter or tag of the clause's key matches it, as an index can tell; None if it cannot."""
    c = entry.c
    if clause.target == "metric":
        if clause.operator not in RANGES:
            return None
        return ~c.is_nan, compare(clause, c.value, NUMBERS)
    if clause.operator == "=":
        value = str(clause.value)
        # The whole value is looked at only where the index has not all of it.
        cut = (c.value == value,) if len(value) >= HEAD_LENGTH else ()
        return c.head == value[:HEAD_LENGTH], *cut
    if clause.operator == "IN" and isinstance(clause.value, tuple):
        heads = list(dict.fromkeys(value[:HEAD_LENGTH] for value in clause.value))
        return (one_of(c.head, heads),)
    start = _starts(c.head, clause)
    return None if start is None else (start,)


def _pattern_matches(clause: Clause, entry: Any) -> tuple[sa.ColumnElement[bool], ...] | None:
    if clause.operator not in _PATTERNS or clause.target == "metric":
        return None
    # What the index has cut off may match behind that.
    cut = sa.func.length(entry.c.head) == HEAD_LENGTH
    return (sa.or_(compare(clause, entry.c.head, TEXTS), cut),)


def _starts(column: sa.ColumnElement[Any], clause: Clause) -> sa.ColumnElement[bool] | None:
    """A range that holds whatever matches a pattern, if that begins with fixed characters."""
    fixed = _fixed_start(clause)
    if not fixed:
        return None
    end = _after_all_with(fixed)
    return sa.and_(column >= fixed, column < end) if end else column >= fixed


def _fixed_start(clause: Clause) -> str:
    if clause.operator != "LIKE":
        return ""
    return str(clause.value).replace("_", "%").partition("%")[0][:HEAD_LENGTH]


def _after_all_with(start: str) -> str:
    """The least text that sorts behind every text with that start; empty if there is none."""
    rest = start.rstrip(_LAST_CHARACTER)
    if not rest:
        return ""
    further = ord(rest[-1]) + 1
    return rest[:-1] + chr(_AFTER_SURROGATES if further == _SURROGATES else further)


def sorted_value(target: str, entry: Any) -> sa.ColumnElement[Any]:
    """What a metric, parameter or tag is sorted by: long texts by their first characters only."""
    value: sa.ColumnElement[Any] = entry.c.value if target == "metric" else entry.c.head
    return value


def sort_keys(
    orders: Sequence[Order], source: sa.FromClause = runs, of: Any = runs
) -> tuple[list[SortKey], sa.FromClause]:
    """What to sort by, and the source joined with what that needs: one look-up per run and order.

    Args:
        orders: What was asked for.
        source: The runs, or what they are joined with already.
        of: Where to take a run's id and start from.

    Raises:
        InvalidInput: runs cannot be sorted by that.
    """
    keys: list[SortKey] = []
    for order in orders:
        table = ENTRIES.get(order.target)
        if table is None:
            keys += _attribute_keys(order, of)
            continue
        entry = table.alias()
        on = sa.and_(entry.c.run_id == runs.c.run_id, entry.c.key == order.key)
        source = source.outerjoin(entry, on)
        keys += nullable_keys(
            sorted_value(order.target, entry),
            MISSING[order.target],
            ascending=order.ascending,
            is_nan=entry.c.is_nan if order.target == "metric" else None,
        )
    named = {key_of(order) for order in orders if order.target == "attribute"}
    if "start_time" not in named:
        keys.append(SortKey(of.c.start_ms, ascending=False))
    if "run_id" not in named:
        keys.append(SortKey(of.c.run_id, ascending=True))
    return keys, source


def _attribute_keys(order: Order, of: Any) -> Sequence[SortKey]:
    column = attribute_of(order)
    if column is runs.c.end_ms:  # a run that goes on has none
        return nullable_keys(column, 0, ascending=order.ascending)
    if column.key in {"start_ms", "run_id"}:
        column = of.c[column.key]
    return (SortKey(column, order.ascending),)

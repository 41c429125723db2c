"""What searches for runs filter and sort by, as SQL."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.core.filters import Clause, Order
from lastgood.core.ids import printable
from lastgood.errors import InvalidInput
from lastgood.store.dialects import json_text
from lastgood.store.lists import among
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
    LACKING,
    NUMBERS,
    PATTERNS,
    TEXTS,
    entry_exists,
    metric_exists,
    nullable_keys,
    one_of,
    refuse,
)
from lastgood.store.tracking.forms import Form, form_of
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
    "forms_of",
    "is_scan",
    "key_of",
    "of_experiments",
    "sort_keys",
    "sorted_value",
]

ENTRIES = {"metric": latest_metrics, "param": params, "tag": run_tags}
MISSING: dict[str, str | float] = {"metric": 0.0, "param": "", "tag": ""}
"""What stands in for the value of a run that has none, where values are sorted."""
_OF_RUN = frozenset({"run_id", "start_ms"})
"""Columns of a run that stand with what was logged to it, too."""
_CONTEXT_TAG = "mlflow.data.context"
RANGES = frozenset({"=", "<", "<=", ">", ">="})
INDEXED = frozenset({"run_name", "status", "user_id", "start_time", "end_time"})

_ATTRIBUTES: dict[str, tuple[sa.ColumnElement[Any], frozenset[str]]] = {
    "run_id": (runs.c.run_id, TEXTS),
    "run_name": (runs.c.name, TEXTS - {"IN", "NOT IN"}),
    "status": (runs.c.status, TEXTS - {"IN", "NOT IN"}),
    "artifact_uri": (runs.c.artifact_uri, TEXTS - {"IN", "NOT IN"}),
    "user_id": (runs.c.user_id, TEXTS - {"IN", "NOT IN"}),
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


def forms_of(clauses: Sequence[Clause]) -> tuple[tuple[Form, ...], Mapping[str, Any]]:
    """The forms of the clauses of a filter; and what they compare with, by the names of parameters.

    Raises:
        InvalidInput: runs have no such thing, or it cannot be compared so.
    """
    forms: list[Form] = []
    values: dict[str, Any] = {}
    for clause in clauses:
        form, named = form_of(
            clause, len(forms), key=key_of(clause), operators=_operators_for(clause)
        )
        forms.append(form)
        values |= named
    return tuple(forms), values


def _operators_for(clause: Clause) -> frozenset[str]:
    if clause.target == "metric":
        return NUMBERS
    if clause.target in ENTRIES:
        return TEXTS | LACKING
    if clause.target == "dataset":
        if clause.key not in _DATASET_FIELDS:
            raise refuse(clause, f"Invalid dataset key, expected one of {sorted(_DATASET_FIELDS)}")
        return TEXTS
    name = key_of(clause)
    if name not in _ATTRIBUTES:
        raise refuse(clause, f"Invalid attribute key, expected one of {sorted(_ATTRIBUTES)}")
    return _ATTRIBUTES[name][1]


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


def condition(form: Form, of: Any = runs) -> sa.ColumnElement[bool]:
    """That a row of `runs` matches.

    Args:
        form: What to match.
        of: Where to take a run's id and start from: what leads a walk can be asked before its run is looked up.
    """
    if form.target == "attribute":
        column = _ATTRIBUTES[form.key][0]
        return form.matches(of.c[column.key] if column.key in _OF_RUN else column)
    of_run = of.c.run_id
    if form.target == "dataset":
        return _has_dataset(form, of_run)
    table = ENTRIES[form.target]
    exists = metric_exists if form.target == "metric" else entry_exists
    return exists(form.key, form.operator, form.matches, table, table.c.run_id == of_run)


def _has_dataset(form: Form, of_run: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    linked: sa.Select[Any] = sa.select(_ONE).join_from(
        run_datasets, datasets, datasets.c.id == run_datasets.c.dataset_id
    )
    matching = form.matches(_DATASET_FIELDS[form.key])
    return linked.where(run_datasets.c.run_id == of_run, matching).exists()


def of_experiments(column: sa.ColumnElement[int], *, several: bool) -> sa.ColumnElement[bool]:
    """That the column is `experiment_id`, or among `experiment_ids`; both are to be bound."""
    if several:
        return among(column, sa.bindparam("experiment_ids"))
    # A single value lets SQLite read an index in order; a list of one does not.
    one: sa.ColumnElement[bool] = column == sa.bindparam("experiment_id", type_=sa.BigInteger)
    return one


def candidates(form: Form, lifecycles: Sequence[str], *, several: bool) -> sa.Select[Any] | None:
    """The ids of all runs that match, and perhaps of more, from an index; None if no index knows them.

    Args:
        form: What to match.
        lifecycles: The runs wanted; some more may be found.
        several: See `of_experiments`.
    """
    table = ENTRIES.get(form.target)
    if table is not None:
        matches = entry_matches(form, table) or _pattern_matches(form, table)
        if matches is None:
            return None
        of = of_experiments(table.c.experiment_id, several=several)
        return sa.select(table.c.run_id).where(of, table.c.key == form.key, *matches)
    if form.target != "attribute" or form.key not in INDEXED:
        return None
    beside = runs.alias("beside")
    column = beside.c[str(_ATTRIBUTES[form.key][0].key)]
    if form.operator in RANGES or (form.operator in PATTERNS and not form.has_start):
        matching = form.matches(column)
    elif form.has_start:
        matching = form.starts(column)
    else:
        return None
    of = of_experiments(beside.c.experiment_id, several=several)
    living = one_of(beside.c.lifecycle, lifecycles)
    return sa.select(beside.c.run_id).where(of, living, matching)


def is_scan(form: Form) -> bool:
    """Whether its candidates are found by looking at every value of the index."""
    return form.operator in PATTERNS and not form.has_start


def entry_matches(form: Form, entry: Any) -> tuple[sa.ColumnElement[bool], ...] | None:
    """That a metric, parameter or tag of the form's key matches it, as an index can tell; None if it cannot."""
    c = entry.c
    if form.target == "metric":
        return (~c.is_nan, form.matches(c.value)) if form.operator in RANGES else None
    if form.operator == "=":
        # The whole value is looked at only where the index has not all of it.
        whole = (form.matches(c.value),) if form.is_long else ()
        return form.heads_match(c.head), *whole
    if form.operator == "IN":
        return (form.heads_match(c.head),)
    return (form.starts(c.head),) if form.has_start else None


def _pattern_matches(form: Form, entry: Any) -> tuple[sa.ColumnElement[bool], ...] | None:
    if form.operator not in PATTERNS or form.target == "metric":
        return None
    # What the index has cut off may match behind that.
    cut = sa.func.length(entry.c.head) == HEAD_LENGTH
    return (sa.or_(form.matches(entry.c.head), cut),)


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
    if column.key in _OF_RUN:
        column = of.c[column.key]
    return (SortKey(column, order.ascending),)

"""Clauses of a search as SQL conditions, and what every kind of search shares."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.core.filters import Clause
from lastgood.core.ids import printable
from lastgood.errors import InvalidInput
from lastgood.store.dialects import plain
from lastgood.store.tracking.keyset import SortKey

__all__ = [
    "LACKING",
    "NUMBERS",
    "PATTERNS",
    "TEXTS",
    "compare",
    "compared",
    "entry_exists",
    "has_entry",
    "has_metric",
    "metric_exists",
    "nullable_keys",
    "one_of",
    "refuse",
    "value_of",
]

Comparison = Callable[[sa.ColumnElement[Any]], sa.ColumnElement[bool]]

NUMBERS = frozenset({"=", "!=", "<", "<=", ">", ">="})
TEXTS = frozenset({"=", "!=", "LIKE", "ILIKE", "IN", "NOT IN"})
IN_MAX = 10_000  # values in one list
TEXT_LENGTH_MAX = 10_000  # of a value to compare with; SQLite refuses patterns of 50,000
PATTERNS = frozenset({"LIKE", "ILIKE"})
LACKING = frozenset({"IS NULL", "IS NOT NULL"})
"""Ask for the key and not for a value."""

_OPERATORS: dict[str, Callable[[sa.ColumnElement[Any], Any], sa.ColumnElement[bool]]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "LIKE": lambda column, value: plain(column.like(value)),
    "ILIKE": lambda column, value: plain(column.ilike(value)),
    "IN": lambda column, values: column.in_(values),
    "NOT IN": lambda column, values: column.not_in(values),
}


def refuse(clause: Clause, why: str) -> InvalidInput:
    """The error for a clause that the search does not know."""
    name = f"{clause.target} '{printable(clause.key)}'"
    return InvalidInput(f"Invalid clause on {name} at position {clause.position}: {why}")


def compare(
    clause: Clause, column: sa.ColumnElement[Any], operators: frozenset[str]
) -> sa.ColumnElement[bool]:
    """The comparison that the clause makes, on that column.

    Raises:
        InvalidInput: the operator or the kind of value is not right for the column.
    """
    value = value_of(clause, operators)
    # Single parameters, because a list that expands cannot be compiled once.
    operand = [sa.literal(one) for one in value] if isinstance(value, tuple) else value
    return compared(column, clause.operator, operand)


def compared(column: sa.ColumnElement[Any], operator: str, value: Any) -> sa.ColumnElement[bool]:
    """The comparison of a column with a value, a parameter, or a list of parameters."""
    return _OPERATORS[operator](column, value)


def value_of(clause: Clause, operators: frozenset[str]) -> str | float | tuple[str, ...]:
    """What the clause compares with, as a database takes it.

    Raises:
        InvalidInput: the operator is none of those, or the value is not of the right kind for them.
    """
    if clause.operator not in operators:
        expected = sorted(operators - LACKING)
        raise refuse(
            clause, f"Invalid comparison operator '{clause.operator}', expected one of {expected}"
        )
    value = clause.value
    if clause.operator in {"IN", "NOT IN"}:
        if not isinstance(value, tuple) or len(value) > IN_MAX:
            raise refuse(clause, f"expected a list of up to {IN_MAX} quoted strings in parentheses")
        return value
    if operators <= NUMBERS:
        if not isinstance(value, int | float):
            raise refuse(clause, "expected a number, not a quoted string")
        return value if -(2**63) <= value < 2**63 else float(value)
    if not isinstance(value, str) or len(value) > TEXT_LENGTH_MAX:
        raise refuse(
            clause, f"expected a quoted string value of up to {TEXT_LENGTH_MAX} characters"
        )
    return value


def has_entry(
    clause: Clause, table: sa.Table, owner: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """That the owner has a parameter or tag of the clause's key with such a value, or has or lacks the key."""
    return entry_exists(
        clause.key, clause.operator, lambda column: compare(clause, column, TEXTS), table, owner
    )


def entry_exists(
    key: str, operator: str, matches: Comparison, table: sa.Table, owner: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """That the owner has an entry of the key whose value matches; or, by the operator, has or lacks the key."""
    found: sa.Select[Any] = sa.select(sa.literal_column("1")).where(owner, table.c.key == key)
    if operator in LACKING:
        return ~found.exists() if operator == "IS NULL" else found.exists()
    return found.where(matches(table.c.value)).exists()


def has_metric(
    clause: Clause, table: sa.Table, *conditions: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    """That the owner has a metric of the clause's key with such a value. NaN differs from every number."""
    return metric_exists(
        clause.key,
        clause.operator,
        lambda column: compare(clause, column, NUMBERS),
        table,
        *conditions,
    )


def metric_exists(
    key: str,
    operator: str,
    matches: Comparison,
    table: sa.Table,
    *conditions: sa.ColumnElement[bool],
) -> sa.ColumnElement[bool]:
    """That there is a metric of the key, under those conditions, whose value matches."""
    c = table.c
    matching = matches(c.value)
    matching = sa.or_(c.is_nan, matching) if operator == "!=" else sa.and_(~c.is_nan, matching)
    return sa.select(sa.literal_column("1")).where(*conditions, c.key == key, matching).exists()


def one_of(column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """That the column has one of the values."""
    # A single value lets SQLite read an index in order; a list of one does not.
    if len(values) == 1:
        same: sa.ColumnElement[bool] = column == values[0]
        return same
    return column.in_([sa.literal(one) for one in values])


def nullable_keys(
    value: sa.ColumnElement[Any],
    empty: str | float,
    *,
    ascending: bool,
    is_nan: sa.ColumnElement[Any] | None = None,
) -> Sequence[SortKey]:
    """Sort by a value that may be missing: missing last in both directions, NaN just before it."""
    there = sa.literal_column("0") if is_nan is None else sa.cast(is_nan, sa.Integer)
    rank = sa.case((value.is_(None), sa.literal_column("2")), else_=there)
    return SortKey(rank, ascending=True), SortKey(
        sa.func.coalesce(value, sa.literal(empty)), ascending=ascending
    )

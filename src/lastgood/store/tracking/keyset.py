"""Paging by the place of the last row, not by counting: no row is skipped or shown twice while others are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lastgood.core.filters import Clause, Order
from lastgood.errors import InvalidInput

__all__ = ["Paging", "Scalar", "SortKey", "behind", "beyond", "ordering"]

Scalar = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """Which rows of all that match, in which order."""

    filters: Sequence[Clause] = ()
    orders: Sequence[Order] = ()
    lifecycles: Sequence[str]
    limit: int
    after: Sequence[Scalar] = ()
    """The sort values of the row before the first wanted; empty: from the start."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """One expression to sort by; it is never NULL."""

    expression: sa.ColumnElement[Any]
    ascending: bool


def ordering(keys: Sequence[SortKey]) -> list[sa.UnaryExpression[Any]]:
    """The ORDER BY of the keys."""
    return [key.expression.asc() if key.ascending else key.expression.desc() for key in keys]


def behind(keys: Sequence[SortKey], last: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The condition that a row comes after the row with those values, or with what is bound to those parameters.

    Raises:
        InvalidInput: there are not as many values as keys.
    """
    if len(last) != len(keys):
        raise InvalidInput("Invalid page token", hint="use the token that the same search returned")
    further = []
    for i, key in enumerate(keys):
        same = [k.expression == v for k, v in zip(keys[:i], last[:i], strict=True)]
        further.append(sa.and_(*same, beyond(key, last[i])))
    # The first key is repeated as a plain range, because an index cannot be used for an OR.
    first = keys[0]
    start = first.expression >= last[0] if first.ascending else first.expression <= last[0]
    return sa.and_(start, sa.or_(*further))


def beyond(key: SortKey, value: Any) -> sa.ColumnElement[bool]:
    """The condition that the expression alone puts a row after the value."""
    further: sa.ColumnElement[bool]
    further = key.expression > value if key.ascending else key.expression < value
    return further

"""Clauses without their values, so that one statement serves all searches of the same form.

To write a statement costs several times what it costs to run it, and most searches differ from the one
before in nothing but the number or the name that they compare with. So SQL is made of forms alone, and
what clauses compare with is bound when it runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lastgood.core.filters import Clause
from lastgood.store.schema import HEAD_LENGTH
from lastgood.store.tracking.clauses import LACKING, compared, value_of

__all__ = ["Form", "form_of"]

_NUMBERS: dict[type, sa.types.TypeEngine[Any]] = {int: sa.BigInteger(), float: sa.Float()}
_LAST_CHARACTER = "\U0010ffff"
_SURROGATES, _AFTER_SURROGATES = 0xD800, 0xE000  # no characters between these


@dataclass(frozen=True, slots=True)
class Form:
    """What a clause asks, but for the value: all that its SQL depends on."""

    place: int
    """The number of its clause in the filter. It names the parameters."""
    target: str
    key: str
    operator: str
    number: type[int] | type[float] | None = None
    """Of a number: its kind, whatever that of the column is."""
    is_long: bool = False
    """A text of which an index may not have everything."""
    has_start: bool = False
    """A pattern that begins with fixed characters."""
    has_end: bool = False
    """There is a text behind all those that begin so."""
    count: int = 0
    """Of a list: how many texts."""

    def matches(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """That the column compares with the value as the clause asks."""
        if self.count:
            return compared(column, self.operator, self._list("value", column))
        kind = _NUMBERS[self.number] if self.number else column.type
        return compared(column, self.operator, sa.bindparam(f"value_{self.place}", type_=kind))

    def heads_match(self, head: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """That the first characters are those of the value, or of one of the list."""
        if self.count:
            return head.in_(self._list("head", head))
        same: sa.ColumnElement[bool] = head == self._text("head", head)
        return same

    def starts(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        """That the column is in the range that holds whatever matches the pattern."""
        behind: sa.ColumnElement[bool] = column >= self._text("start", column)
        return sa.and_(behind, column < self._text("end", column)) if self.has_end else behind

    def _text(self, what: str, column: sa.ColumnElement[Any]) -> sa.BindParameter[Any]:
        return sa.bindparam(f"{what}_{self.place}", type_=column.type)

    def _list(self, what: str, column: sa.ColumnElement[Any]) -> Sequence[sa.BindParameter[Any]]:
        # Single parameters, because a list that expands cannot be compiled once.
        names = (f"{what}_{self.place}_{i}" for i in range(self.count))
        return [sa.bindparam(name, type_=column.type) for name in names]


def form_of(
    clause: Clause, place: int, *, key: str, operators: frozenset[str]
) -> tuple[Form, Mapping[str, Any]]:
    """The form of a clause; and what it compares with, by the names of the form's parameters.

    Args:
        clause: The clause.
        place: Its number in the filter.
        key: Its key, by the name that we know it by.
        operators: By which such a thing can be compared.

    Raises:
        InvalidInput: the operator is none of these, or the value is not of the right kind for them.
    """
    asked = (place, clause.target, key, clause.operator)
    if clause.operator in LACKING & operators:
        return Form(*asked), {}
    value = value_of(clause, operators)
    if isinstance(value, tuple):
        texts = {f"value_{place}_{i}": text for i, text in enumerate(value)}
        heads = {f"head_{place}_{i}": text[:HEAD_LENGTH] for i, text in enumerate(value)}
        return Form(*asked, count=len(value)), texts | heads
    values: dict[str, Any] = {f"value_{place}": value}
    if not isinstance(value, str):
        return Form(*asked, number=type(value)), values
    start = _fixed_start(value) if clause.operator == "LIKE" else ""
    end = _after_all_with(start)
    values |= {f"head_{place}": value[:HEAD_LENGTH], f"start_{place}": start, f"end_{place}": end}
    is_long = len(value) >= HEAD_LENGTH
    return Form(*asked, is_long=is_long, has_start=bool(start), has_end=bool(end)), values


def _fixed_start(pattern: str) -> str:
    return pattern.replace("_", "%").partition("%")[0][:HEAD_LENGTH]


def _after_all_with(start: str) -> str:
    """The least text that sorts behind every text with that start; empty if there is none."""
    rest = start.rstrip(_LAST_CHARACTER)
    if not rest:
        return ""
    further = ord(rest[-1]) + 1
    return rest[:-1] + chr(_AFTER_SURROGATES if further == _SURROGATES else further)

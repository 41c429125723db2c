"""Runs in the order of an index, so that a page costs what is on it and not what is in the table.

A search walks one or more legs, one after the other: by ``metrics.auc`` first the runs that have the
metric, then those where it is NaN, then those without it. Each leg reads one index of one experiment
in order and stops when the page is full.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from lastgood.core.filters import Order
from lastgood.store.database import Connection
from lastgood.store.schema import runs
from lastgood.store.statement import Row, Statement
from lastgood.store.tracking.clauses import one_of
from lastgood.store.tracking.forms import Form
from lastgood.store.tracking.keyset import Scalar, SortKey, behind, beyond, ordering
from lastgood.store.tracking.run_filters import (
    ENTRIES,
    INDEXED,
    MISSING,
    RANGES,
    condition,
    entry_matches,
    key_of,
    sort_keys,
    sorted_value,
)

__all__ = ["FOUND", "Leg", "Part", "Terms", "Walk", "walk_of"]

FOUND = (runs.c.run_id, runs.c.revision)
"""What a search reads of a run, before what it is sorted by; see `Revision`."""

_THERE, _NAN, _ABSENT = range(3)  # as the ranks of `nullable_keys`
_ONE: sa.ColumnElement[int] = sa.literal_column("1")
_experiment: sa.BindParameter[int] = sa.bindparam("experiment_id", type_=sa.Integer)
_lifecycle: sa.BindParameter[str] = sa.bindparam("lifecycle", type_=sa.String)
_limit: sa.BindParameter[int] = sa.bindparam("rows_max", type_=sa.Integer)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is searched for, apart from values to compare with, the experiments and the page."""

    lifecycles: tuple[str, ...]
    forms: tuple[Form, ...]
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What one index has together: an experiment, and one lifecycle where the index tells them apart."""

    experiment_id: int
    lifecycle: str
    values: Mapping[str, Any] = field(compare=False)
    """What the filters compare with."""


class Leg:
    """One stretch of a walk.

    Args:
        source: The table that leads, joined with what the filters and further orders need.
        conditions: Which rows, with `experiment_id` (and `lifecycle`) left to bind.
        ranges: More conditions, about the first key alone; not asked again of a value that they let through,
            because SQLite may then take the range from the index and not the value.
        keys: What the rows are sorted by; the index gives at least the first of them.
        fixed: Sort values before those, which are the same all along this leg.
        by_lifecycle: Whether `conditions` ask for one lifecycle.
        ties_turned: Whether equal values of the first key come out of the index in the wrong order.
            It has them by start, oldest first, which read backwards is the order wanted. Read forwards
            they have to be sorted, and there may be a million of them.
    """

    def __init__(
        self,
        source: sa.FromClause,
        conditions: Sequence[sa.ColumnElement[bool]],
        *,
        keys: Sequence[SortKey],
        ranges: Sequence[sa.ColumnElement[bool]] = (),
        fixed: tuple[Scalar, ...] = (),
        by_lifecycle: bool = False,
        ties_turned: bool = False,
    ) -> None:
        self.fixed = fixed
        self.keys = tuple(keys)
        self.by_lifecycle = by_lifecycle
        values = [*map(sa.literal, fixed), *(key.expression for key in keys)]
        self._rows = sa.select(*FOUND, *values).select_from(source)
        self._values = sa.select(keys[0].expression).select_from(source)
        self._conditions = tuple(conditions)
        self._ranges = tuple(ranges)
        self._statements: dict[tuple[bool, str], Statement] = {}
        self._ties_turned = ties_turned

    def read(
        self, connection: Connection, part: Part, limit: int, after: Sequence[Scalar]
    ) -> list[Row]:
        """The next rows of the leg, each with all of its sort values at the end.

        Args:
            connection: Where to read.
            part: Of which runs.
            limit: How many at most.
            after: The sort values, without the fixed ones, of the row before; empty: from the start.
        """
        bound: dict[str, Any] = {
            **part.values,
            "experiment_id": part.experiment_id,
            "lifecycle": part.lifecycle,
            "rows_max": limit,
        }
        bound |= {f"after_{i}": value for i, value in enumerate(after)}
        if not after:
            return self._go_on(connection, bound, started=False)
        found = self._statement("ties", started=True).all(connection, bound)
        if len(found) < limit:
            bound["rows_max"] = limit - len(found)
            found += self._go_on(connection, bound, started=True)
        return found

    def _go_on(self, connection: Connection, bound: dict[str, Any], *, started: bool) -> list[Row]:
        """Rows whose first value comes after the one bound, or all."""
        if not self._ties_turned:
            return self._statement("all", started=started).all(connection, bound)
        # The page ends among the rows of this value: those before it fit, and of these the first by start.
        border = self._statement("border", started=started).scalar(
            connection, bound | {"rows_max": 1, "rows_before": bound["rows_max"] - 1}
        )
        if border is None:
            return self._statement("all", started=started).all(connection, bound)
        bound |= {"border": border}
        found = self._statement("before border", started=started).all(connection, bound)
        bound["rows_max"] -= len(found)
        return found + self._statement("at border", started=started).all(connection, bound)

    def _statement(self, kind: str, *, started: bool) -> Statement:
        known = self._statements.get((started, kind))
        if known is None:
            known = self._statements[started, kind] = Statement(self._select(kind, started=started))
        return known

    def _select(self, kind: str, *, started: bool) -> sa.Select[Any]:
        first, rest = self.keys[0], self.keys[1:]
        conditions = [*self._conditions, *self._ranges]
        after = [_parameter(f"after_{i}", key) for i, key in enumerate(self.keys)]
        border = _parameter("border", first)
        if kind == "ties":
            same = [first.expression == after[0], behind(rest, after[1:])]
            return self._page(*self._conditions, *same, keys=rest)
        if started:
            conditions.append(beyond(first, after[0]))
        if kind == "border":
            values = self._values.where(*conditions).order_by(*ordering([first]))
            return values.limit(_limit).offset(sa.bindparam("rows_before", type_=sa.Integer))
        if kind == "before border":
            return self._page(*conditions, first.expression < border, keys=self.keys)
        if kind == "at border":
            return self._page(*self._conditions, first.expression == border, keys=rest)
        return self._page(*conditions, keys=self.keys)

    def _page(self, *conditions: sa.ColumnElement[bool], keys: Sequence[SortKey]) -> sa.Select[Any]:
        return self._rows.where(*conditions).order_by(*ordering(keys)).limit(_limit)


def _parameter(name: str, key: SortKey) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=key.expression.type)


@dataclass(frozen=True, slots=True)
class Walk:
    """The legs, in order."""

    legs: tuple[Leg, ...]
    checked: tuple[Form, ...]
    """Filters that are looked up for each run, because the index knows nothing of them."""


def walk_of(terms: Terms) -> Walk | None:
    """A walk in the order that is asked for; None if no index has that order.

    Raises:
        InvalidInput: runs cannot be sorted so.
    """
    first = terms.orders[0] if terms.orders else None
    if first is not None and first.target in ENTRIES:
        return _by_entry(terms, first)
    if first is not None and key_of(first) == "end_time":
        return _by_end(terms, first)
    keys, source = sort_keys(terms.orders)
    by_start = first is None or key_of(first) == "start_time"
    if by_start and len(keys) == 2 and (equal := _equal_entry(terms.forms)):
        return _by_equal_entry(terms, equal)
    if first is not None and key_of(first) not in INDEXED:
        return None
    name = "start_time" if first is None else key_of(first)
    own, others = _split(terms.forms, "attribute", name)
    leg = Leg(
        source,
        [*_of_part(), *map(condition, others)],
        keys=keys,
        ranges=[*map(condition, own)],
        by_lifecycle=True,
        ties_turned=keys[0].ascending and not by_start,
    )
    return Walk((leg,), _without_first(terms.forms, _is_exact if by_start else _is_nothing))


def _by_equal_entry(terms: Terms, form: Form) -> Walk:
    """Runs by start with a parameter or tag of one value: its index has equal values by start."""
    entry = ENTRIES[form.target].alias("leading")
    others = tuple(c for c in terms.forms if c is not form)
    keys, source = sort_keys(terms.orders, _with_runs(entry), entry)
    leg = Leg(
        source,
        [
            *_of_entry(entry, terms, others),
            entry.c.key == form.key,
            *(entry_matches(form, entry) or ()),
        ],
        keys=keys,
    )
    return Walk((leg,), others)


def _by_entry(terms: Terms, order: Order) -> Walk:
    """Runs by a metric, parameter or tag: those that have it, those where it is NaN, those without it."""
    table = ENTRIES[order.target]
    entry = table.alias("leading")
    own, _ = _split(terms.forms, order.target, order.key)
    matches = entry_matches(own[0], entry) if own else None
    checked = tuple(c for c in terms.forms if matches is None or c is not own[0])
    rest, source = sort_keys(terms.orders[1:], _with_runs(entry), entry)
    conditions = [*_of_entry(entry, terms, checked), entry.c.key == order.key]
    numbers = [~entry.c.is_nan] if order.target == "metric" else []
    first = SortKey(sorted_value(order.target, entry), order.ascending)
    legs = [
        Leg(
            source,
            [*conditions, *numbers],
            fixed=(_THERE,),
            ranges=matches or (),
            keys=(first, *rest),
            ties_turned=first.ascending,
        )
    ]
    missing = MISSING[order.target]
    if matches is None:  # else the others do not match
        if order.target == "metric":
            legs.append(
                Leg(source, [*conditions, entry.c.is_nan], fixed=(_NAN, missing), keys=rest)
            )
        has = sa.select(_ONE).where(table.c.run_id == runs.c.run_id, table.c.key == order.key)
        legs.append(_leg_without(terms, ~has.exists(), fixed=(_ABSENT, missing)))
    return Walk(tuple(legs), checked)


def _by_end(terms: Terms, order: Order) -> Walk:
    """Runs by their end: those that have ended, then those that go on."""
    rest, source = sort_keys(terms.orders[1:])
    end = runs.c.end_ms
    own, others = _split(terms.forms, "attribute", "end_time")
    ended = Leg(
        source,
        [*_of_part(), *map(condition, others)],
        ranges=[end.is_not(None), *map(condition, own)],
        fixed=(_THERE,),
        keys=(SortKey(end, order.ascending), *rest),
        by_lifecycle=True,
        ties_turned=order.ascending,
    )
    if own:  # no comparison holds for a run that goes on
        return Walk((ended,), tuple(others))
    return Walk((ended, _leg_without(terms, end.is_(None), fixed=(_ABSENT, 0))), terms.forms)


def _leg_without(
    terms: Terms, lacking: sa.ColumnElement[bool], *, fixed: tuple[Scalar, ...]
) -> Leg:
    keys, source = sort_keys(terms.orders[1:])
    conditions = [*_of_part(), lacking, *map(condition, terms.forms)]
    return Leg(source, conditions, fixed=fixed, keys=keys, by_lifecycle=True)


def _of_part() -> tuple[sa.ColumnElement[bool], ...]:
    return runs.c.experiment_id == _experiment, runs.c.lifecycle == _lifecycle


def _of_entry(
    entry: Any, terms: Terms, forms: Sequence[Form]
) -> tuple[sa.ColumnElement[bool], ...]:
    # Nothing is asked of the runs that one of their own indexes could answer: the entry's index must lead.
    living = one_of(runs.c.lifecycle, terms.lifecycles)
    matching = (condition(form, entry) for form in forms)
    return entry.c.experiment_id == _experiment, living, *matching


def _with_runs(entry: Any) -> sa.FromClause:
    joined: sa.FromClause = entry.join(runs, runs.c.run_id == entry.c.run_id)
    return joined


def _split(forms: Sequence[Form], target: str, key: str) -> tuple[list[Form], list[Form]]:
    """Forms about that, and the others."""
    own = [c for c in forms if (c.target, c.key) == (target, key)]
    return own, [c for c in forms if c not in own]


def _equal_entry(forms: Sequence[Form]) -> Form | None:
    return next((c for c in forms if c.target in {"param", "tag"} and c.operator == "="), None)


def _is_exact(form: Form) -> bool:
    """Whether an index of the runs has what matches in the order of start."""
    if form.target != "attribute":
        return False
    if form.key == "start_time":
        return form.operator in RANGES
    return form.key in INDEXED and form.operator == "="


def _is_nothing(_form: Form) -> bool:
    return False


def _without_first(forms: Sequence[Form], known: Callable[[Form], bool]) -> tuple[Form, ...]:
    first = next((form for form in forms if known(form)), None)
    return tuple(form for form in forms if form is not first)

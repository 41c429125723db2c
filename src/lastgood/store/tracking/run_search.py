"""Searches for runs: the cheaper of two ways to a page.

Where a filter leaves few runs, all of them are fetched and sorted. Else there are many, and they are
walked in the order of an index until the page is full. Both ways give the same rows and sort values,
so that a page token of one is good for the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from lastgood.errors import InvalidInput
from lastgood.store.database import Connection
from lastgood.store.lists import among, listed
from lastgood.store.schema import runs
from lastgood.store.statement import Row, Statement
from lastgood.store.tracking.clauses import one_of
from lastgood.store.tracking.forms import Form
from lastgood.store.tracking.keyset import Paging, Scalar, SortKey, behind, ordering
from lastgood.store.tracking.revisions import Revision
from lastgood.store.tracking.run_filters import (
    RANGES,
    candidates,
    condition,
    forms_of,
    is_scan,
    of_experiments,
    sort_keys,
)
from lastgood.store.tracking.run_walks import FOUND, Leg, Part, Terms, Walk, walk_of

__all__ = ["search_runs"]

FEW = 5_000  # runs that are fetched and sorted in the time in which a walk passes as many
# The same where every value of an index is compared with a pattern: so many are soon found, or the pattern is rare.
FEW_SCANNED = 500
ROWS_PER_PART_MIN = 4
STATEMENTS_KEPT_MAX = 128
_WIDTH = len(FOUND)
_EXACT_IDS = frozenset({"=", "IN"})


def search_runs(
    connection: Connection, experiment_ids: Sequence[int], paging: Paging, *, few: int = FEW
) -> tuple[list[Revision], list[Scalar]]:
    """Runs that match, and their revisions; and, if there are more, the sort values of the last one.

    Args:
        connection: Where to search.
        experiment_ids: The experiments to search; at least one.
        paging: What, in which order, and how many.
        few: How many runs are fetched and sorted rather than walked past.

    Raises:
        InvalidInput: a filter or order that runs do not have.
    """
    forms, values = forms_of(paging.filters)
    terms = Terms(tuple(paging.lifecycles), forms, tuple(paging.orders))
    asked = _Asked(tuple(experiment_ids), terms, values, _checked_after(terms, paging))
    rows, last = _rows(connection, asked, paging.limit, few)
    return [row[:_WIDTH] for row in rows], last


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is searched for, and where."""

    experiment_ids: tuple[int, ...]
    terms: Terms
    values: Mapping[str, Any]
    """What the filters compare with."""
    after: Sequence[Scalar]

    @property
    def several(self) -> bool:
        """Whether more than one experiment is searched."""
        return len(self.experiment_ids) > 1

    def bound(self, connection: Connection, **more: Any) -> dict[str, Any]:
        """What the parameters stand for of a statement about all the experiments at once."""
        ids = self.experiment_ids
        if self.several:
            return {**self.values, "experiment_ids": listed(connection, ids), **more}
        return {**self.values, "experiment_id": ids[0], **more}


def _rows(
    connection: Connection, asked: _Asked, shown_max: int, few: int
) -> tuple[Sequence[Row], list[Scalar]]:
    limit, terms = shown_max + 1, asked.terms
    walk = _walk(terms)
    selective, ids = _selective(connection, asked, few) if walk and walk.checked else (None, ())
    if walk is None or selective is not None:
        statement = _sorted(terms, selective, several=asked.several, started=bool(asked.after))
        more = {f"after_{i}": value for i, value in enumerate(asked.after)}
        more |= {"rows_max": limit, "few_ids": listed(connection, ids)}
        rows = statement.all(connection, asked.bound(connection, **more))
    else:
        rows = _walked(connection, walk, asked, limit)
    if len(rows) < limit:
        return rows, []
    return rows[:-1], list(rows[-2][_WIDTH:])


def _checked_after(terms: Terms, paging: Paging) -> Sequence[Scalar]:
    if paging.after and len(paging.after) != len(_keys(terms)):
        raise InvalidInput("Invalid page token", hint="use the token that the same search returned")
    return paging.after


# Building statements costs more than running them, and searches repeat: pages, dashboards.


@lru_cache(maxsize=STATEMENTS_KEPT_MAX)
def _walk(terms: Terms) -> Walk | None:
    return walk_of(terms)


@lru_cache(maxsize=STATEMENTS_KEPT_MAX)
def _keys(terms: Terms) -> Sequence[SortKey]:
    return sort_keys(terms.orders)[0]


@lru_cache(maxsize=STATEMENTS_KEPT_MAX)
def _sorted(terms: Terms, selective: Form | None, *, several: bool, started: bool) -> Statement:
    """All runs that match, sorted; if a filter leaves few of them, found from its index or from `few_ids`."""
    keys, source = sort_keys(terms.orders)
    of: sa.ColumnElement[int] = runs.c.experiment_id
    living: sa.ColumnElement[str] = runs.c.lifecycle
    conditions = {form: condition(form) for form in terms.forms}
    few: list[sa.ColumnElement[bool]] = []
    if selective is not None:
        # Wrapped, so that no database takes the runs from an index of theirs and looks for the few among them.
        of, living = sa.func.coalesce(of, 0), sa.func.coalesce(living, "")
        ids = candidates(selective, terms.lifecycles, several=several)
        if is_scan(selective):
            few.append(among(runs.c.run_id, sa.bindparam("few_ids")))
        elif ids is not None:
            few.append(runs.c.run_id.in_(ids))
            if selective.operator in RANGES:  # the index knows no more than those that match
                del conditions[selective]
    if started:
        after = [sa.bindparam(f"after_{i}", type_=k.expression.type) for i, k in enumerate(keys)]
        few.append(behind(keys, after))
    query = sa.select(*FOUND, *(key.expression for key in keys)).select_from(source)
    of_part = of_experiments(of, several=several), one_of(living, terms.lifecycles)
    query = query.where(*of_part, *conditions.values(), *few)
    limit = sa.bindparam("rows_max", type_=sa.Integer)
    return Statement(query.order_by(*ordering(keys)).limit(limit))


@lru_cache(maxsize=STATEMENTS_KEPT_MAX)
def _some(form: Form, lifecycles: tuple[str, ...], *, several: bool) -> Statement | None:
    """How many runs match, or which if to find that out is a scan; no more than `most`. None if no index tells."""
    ids = candidates(form, lifecycles, several=several)
    if ids is None:
        return None
    ids = ids.limit(sa.bindparam("most", type_=sa.Integer))
    if is_scan(form):
        return Statement(ids)
    return Statement(sa.select(sa.func.count()).select_from(ids.subquery("some")))


def _selective(
    connection: Connection, asked: _Asked, few: int
) -> tuple[Form | None, Sequence[str]]:
    """A filter that leaves few runs, so that it is better to begin with these; and which, if it took a scan."""
    for form in sorted(asked.terms.forms, key=is_scan):
        if (form.target, form.key) == ("attribute", "run_id"):
            if form.operator in _EXACT_IDS:
                return form, ()
            continue
        statement = _some(form, asked.terms.lifecycles, several=asked.several)
        if statement is None:
            continue
        most = min(few, FEW_SCANNED) if is_scan(form) else few
        rows = statement.all(connection, asked.bound(connection, most=most + 1))
        if is_scan(form):
            if len(rows) <= most:
                return form, [run_id for (run_id,) in rows]
        elif rows[0][0] <= most:
            return form, ()
    return None, ()


def _walked(connection: Connection, walk: Walk, asked: _Asked, limit: int) -> list[Row]:
    legs, after = _legs_left(walk, asked.after)
    found: list[Row] = []
    for leg in legs:
        lifecycles = asked.terms.lifecycles if leg.by_lifecycle else ("",)
        of = product(asked.experiment_ids, lifecycles)
        parts = [Part(*pair, asked.values) for pair in of]
        found += _merged(connection, leg, parts, limit - len(found), after)
        if len(found) >= limit:
            break
        after = ()
    return found


def _legs_left(walk: Walk, after: Sequence[Scalar]) -> tuple[Sequence[Leg], Sequence[Scalar]]:
    """The leg on which the last page ended and those behind it; and where on it the page ended."""
    if not after:
        return walk.legs, ()
    for i, leg in enumerate(walk.legs):
        width = len(leg.fixed)
        if tuple(after[:width]) == leg.fixed:
            return walk.legs[i:], after[width:]
    raise InvalidInput("Invalid page token", hint="use the token that the same search returned")


def _merged(
    connection: Connection, leg: Leg, parts: Sequence[Part], limit: int, after: Sequence[Scalar]
) -> list[Row]:
    """The first rows of all parts together."""
    if len(parts) == 1:
        return leg.read(connection, parts[0], limit, after)
    # As if the page were spread evenly; where it is not, those parts that have more of it are read further.
    asked = dict.fromkeys(parts, min(limit, 2 * limit // len(parts) + ROWS_PER_PART_MIN))
    found: dict[Part, list[Row]] = {}
    behind_page = list(parts)
    while behind_page:
        for part in behind_page:
            found[part] = leg.read(connection, part, asked[part], after)
        rows = [row for some in found.values() for row in some]
        page = _in_order(rows, leg)[:limit]
        shown = {row[0] for row in page[:-1]}
        full = [p for p in parts if len(found[p]) == asked[p] < limit]
        behind_page = [p for p in full if len(page) < limit or found[p][-1][0] in shown]
        for part in behind_page:
            asked[part] = min(limit, asked[part] * 4)
    return page


def _in_order(rows: list[Row], leg: Leg) -> list[Row]:
    start = _WIDTH + len(leg.fixed)
    for i, key in reversed(list(enumerate(leg.keys))):
        rows.sort(key=itemgetter(start + i), reverse=not key.ascending)
    return rows

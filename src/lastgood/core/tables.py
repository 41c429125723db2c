"""How two tables differ: columns, rows, and how far the values of each column moved. Pure."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Column", "ColumnMove", "Table", "TableMove", "compare_tables"]

Column = Sequence[str]
"""The cells as text; empty where there is none."""
Table = Mapping[str, Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMove:
    """How the values of one column moved."""

    column: str
    kind: str
    """``number`` or ``text``; ``number -> text`` if that changed."""
    distance: float
    """0 the same distribution, 1 nothing in common: Kolmogorov-Smirnov for numbers, total variation for text."""
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMove:
    """How one dataset moved."""

    data: str
    rows_before: int
    rows_after: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    columns: tuple[ColumnMove, ...]
    """Those whose values moved, the furthest first."""


def compare_tables(data: str, before: Table, after: Table) -> TableMove:
    """Compare column by column, by name."""
    moves = [_column(name, before[name], after[name]) for name in before if name in after]
    moved = sorted(
        (m for m in moves if m.distance > 0 or "->" in m.kind), key=lambda m: -m.distance
    )
    return TableMove(
        data=data,
        rows_before=_rows(before),
        rows_after=_rows(after),
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        columns=tuple(moved),
    )


def _rows(table: Table) -> int:
    return max((len(column) for column in table.values()), default=0)


def _column(name: str, before: Column, after: Column) -> ColumnMove:
    old, new = _numbers(before), _numbers(after)
    if old is None or new is None:
        kinds = ["text" if numbers is None else "number" for numbers in (old, new)]
        kind = kinds[0] if kinds[0] == kinds[1] else " -> ".join(kinds)
        distance, words = _variation(before, after)
    else:
        kind, distance = "number", _kolmogorov(sorted(old), sorted(new))
        words = f"mean {_mean(old)} -> {_mean(new)}"
    gaps = [sum(not cell for cell in column) for column in (before, after)]
    if gaps[0] != gaps[1]:
        words += f", empty {gaps[0]} -> {gaps[1]}"
    return ColumnMove(column=name, kind=kind, distance=round(distance, 6), words=words)


def _numbers(column: Column) -> list[float] | None:
    """The cells that are not empty as numbers; None if one is no finite number."""
    found = []
    for cell in column:
        if cell:
            try:
                number = float(cell)
            except ValueError:
                return None
            if not math.isfinite(number):
                return None
            found.append(number)
    return found


def _mean(numbers: list[float]) -> str:
    return f"{sum(numbers) / len(numbers):g}" if numbers else "nothing"


def _kolmogorov(old: list[float], new: list[float]) -> float:
    """The largest gap between the two cumulative distributions."""
    if not old or not new:
        return float(bool(old) != bool(new))
    return max(
        abs(bisect_right(old, x) / len(old) - bisect_right(new, x) / len(new)) for x in {*old, *new}
    )


def _variation(before: Column, after: Column) -> tuple[float, str]:
    """Half of the sum of how much each value's share changed; and the value that changed most."""
    old, new = Counter(before), Counter(after)
    if not before or not after:
        return float(bool(before) != bool(after)), ""
    gaps = {v: new[v] / len(after) - old[v] / len(before) for v in {*old, *new}}
    value = max(sorted(gaps), key=lambda v: abs(gaps[v]))
    share = f"{old[value] / len(before):.1%} -> {new[value] / len(after):.1%}"
    return sum(abs(gap) for gap in gaps.values()) / 2, f"{value[:40]!r} {share}"

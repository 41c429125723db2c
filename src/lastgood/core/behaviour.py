"""How often two models answer differently: a pure rule over their answers to the same input."""

import math
from dataclasses import dataclass
from typing import Any

from lastgood.core.comparison import first_different_answer

__all__ = ["Behaviour", "compare_answers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How much of the answers changed."""

    answers: int
    changed: int
    share: float | None
    """Changed answers of all; None if there were none to compare."""
    largest: float | None
    """The largest difference of two numbers, if the answers are numbers."""
    first: str
    """The first difference in words; empty if there is none."""


def compare_answers(before: Any, after: Any, *, tolerance: float) -> Behaviour:
    """Compare answer by answer; lists of other length differ in what one has and the other lacks."""
    old, new = (value if isinstance(value, list) else [value] for value in (before, after))
    changed = [
        index
        for index in range(max(len(old), len(new)))
        if index >= min(len(old), len(new))
        or first_different_answer(old[index], new[index], tolerance)
    ]
    count = max(len(old), len(new))
    gaps = [
        abs(a - b)
        for a, b in zip(_numbers(old), _numbers(new), strict=False)
        if math.isfinite(a) and math.isfinite(b)
    ]
    return Behaviour(
        answers=count,
        changed=len(changed),
        share=len(changed) / count if count else None,
        largest=max(gaps) if gaps and len(old) == len(new) else None,
        first=first_different_answer(old, new, tolerance),
    )


def _numbers(answers: list[Any]) -> list[float]:
    plain = all(isinstance(a, int | float) and not isinstance(a, bool) for a in answers)
    return [float(a) for a in answers] if plain else []

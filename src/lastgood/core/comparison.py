"""Is what was made again the same? Bytes first, then metrics, then answers: pure rules with one verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lastgood.core.ids import Digest, printable

__all__ = ["Comparison", "Remade", "compare", "first_different_answer", "lasting_lines"]

SHOWN_LENGTH_MAX = 80
_VOLATILE = ("utc_time_created:", "model_uuid:", "run_id:", "model_id:")
"""What MLflow writes into an MLmodel file that differs each time: moments and random names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remade:
    """What is compared of the version as it was recorded, or as it was made again."""

    files: Mapping[str, Digest]
    """Of an MLmodel file, the digest of its lasting lines."""
    metrics: Mapping[str, float | str]
    answers: Any = None
    """To the input example; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The verdict."""

    equal: Literal["bitwise", "metrics", "predictions", "nothing"]
    words: str


def compare(recorded: Remade, made: Remade, *, tolerance: float) -> Comparison:
    """Compare in order; what is not known on either side neither passes nor fails.

    Args:
        recorded: The version.
        made: What was made again.
        tolerance: How much numbers may differ, relative to the greater one and at least absolutely.
    """
    file = next(
        (
            path
            for path in sorted({*recorded.files, *made.files})
            if recorded.files.get(path) != made.files.get(path)
        ),
        None,
    )
    if file is None:
        return Comparison(equal="bitwise", words="bitwise")
    for name in sorted({*recorded.metrics, *made.metrics}) if made.metrics else ():
        before, after = recorded.metrics.get(name), made.metrics.get(name)
        if not _close(before, after, tolerance):
            return _different(f"metric {printable(name)}: {before} -> {after}")
    known = recorded.answers is not None and made.answers is not None
    if known and (where := first_different_answer(recorded.answers, made.answers, tolerance)):
        return _different(where)
    within = f"within {tolerance:g} (the bytes of {printable(file)} differ)"
    if recorded.metrics and made.metrics:
        also = ", predictions too" if known else ""
        return Comparison(equal="metrics", words=f"metrics equal {within}{also}")
    if known:
        return Comparison(equal="predictions", words=f"predictions equal {within}")
    return _different(f"the bytes of {printable(file)}; no metrics or golden answers to compare")


def first_different_answer(
    before: Any,
    after: Any,
    tolerance: float,
    where: str = "answer",
    *,
    absolute: float | None = None,
) -> str:
    """Where two answers differ first, in words; empty if they are equal within the tolerance.

    Args:
        before: An answer, as JSON has it.
        after: Another.
        tolerance: How much numbers may differ, relative to the greater one.
        where: What the answer is called.
        absolute: How much they may differ at least; None: as much as relatively.
    """
    if isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            return f"{where}: {len(before)} items -> {len(after)}"
        pairs = (
            (f"{where}[{i}]", a, b) for i, (a, b) in enumerate(zip(before, after, strict=True))
        )
    elif isinstance(before, dict) and isinstance(after, dict):
        if before.keys() != after.keys():
            return f"{where}: other names"
        pairs = ((f"{where}.{printable(str(k))}", before[k], after[k]) for k in before)
    else:
        return (
            ""
            if _close(before, after, tolerance, absolute)
            else f"{where}: {_shown(before)} -> {_shown(after)}"
        )
    found = (first_different_answer(a, b, tolerance, at, absolute=absolute) for at, a, b in pairs)
    return next((words for words in found if words), "")


def lasting_lines(mlmodel: bytes) -> bytes:
    """An MLmodel file without the lines that differ each time it is written."""
    lines = mlmodel.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.decode("latin-1").startswith(_VOLATILE))


def _different(what: str) -> Comparison:
    return Comparison(equal="nothing", words=f"different: first difference is {what}")


def _close(before: Any, after: Any, tolerance: float, absolute: float | None = None) -> bool:
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after  # true and 1.0 are two answers to whoever reads them
    if isinstance(before, int | float) and isinstance(after, int | float):
        least = tolerance if absolute is None else absolute
        return math.isclose(before, after, rel_tol=tolerance, abs_tol=least)
    return bool(before == after)


def _shown(value: Any) -> str:
    return printable(str(value), length_max=SHOWN_LENGTH_MAX)

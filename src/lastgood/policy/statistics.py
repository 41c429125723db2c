"""Is the difference of two versions, row by row, more than chance? NumPy and SciPy are loaded only here."""

import csv
import io
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["NoAnswer", "RowComparison", "compare_rows"]

ROWS_MIN = 20
ROWS_MAX = 200_000
RESAMPLES = 2000
BATCH = 50  # resamples at once: bounds the memory
SEED = 20_260_101  # fixed: the same evidence must always give the same verdict
ID = "id"


class NoAnswer(Exception):
    """Why the results cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowComparison:
    """The mean of the differences (candidate minus live), its interval, and how surprising it is."""

    rows: int
    mean: float
    low: float
    high: float
    p: float
    method: str


# Evidence is immutable, so that an answer computed before a transaction is at hand within it.
@lru_cache(maxsize=64)
def compare_rows(candidate: bytes, live: bytes, *, column: str, confidence: float) -> RowComparison:
    """Compare two CSV files with a result per row, paired by the column ``id``, else by position.

    The interval is that of a paired bootstrap. Where all results are 0 or 1, `p` is McNemar's exact
    test, else the share of resamples on the other side of zero, doubled.

    Raises:
        NoAnswer: the files cannot be paired, are too short, hold no numbers, or SciPy is missing.
    """
    ours, theirs = _read(candidate, column), _read(live, column)
    if ours.keys() != theirs.keys():
        raise NoAnswer("the two versions were not evaluated on the same rows")
    if not ROWS_MIN <= len(ours) <= ROWS_MAX:
        raise NoAnswer(f"{len(ours)} rows; from {ROWS_MIN} to {ROWS_MAX:,} can be compared")
    pairs = [(ours[key], theirs[key]) for key in sorted(ours)]
    try:
        return _compare(pairs, confidence)
    except ImportError as error:
        raise NoAnswer("SciPy is not installed: pip install 'lastgood[stats]'") from error


def _read(data: bytes, column: str) -> dict[str, float]:
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise NoAnswer(f"it is not a CSV file: {error}") from error
    if not rows or column not in rows[0]:
        raise NoAnswer(f"it has no column '{column}'")
    found: dict[str, float] = {}
    for position, row in enumerate(rows):
        key = row.get(ID) or f"{position:09}"
        found[key] = _number(row[column])
    if len(found) != len(rows):
        raise NoAnswer("an id is there twice")
    return found


def _number(text: str | None) -> float:
    lowered = (text or "").strip().lower()
    if lowered in {"true", "false"}:
        return float(lowered == "true")
    try:
        value = float(lowered)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise NoAnswer(f"'{(text or '')[:40]}' is not a number")
    return value


def _compare(pairs: list[tuple[float, float]], confidence: float) -> RowComparison:
    import numpy as np
    from scipy.stats import binomtest

    both = np.asarray(pairs)
    differences = both[:, 0] - both[:, 1]
    means = _resampled(differences)
    tail = (1 - confidence) / 2
    low, high = (float(v) for v in np.quantile(means, [tail, 1 - tail]))
    if bool(np.isin(both, (0.0, 1.0)).all()):
        won, lost = int((differences > 0).sum()), int((differences < 0).sum())
        p = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
        method = "paired bootstrap, McNemar"
    else:
        beyond = min(float((means <= 0).mean()), float((means >= 0).mean()))
        p, method = min(1.0, 2 * max(beyond, 1 / RESAMPLES)), "paired bootstrap"
    return RowComparison(
        rows=len(pairs), mean=float(differences.mean()), low=low, high=high, p=p, method=method
    )


def _resampled(differences: Any) -> Any:
    import numpy as np

    random = np.random.default_rng(SEED)
    size = len(differences)
    parts = [
        differences[random.integers(0, size, (BATCH, size), dtype=np.int32)].mean(axis=1)
        for _ in range(RESAMPLES // BATCH)
    ]
    return np.concatenate(parts)

"""Finding the first bad version by halving: which to try next, and when it is found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lastgood.core.ids import VersionNumber
from lastgood.errors import InvalidInput

__all__ = ["Found", "Verdict", "between", "next_step", "steps_left"]

Verdict = Literal["good", "bad", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The end of the search."""

    first_bad: VersionNumber
    last_good: VersionNumber
    suspects: tuple[VersionNumber, ...] = ()
    """Skipped versions between the two: any of them may be the first bad one."""


def between(
    versions: Sequence[VersionNumber], *, good: VersionNumber, bad: VersionNumber
) -> tuple[VersionNumber, ...]:
    """The versions from the good one to the bad one, oldest first.

    Raises:
        InvalidInput: the good one is not older than the bad one.
    """
    if good >= bad:
        raise InvalidInput(
            f"The good version ({good}) has to be older than the bad one ({bad})",
            hint="to look for the version that repaired something, let CMD exit 0 while it is broken",
        )
    return tuple(sorted(number for number in versions if good <= number <= bad))


def next_step(
    versions: Sequence[VersionNumber], verdicts: Mapping[VersionNumber, Verdict]
) -> VersionNumber | Found:
    """The version to try next, or the end.

    Args:
        versions: Oldest first; the first is known to be good, the last to be bad.
        verdicts: What was found out about others.
    """
    low, high = _bounds(versions, verdicts)
    untried = [i for i in range(low + 1, high) if versions[i] not in verdicts]
    if not untried:
        return Found(
            first_bad=versions[high],
            last_good=versions[low],
            suspects=tuple(versions[low + 1 : high]),
        )
    middle = (low + high) / 2
    return versions[min(untried, key=lambda i: abs(i - middle))]


def steps_left(versions: Sequence[VersionNumber], verdicts: Mapping[VersionNumber, Verdict]) -> int:
    """How many trials there are still, about."""
    low, high = _bounds(versions, verdicts)
    untried = sum(versions[i] not in verdicts for i in range(low + 1, high))
    return untried.bit_length()


def _bounds(
    versions: Sequence[VersionNumber], verdicts: Mapping[VersionNumber, Verdict]
) -> tuple[int, int]:
    """Positions of the newest good version and of the oldest bad one after it."""
    high = next(
        (i for i in range(1, len(versions) - 1) if verdicts.get(versions[i]) == "bad"),
        len(versions) - 1,
    )
    low = max((i for i in range(1, high) if verdicts.get(versions[i]) == "good"), default=0)
    return low, high

"""Evidence: what somebody found out about a version after its bytes were fixed.

It is not part of the manifest: the same bytes keep their digest, whatever is found out about them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from lastgood.core.ids import Digest, parse_digest, printable
from lastgood.errors import InvalidInput, TooLarge

__all__ = ["GOLDEN", "LOAD_TEST", "REPRODUCED", "Evidence", "EvidenceOutcome", "check_evidence"]

LOAD_TEST = "load_test"
"""It was loaded and answered its input example; the object holds the golden answers."""
GOLDEN = "golden"
"""Asked again later, it still gave its golden answers."""
REPRODUCED = "reproduced"
"""It was made again from what its manifest records; the object is the certificate."""

NAME_LENGTH_MAX = 100
SUMMARY_LENGTH_MAX = 2000
FIGURES_MAX = 100
FIGURE_LENGTH_MAX = 500
EVIDENCE_MAX = 50

EvidenceOutcome = Literal["pass", "fail", "unknown"]
_OUTCOMES = ("pass", "fail", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One finding. Of several with one name the newest counts."""

    name: str
    outcome: EvidenceOutcome
    summary: str = ""
    figures: dict[str, float | str] = field(default_factory=dict)
    """NaN and infinities as the strings NaN, Infinity, -Infinity."""
    object: Digest | None = None
    """An object with the details, stored before."""


def check_evidence(evidence: Iterable[Evidence]) -> None:
    """Bound what a client may record.

    Raises:
        InvalidInput: no name, a name twice, an unknown outcome, no digest. TooLarge: names the field.
    """
    seen: set[str] = set()
    for one in evidence:
        _check(one)
        if one.name in seen:
            raise InvalidInput(f"Evidence '{printable(one.name)}' is given twice")
        seen.add(one.name)
    if len(seen) > EVIDENCE_MAX:
        raise TooLarge(f"At most {EVIDENCE_MAX} pieces of evidence at once; these are {len(seen)}")


def _check(one: Evidence) -> None:
    if not one.name or not one.name.isprintable():
        raise InvalidInput(f"Evidence needs a name that can be printed: '{printable(one.name)}'")
    if one.outcome not in _OUTCOMES:
        raise InvalidInput(f"'{printable(one.outcome)}' is no outcome: pass, fail or unknown")
    if one.object is not None:
        parse_digest(one.object)
    shown = printable(one.name)
    if len(one.name) > NAME_LENGTH_MAX or len(one.summary) > SUMMARY_LENGTH_MAX:
        raise TooLarge(
            f"Evidence '{shown}': a name may have {NAME_LENGTH_MAX} characters, a summary {SUMMARY_LENGTH_MAX:,}"
        )
    texts = [*one.figures, *(value for value in one.figures.values() if isinstance(value, str))]
    if len(one.figures) > FIGURES_MAX or any(len(text) > FIGURE_LENGTH_MAX for text in texts):
        raise TooLarge(
            f"Evidence '{shown}': at most {FIGURES_MAX} figures of up to {FIGURE_LENGTH_MAX} characters"
        )

"""Verdicts: what a gate said, with the figures it said it on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lastgood.core.evidence import EvidenceOutcome

__all__ = ["Verdict", "blocking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one gate said of one version."""

    gate: str
    outcome: EvidenceOutcome
    message: str
    figures: dict[str, float | str] = field(default_factory=dict)
    """What it was decided on; NaN and infinities as strings."""
    may_pass_later: bool = False
    """Whether time, or people, may change it without another version."""
    next_step: str = ""
    """What would change it; may name a command."""


def blocking(verdicts: Sequence[Verdict], *, unknown_blocks: bool) -> tuple[Verdict, ...]:
    """Those that stand in the way, failures first."""
    failed = [v for v in verdicts if v.outcome == "fail"]
    open_ = [v for v in verdicts if v.outcome == "unknown"] if unknown_blocks else []
    return (*failed, *open_)

"""What happened in a demo, as values, and the figures that follow from it. No clock, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from lastgood.core.ids import Digest, Instant, OperationId, RequestId, VersionNumber

__all__ = [
    "Answer",
    "Episode",
    "Findings",
    "Metrics",
    "Rollback",
    "Switch",
    "churner_share",
    "delay_text",
    "failures",
    "last_wrong_answer",
    "requests_per_second",
    "wrong_after",
]

SETTLED_MIN = 30
"""Fewer answers than this do not make a share."""
NO_ID = RequestId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One request of the stream and what came back. Times are milliseconds since 1970."""

    customer: int
    """Which customer was asked about."""
    sent_ms: float
    answered_ms: float
    status: int
    """HTTP status; 0 if no answer came."""
    version: VersionNumber | None = None
    request_id: RequestId = NO_ID
    churner: bool | None = None
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether the application that asked was left without a prediction."""
        return self.status != 200 or self.version is None or self.churner is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One operation that changed what `production` means."""

    at_ms: Instant
    """When the registry committed it, by its log."""
    operation: OperationId
    kind: str
    version: VersionNumber
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """The rollback as its user saw it."""

    typed_ms: float
    """When the command was started."""
    returned_ms: float
    """When it returned: the gateway had confirmed the switch."""
    held: tuple[VersionNumber, ...]
    """The versions on hold afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What training measured offline for one version, as the registry recorded it."""

    version: VersionNumber
    digest: Digest
    roc_auc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What lastgood answered to the questions asked after the rollback."""

    asked_at_ms: Instant
    """The moment, while version 3 was live, that `live --at` was asked for."""
    live_ordered: VersionNumber | None
    live_observed: tuple[VersionNumber | None, ...]
    wrong_request: RequestId
    """The wrong answer that `why` was asked about."""
    asked_again: Answer
    """What the same customer was told after the rollback."""
    why_version: VersionNumber | None
    why_operation: OperationId | None
    """The operation that made that version answer."""
    fsck_problems: tuple[str, ...]
    fsck_operations: int
    fsck_objects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """The whole Monday."""

    answers: tuple[Answer, ...]
    switches: tuple[Switch, ...]
    """Oldest first; the last is the rollback."""
    metrics: tuple[Metrics, ...]
    rollback: Rollback
    findings: Findings


def failures(answers: Sequence[Answer]) -> int:
    """How many requests were left without a prediction."""
    return sum(answer.failed for answer in answers)


def requests_per_second(answers: Sequence[Answer]) -> float:
    """The rate at which requests were sent, first to last."""
    if len(answers) < 2:
        return 0.0
    sent = [answer.sent_ms for answer in answers]
    seconds = (max(sent) - min(sent)) / 1000
    return (len(answers) - 1) / seconds if seconds > 0 else 0.0


def churner_share(answers: Sequence[Answer], version: VersionNumber) -> float | None:
    """The share of customers that the version called churners; None if it answered too few to tell."""
    said = [a.churner for a in answers if a.version == version and not a.failed]
    return sum(map(bool, said)) / len(said) if len(said) >= SETTLED_MIN else None


def last_wrong_answer(answers: Sequence[Answer], version: VersionNumber) -> Answer | None:
    """The answer of the version that reached its application last."""
    wrong = [answer for answer in answers if answer.version == version]
    return max(wrong, key=lambda answer: answer.answered_ms, default=None)


def delay_text(delay_ms: float) -> str:
    """The time from the decision to the last wrong answer, in words."""
    return f"{delay_ms:.0f} ms" if delay_ms >= 0.5 else "0 ms, not one came after it"


def wrong_after(answers: Sequence[Answer], version: VersionNumber, moment_ms: float) -> int:
    """How many requests sent after the moment the version still answered."""
    return sum(a.version == version and a.sent_ms > moment_ms for a in answers)

"""Approvals: who said yes or no to which bytes, and whether that is enough. A pure state machine.

Of each person the last word in each meaning counts. It is bound to the digest, an approval may
expire, and with four eyes nobody approves what they asked for themselves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from lastgood.core.ids import Digest, Instant

__all__ = ["Approval", "ApprovalRule", "ApprovalWord", "Meaning", "Standing", "standing"]

Meaning = Literal["reviewed", "approved", "responsible"]
ApprovalWord = Literal["approve", "reject"]


class ApprovalRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many different people must have approved, and in what sense."""

    meaning: Meaning = "approved"
    count: int = 1

    def __post_init__(self) -> None:
        """A rule that asks for nobody is a mistake."""
        if not 1 <= self.count <= 20:
            raise ValueError("count must be from 1 to 20")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One person's word on a version for an environment."""

    actor: str
    word: ApprovalWord
    meaning: Meaning
    digest: Digest | None
    at_ms: Instant
    expires_ms: Instant | None = None
    """For an approval: when it ends to count."""

    def counts(self, *, digest: Digest | None, now: Instant) -> bool:
        """Whether it is a word on these bytes that has not expired."""
        same = self.digest == digest and digest is not None
        return same and (self.expires_ms is None or now < self.expires_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether it is enough."""

    rejected_by: tuple[str, ...]
    given: dict[Meaning, tuple[str, ...]]
    missing: dict[Meaning, int]

    @property
    def enough(self) -> bool:
        """All are there, and nobody objects."""
        return not self.rejected_by and not self.missing


def standing(
    approvals: Iterable[Approval],
    *,
    rules: Sequence[ApprovalRule],
    digest: Digest | None,
    asked_by: frozenset[str],
    four_eyes: bool,
    now: Instant,
) -> Standing:
    """What the approvals, oldest first, amount to.

    Args:
        approvals: All words on the version for the environment.
        rules: What is required.
        digest: Of the version as it is; words on other bytes do not count.
        asked_by: Who registered the version and who promotes it.
        four_eyes: Whether those may not approve.
        now: The moment; what has expired does not count.
    """
    last: dict[tuple[str, Meaning], Approval] = {}
    for one in approvals:
        if one.digest == digest and digest is not None:
            last[one.actor, one.meaning] = one
    rejected = sorted({one.actor for one in last.values() if one.word == "reject"})
    given: dict[Meaning, tuple[str, ...]] = {}
    missing: dict[Meaning, int] = {}
    for rule in rules:
        people = sorted(
            one.actor
            for one in last.values()
            if one.word == "approve"
            and one.meaning == rule.meaning
            and (one.expires_ms is None or now < one.expires_ms)
            and not (four_eyes and one.actor in asked_by)
        )
        given[rule.meaning] = tuple(people)
        if len(people) < rule.count:
            missing[rule.meaning] = max(missing.get(rule.meaning, 0), rule.count - len(people))
    return Standing(rejected_by=tuple(rejected), given=given, missing=missing)

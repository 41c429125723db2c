"""What the demo promises, and the judge that holds an episode against it. Pure: a record in, verdicts out."""

from collections.abc import Iterator
from dataclasses import dataclass

from lastgood.core.ids import VersionNumber
from lastgood.demo.episode import (
    Episode,
    Switch,
    churner_share,
    delay_text,
    failures,
    last_wrong_answer,
    requests_per_second,
    wrong_after,
)

__all__ = ["BAD", "GOOD", "PLAIN", "Promise", "judge"]

PLAIN, GOOD, BAD = VersionNumber(1), VersionNumber(2), VersionNumber(3)
REQUESTS_PER_SECOND_MIN = 50.0
JUMP_MIN = 0.20
"""A share that rises by twenty points is a jump that nobody can overlook."""
LAST_WRONG_ANSWER_MAX_MS = 1000.0
"""Generous, for loaded machines; tens of milliseconds are usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One promise: whether it was kept, and what was seen."""

    name: str
    kept: bool
    seen: str


def judge(episode: Episode) -> tuple[Promise, ...]:
    """Hold the episode against every promise. Missing evidence never keeps a promise."""
    return (
        *_stream(episode),
        *_releases(episode),
        *_rollback(episode),
        *_story(episode),
    )


def _stream(episode: Episode) -> Iterator[Promise]:
    rate = requests_per_second(episode.answers)
    yield Promise(
        name=f"at least {REQUESTS_PER_SECOND_MIN:.0f} requests a second",
        kept=rate >= REQUESTS_PER_SECOND_MIN,
        seen=f"{rate:.1f} a second",
    )
    failed = failures(episode.answers)
    yield Promise(
        name="no request failed",
        kept=failed == 0 and bool(episode.answers) and len(episode.switches) == 4,
        seen=f"{failed} of {len(episode.answers):,}, through {len(episode.switches)} switches",
    )


def _releases(episode: Episode) -> Iterator[Promise]:
    order = tuple(switch.version for switch in episode.switches)
    yield Promise(
        name="each version went live in its turn",
        kept=order == (PLAIN, GOOD, BAD, GOOD)
        and all(_served(episode, number) for number in range(len(order))),
        seen=" -> ".join(map(str, order)) or "no switch",
    )
    offline = {m.version: m.roc_auc for m in episode.metrics}
    before, after = offline.get(GOOD), offline.get(BAD)
    yield Promise(
        name="version 3 looked better offline",
        kept=before is not None and after is not None and after >= before,
        seen=f"ROC AUC {_number(before)} -> {_number(after)}",
    )
    usual, odd = churner_share(episode.answers, GOOD), churner_share(episode.answers, BAD)
    yield Promise(
        name="live, its predicted churners jumped",
        kept=usual is not None and odd is not None and odd - usual >= JUMP_MIN,
        seen=f"{_share(usual)} -> {_share(odd)}",
    )


def _rollback(episode: Episode) -> Iterator[Promise]:
    undo = _last(episode)
    yield Promise(
        name="the rollback chose the last good version",
        kept=undo is not None and undo.kind == "rollback" and undo.version == GOOD,
        seen="no rollback in the log" if undo is None else f"{undo.kind} to version {undo.version}",
    )
    last = last_wrong_answer(episode.answers, BAD)
    late = None if undo is None or last is None else last.answered_ms - undo.at_ms
    yield Promise(
        name=f"last wrong answer within {LAST_WRONG_ANSWER_MAX_MS:.0f} ms",
        kept=late is not None and late <= LAST_WRONG_ANSWER_MAX_MS,
        seen="unknown" if late is None else delay_text(late),
    )
    wrong = wrong_after(episode.answers, BAD, episode.rollback.returned_ms)
    asked = sum(a.sent_ms > episode.rollback.returned_ms for a in episode.answers)
    yield Promise(
        name="none once the command had returned",
        kept=wrong == 0 and asked > 0,
        seen=f"{wrong} of {asked:,} requests",
    )
    held = episode.rollback.held
    yield Promise(
        name="version 3 is on hold",
        kept=held == (BAD,),
        seen=f"held: {', '.join(map(str, held)) or 'nothing'}",
    )


def _story(episode: Episode) -> Iterator[Promise]:
    found = episode.findings
    yield Promise(
        name="`live --at` shows that 3 was live",
        kept=found.live_ordered == BAD and set(found.live_observed) == {BAD},
        seen=f"ordered {found.live_ordered}, observed {list(found.live_observed)}",
    )
    release = episode.switches[2] if len(episode.switches) > 2 else None
    again = found.asked_again
    yield Promise(
        name="the customer asked about again is fine",
        kept=again.version == GOOD and again.churner is False,
        seen=f"version {again.version}: {'no churner' if again.churner is False else 'a churner, or unknown'}",
    )
    yield Promise(
        name="`why` leads to the promotion of 3",
        kept=found.why_version == BAD
        and release is not None
        and found.why_operation == release.operation,
        seen=f"version {found.why_version} by {found.why_operation}",
    )
    yield Promise(
        name="`fsck` finds nothing wrong",
        kept=not found.fsck_problems and found.fsck_operations > 0,
        seen="; ".join(found.fsck_problems)
        or f"{found.fsck_operations} operations, {found.fsck_objects} objects",
    )


def _served(episode: Episode, number: int) -> bool:
    """Whether the version of that switch answered requests before the next one took over."""
    start = episode.switches[number].at_ms
    following = episode.switches[number + 1 : number + 2]
    end = following[0].at_ms if following else float("inf")
    version = episode.switches[number].version
    return any(a.version == version and start <= a.answered_ms <= end for a in episode.answers)


def _last(episode: Episode) -> Switch | None:
    return episode.switches[-1] if episode.switches else None


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0%}"

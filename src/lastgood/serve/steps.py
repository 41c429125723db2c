"""What a gateway does next: a pure rule over what is ordered, what is loaded and what failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lastgood.core.ids import Digest
from lastgood.core.views import Target

__all__ = ["Failure", "Situation", "Step", "failed_again", "next_step"]

RETRY_FIRST_S = 30.0
RETRY_MAX_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A version that could not be brought up, and when that is tried again."""

    seq: int
    attempts: int
    retry_at: float
    """Monotonic time."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything the decision depends on."""

    wanted: Target | None
    """The newest order; None until the registry was heard of."""
    serving: Target | None
    """What the active slot serves."""
    loaded: frozenset[Digest]
    """Versions that can answer at once."""
    failures: Mapping[Digest, Failure]
    fallback: tuple[Target, ...] = ()
    """From the plan: what was served before the restart, best first."""
    rewarm: Target | None = None
    """From the plan: what was kept warm before the restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next step. `target` is set for swap, load and warm; `until` may be for wait."""

    kind: Literal["wait", "swap", "load", "warm"]
    target: Target | None = None
    until: float | None = None


def next_step(now: Situation, *, clock: float) -> Step:
    """The order first; without one, or while it cannot be served, anything served before rather than nothing."""
    wanted, until = now.wanted, None
    if wanted is not None and wanted.version is not None:
        step = _towards(wanted, now, clock)
        if step.kind != "wait":
            return step
        until = step.until
    if now.serving is None:
        for target in now.fallback:
            step = _towards(target, now, clock)
            if step.kind != "wait":
                return step
    settled = now.serving is not None and now.serving.digest in now.loaded
    warm = now.rewarm
    if (
        settled
        and warm is not None
        and warm.digest not in now.loaded
        and warm.digest not in now.failures
    ):
        return Step(kind="warm", target=warm)
    return Step(kind="wait", until=until)


def failed_again(earlier: Failure | None, *, seq: int, reason: str, clock: float) -> Failure:
    """The failure after one more attempt; a new order starts counting anew."""
    attempts = earlier.attempts + 1 if earlier is not None and earlier.seq == seq else 1
    delay = min(RETRY_FIRST_S * 2 ** min(attempts - 1, 10), RETRY_MAX_S)
    return Failure(seq=seq, attempts=attempts, retry_at=clock + delay, reason=reason)


def _towards(target: Target, now: Situation, clock: float) -> Step:
    if target.digest is not None and target.digest in now.loaded:
        served = now.serving is not None and (now.serving.seq, now.serving.digest) == (
            target.seq,
            target.digest,
        )
        return Step(kind="wait") if served else Step(kind="swap", target=target)
    failure = now.failures.get(_failure_key(target))
    if failure is not None and failure.seq == target.seq and clock < failure.retry_at:
        return Step(kind="wait", until=failure.retry_at)
    return Step(kind="load", target=target)


def _failure_key(target: Target) -> Digest:
    """External versions have no digest; they fail under a key that no version has."""
    return target.digest if target.digest is not None else Digest("")

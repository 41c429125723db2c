"""Rules that are no gates: who may, and when. Each says a verdict only when it stands in the way."""

from lastgood.core.freezes import frozen_by
from lastgood.core.ids import Instant, RefName
from lastgood.core.policy import ANYBODY, EnvironmentPolicy
from lastgood.core.verdicts import Verdict

__all__ = ["frozen", "right_to_promote", "right_to_roll_back"]


def right_to_promote(rules: EnvironmentPolicy, actor: str, environment: RefName) -> Verdict | None:
    """The actor is among those who may promote."""
    return _right("promote to", rules.promote, actor, environment)


def right_to_roll_back(
    rules: EnvironmentPolicy, actor: str, environment: RefName
) -> Verdict | None:
    """The actor is among those who may roll back."""
    return _right("roll back", rules.rollback, actor, environment)


def _right(verb: str, allowed: tuple[str, ...], actor: str, environment: RefName) -> Verdict | None:
    if ANYBODY in allowed or actor in allowed:
        return None
    who = ", ".join(allowed) or "nobody"
    return Verdict(
        gate=f"right to {verb} {environment}",
        outcome="fail",
        message=f"{actor} may not {verb} {environment}; the policy names {who}",
        next_step=f"ask one of them: {who}",
    )


def frozen(rules: EnvironmentPolicy, environment: RefName, now: Instant) -> Verdict | None:
    """No freeze window holds at that moment."""
    window = frozen_by(rules.freeze, now)
    if window is None:
        return None
    return Verdict(
        gate="freeze",
        outcome="fail",
        message=f"{environment} is frozen: {window.words}",
        next_step="wait until the freeze is over; a rollback is possible all the time",
    )

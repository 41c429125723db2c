"""Rules that are no gates: who may, and when. Each says a verdict only when it stands in the way."""

from shlex import quote

from lastgood.core.approvals import Standing
from lastgood.core.freezes import frozen_by
from lastgood.core.ids import Instant, RefName
from lastgood.core.policy import ANYBODY, EnvironmentPolicy, Policy
from lastgood.core.verdicts import Verdict

__all__ = [
    "approved",
    "data_held",
    "frozen",
    "paused",
    "right_to_apply",
    "right_to_promote",
    "right_to_roll_back",
]


def right_to_promote(rules: EnvironmentPolicy, actor: str, environment: RefName) -> Verdict | None:
    """The actor is among those who may promote."""
    return _right("promote to", rules.promote, actor, environment)


def right_to_roll_back(
    rules: EnvironmentPolicy, actor: str, environment: RefName
) -> Verdict | None:
    """The actor is among those who may roll back."""
    return _right("roll back", rules.rollback, actor, environment)


def right_to_apply(policy: Policy, actor: str) -> Verdict | None:
    """The actor is among those who may put another policy in the place of this one."""
    return _right("change", policy.apply, actor, "the policy")


def _right(verb: str, allowed: tuple[str, ...], actor: str, what: str) -> Verdict | None:
    if ANYBODY in allowed or actor in allowed:
        return None
    who = ", ".join(allowed) or "nobody"
    return Verdict(
        gate=f"right to {verb} {what}",
        outcome="fail",
        may_pass_later=True,
        message=f"{actor} may not {verb} {what}; the policy names {who}",
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
        may_pass_later=True,
        message=f"{environment} is frozen: {window.words}",
        next_step="wait until the freeze is over; a rollback is possible all the time",
    )


def approved(
    rules: EnvironmentPolicy, found: Standing, *, reference: str, environment: RefName
) -> Verdict | None:
    """Enough people approved and nobody objects; no verdict where the policy asks for nobody."""
    if found.rejected_by:
        who = ", ".join(found.rejected_by)
        return Verdict(
            gate="approvals",
            outcome="fail",
            message=f"{reference} was rejected by {who}",
            next_step=f"{who} can take it back: lastgood approve {reference} --to {environment} --reason '...'",
        )
    if not rules.approvals:
        return None
    if found.missing:
        meaning, count = next(iter(found.missing.items()))
        have = ", ".join(found.given[meaning]) or "nobody"
        eyes = "; who registered or promotes it does not count" if rules.four_eyes else ""
        return Verdict(
            gate="approvals",
            outcome="fail",
            may_pass_later=True,
            message=f"{count} more must say '{meaning}' (so far: {have}{eyes})",
            figures={f"{m} missing": n for m, n in found.missing.items()},
            next_step=f"lastgood approve {reference} --to {environment} --meaning {meaning} --reason '...'",
        )
    said = "; ".join(f"{m} by {', '.join(people)}" for m, people in found.given.items())
    return Verdict(gate="approvals", outcome="pass", message=said)


def paused(environment: RefName, *, by: str, reason: str, model: str) -> Verdict:
    """The environment takes no promotions."""
    only = f" --model {quote(model)}" if model else ""
    why = f": {reason}" if reason else ""
    return Verdict(
        gate="paused",
        outcome="fail",
        may_pass_later=True,
        message=f"{environment} was paused by {by}{why}",
        next_step=f"lastgood resume {environment}{only} --reason '...'",
    )


def data_held(environment: RefName, *, held: str, digest: str, by: str, reason: str) -> Verdict:
    """It was trained from data that is on hold."""
    why = f": {reason}" if reason else ""
    return Verdict(
        gate="hold on data",
        outcome="fail",
        message=f"it was trained from the data {digest}, as {held}, which {by} holds with its data{why}",
        next_step=f"train from other data, or: lastgood hold release {quote(held)} --env {environment} --reason '...'",
    )

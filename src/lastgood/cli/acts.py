"""How every changing command ends: the operation's id, what it did, and the command that undoes it."""

from dataclasses import replace
from typing import Any

import msgspec

from lastgood.cli.output import error_value, styled
from lastgood.cli.session import Session
from lastgood.cli.waiting import wait_until_served
from lastgood.cli.words import plan_details
from lastgood.core.ids import RefName
from lastgood.core.ports import Registry
from lastgood.core.views import Outcome, Plan
from lastgood.errors import Conflict, NotConverged

__all__ = ["finish", "outcome_value", "plan_with_repeat", "show_outcome", "with_repeat"]


def with_repeat(session: Session, outcome: Outcome) -> Outcome:
    """The outcome whose undo command works as typed: on the same registry as this command."""
    undo = session.repeat(outcome.undo)
    return replace(
        outcome, undo=undo, plan=replace(outcome.plan, undo=undo) if outcome.plan else None
    )


def plan_with_repeat(session: Session, plan: Plan) -> Plan:
    """As `with_repeat`, for a plan."""
    return replace(plan, undo=session.repeat(plan.undo))


def outcome_value(outcome: Outcome, **more: Any) -> dict[str, Any]:
    """The outcome as JSON shows it, with what the command adds."""
    return {**msgspec.to_builtins(outcome), **more}


def show_outcome(session: Session, outcome: Outcome, *, next_command: str = "") -> None:
    """Print what was done."""
    out = session.out
    mark = styled("· ", "dim") if outcome.already else styled("✓ ", "bold green")
    out.line(mark, styled(outcome.summary, "bold"))
    if outcome.plan is not None:
        plan_details(outcome.plan, out)
    for note in outcome.notes:
        out.indented(styled("note: ", "yellow"), note)
    out.facts(
        [
            ("operation", outcome.operation or ""),
            ("digest", outcome.digest or ""),
            ("undo", styled(outcome.undo, "cyan") if outcome.undo else ""),
            ("next", styled(next_command, "cyan") if next_command else ""),
        ],
        indent=2,
    )


def finish(
    session: Session,
    registry: Registry,
    outcome: Outcome,
    *,
    environment: RefName,
    wait_s: float | None,
) -> int:
    """Show what an act did and, if asked to, wait until the gateways follow; returns the exit code."""
    outcome = with_repeat(session, outcome)
    if not session.as_json:
        show_outcome(session, outcome)
    if wait_s is None:
        if session.as_json:
            session.out.json(outcome)
        return 0
    try:
        view = wait_until_served(
            registry, outcome.model, environment, outcome.version, timeout_s=wait_s
        )
    except (NotConverged, Conflict) as error:
        if not session.as_json:
            raise
        # The act was done: its outcome must not be lost because the waiting failed.
        session.out.json(outcome_value(outcome, converged=False, error=error_value(error)))
        return error.exit_code
    if session.as_json:
        session.out.json(
            outcome_value(outcome, converged=True, observed=msgspec.to_builtins(view.observed))
        )
    else:
        count = len(view.observed)
        session.out.line(
            styled("✓ ", "bold green"), f"served by {count} gateway{'s' if count != 1 else ''}"
        )
    return 0

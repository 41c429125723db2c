"""What restore, revert, undo and redo do alike: plan, then act on the state that was planned on."""

from collections.abc import Callable
from dataclasses import dataclass

from lastgood.cli.acts import outcome_value, show_outcome, with_repeat
from lastgood.cli.session import Session
from lastgood.cli.words import effects_block, model_plan_block
from lastgood.core.commands import Caller
from lastgood.core.views import ModelPlan, Outcome

__all__ = ["AskedFor", "plan_or_act"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFor:
    """A verb and its plan, as the command line asked for them."""

    plan: Callable[[], ModelPlan]
    act: Callable[[ModelPlan, Caller], Outcome]


def plan_or_act(session: Session, asked: AskedFor, *, only_plan: bool) -> None:
    """Show the plan, or carry it out unless the model changed since."""
    out = session.out
    planned = asked.plan()
    if only_plan:
        out.json(planned) if session.as_json else model_plan_block(planned, out)
        return
    outcome = with_repeat(session, asked.act(planned, session.caller()))
    if session.as_json:
        out.json(outcome_value(outcome, effects=planned.effects))
        return
    show_outcome(session, outcome)
    effects_block(planned, out)

"""``lastgood rollback``."""

from dataclasses import replace
from typing import Annotated

import typer

from lastgood.cli.acts import finish, plan_with_repeat
from lastgood.cli.session import Session
from lastgood.cli.words import plan_block
from lastgood.core.commands import Rollback
from lastgood.core.ids import parse_model_name, parse_ref_name

__all__ = ["rollback"]


def rollback(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model, for example churn.")],
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="REF", help="The version to return to, or none; else the last good one."
        ),
    ] = None,
    env: Annotated[
        str, typer.Option("--env", "-e", metavar="ENV", help="The environment.")
    ] = "production",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; the log keeps it.")] = "",
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would happen and change nothing.")
    ] = False,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            max=3600,
            help="Wait until every gateway serves it; exit 7 if not in time.",
        ),
    ] = None,
) -> int:
    """Return to the version that last proved good, and put what is removed on hold.

    Proved good: it served enough requests for long enough without failing more than its predecessor, or a person marked it good; and it is not marked bad, nor on hold. The history grows; nothing is erased.
    """
    session = Session.of(context)
    command = Rollback(
        model=parse_model_name(model), environment=parse_ref_name(env), to=to, reason=reason.strip()
    )
    with session.registry() as registry:
        planned = plan_with_repeat(session, registry.plan_rollback(command))
        if plan:
            session.out.json(planned) if session.as_json else plan_block(planned, session.out)
            return 0
        fixed = replace(command, expect_head=planned.head)
        outcome = registry.rollback(fixed, caller=session.caller())
        return finish(session, registry, outcome, environment=planned.environment, wait_s=wait)

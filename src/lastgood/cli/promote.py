"""``lastgood promote``."""

from dataclasses import replace
from typing import Annotated

import typer

from lastgood.cli.acts import finish, plan_with_repeat
from lastgood.cli.session import Session
from lastgood.cli.words import plan_block
from lastgood.core.commands import Promote
from lastgood.core.ids import parse_ref_name
from lastgood.errors import Blocked

__all__ = ["promote"]


def promote(
    context: typer.Context,
    *,
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="The version: churn/4, churn@staging, churn@sha256:ab12 ..."
        ),
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="ENV", help="The environment, for example production.")
    ],
    reason: Annotated[
        str | None,
        typer.Option("--reason", "-r", help="Why; the log keeps it. Asked for if left out."),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="Show what would happen and what every gate says; change nothing. Exit 3 if it would be refused.",
        ),
    ] = False,
    release_hold: Annotated[
        bool, typer.Option("--release-hold", help="Promote although the version is on hold there.")
    ] = False,
    allow_yanked: Annotated[
        bool, typer.Option("--allow-yanked", help="Promote although the version was yanked.")
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
    """Point an environment at a version, as one recorded act. Gateways that follow it swap within moments."""
    session = Session.of(context)
    command = Promote(
        reference=reference,
        to=parse_ref_name(to),
        release_hold=release_hold,
        allow_yanked=allow_yanked,
    )
    with session.registry() as registry:
        planned = plan_with_repeat(session, registry.plan_promote(command, caller=session.caller()))
        if plan:
            session.out.json(planned) if session.as_json else plan_block(planned, session.out)
            return 0 if planned.allowed else Blocked.exit_code
        why = (
            ""
            if planned.already
            else session.reason(reason, question=f"Why promote {reference} to {to}?")
        )
        # Two who decided on the same state cannot both win: the second is told that it changed.
        fixed = replace(
            command,
            reference=f"{planned.model}/{planned.after}",
            reason=why,
            expect_head=planned.head,
        )
        outcome = registry.promote(fixed, caller=session.caller())
        return finish(session, registry, outcome, environment=planned.environment, wait_s=wait)

"""``lastgood revert``."""

from dataclasses import replace
from typing import Annotated

import typer

from lastgood.cli.session import Session
from lastgood.cli.taking_back import AskedFor, plan_or_act
from lastgood.core.commands import Revert
from lastgood.core.moments import parse_operation_id

__all__ = ["revert"]


def revert(
    context: typer.Context,
    operation: Annotated[
        str,
        typer.Argument(metavar="OPERATION", help="As lastgood log shows it, for example op-3f2a."),
    ],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; the log keeps it.")] = "",
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would happen and change nothing.")
    ] = False,
    release_hold: Annotated[
        bool, typer.Option("--release-hold", help="Even to versions that are on hold now.")
    ] = False,
) -> None:
    """Take one operation back: refs, stages, holds, marks, tags and descriptions as they were before it.

    Refused when something of it changed since: then take back what came after it first, or use restore.
    """
    session = Session.of(context)
    command = Revert(
        operation=parse_operation_id(operation), reason=reason.strip(), release_hold=release_hold
    )
    with session.registry() as registry:
        plan_or_act(
            session,
            AskedFor(
                plan=lambda: registry.plan_revert(command),
                act=lambda planned, caller: registry.revert(
                    replace(command, expect_head=planned.head), caller=caller
                ),
            ),
            only_plan=plan,
        )

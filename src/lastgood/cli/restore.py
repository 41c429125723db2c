"""``lastgood restore``."""

from dataclasses import replace
from typing import Annotated

import typer

from lastgood.cli.session import Session
from lastgood.cli.taking_back import AskedFor, plan_or_act
from lastgood.core.commands import Restore
from lastgood.core.ids import parse_model_name
from lastgood.core.moments import parse_moment

__all__ = ["restore"]


def restore(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model, for example churn.")],
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="TIME|OPERATION",
            help="The moment: 2026-11-02T09:30 (local), ...Z, 5m ago, or op-3f2a...",
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; the log keeps it.")] = "",
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would happen and change nothing.")
    ] = False,
    release_hold: Annotated[
        bool, typer.Option("--release-hold", help="Even to versions that are on hold now.")
    ] = False,
) -> None:
    """Point all refs of a model where they pointed at a moment, as one recorded act. The history grows; nothing is erased."""
    session = Session.of(context)
    command = Restore(
        model=parse_model_name(model),
        at=parse_moment(at, now=session.now),
        reason=reason.strip(),
        release_hold=release_hold,
    )
    with session.registry() as registry:
        plan_or_act(
            session,
            AskedFor(
                plan=lambda: registry.plan_restore(command),
                act=lambda planned, caller: registry.restore(
                    replace(command, expect_head=planned.head), caller=caller
                ),
            ),
            only_plan=plan,
        )

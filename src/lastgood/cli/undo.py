"""``lastgood undo`` and ``lastgood redo``."""

from dataclasses import replace
from typing import Annotated

import typer

from lastgood.cli.session import Session
from lastgood.cli.taking_back import AskedFor, plan_or_act
from lastgood.core.commands import Undo
from lastgood.core.ids import parse_model_name

__all__ = ["redo", "undo"]

_Model = Annotated[
    str | None, typer.Argument(metavar="[MODEL]", help="Only of this model.", show_default=False)
]
_Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; the log keeps it.")]
_Plan = Annotated[bool, typer.Option("--plan", help="Show what would happen and change nothing.")]
_ReleaseHold = Annotated[
    bool, typer.Option("--release-hold", help="Even to versions that are on hold now.")
]


def undo(
    context: typer.Context,
    model: _Model = None,
    reason: _Reason = "",
    plan: _Plan = False,
    release_hold: _ReleaseHold = False,
) -> None:
    """Take back your own last act that moved a ref. Again: the one before. redo takes back the undo."""
    _carry_out(context, _command(model, reason, release_hold, redo=False), only_plan=plan)


def redo(
    context: typer.Context,
    model: _Model = None,
    reason: _Reason = "",
    plan: _Plan = False,
    release_hold: _ReleaseHold = False,
) -> None:
    """Take back your own last undo, if you moved no ref since."""
    _carry_out(context, _command(model, reason, release_hold, redo=True), only_plan=plan)


def _command(model: str | None, reason: str, release_hold: bool, *, redo: bool) -> Undo:
    return Undo(
        model=None if model is None else parse_model_name(model),
        redo=redo,
        reason=reason.strip(),
        release_hold=release_hold,
    )


def _carry_out(context: typer.Context, command: Undo, *, only_plan: bool) -> None:
    session = Session.of(context)
    with session.registry() as registry:
        plan_or_act(
            session,
            AskedFor(
                plan=lambda: registry.plan_undo(command, caller=session.caller()),
                act=lambda planned, caller: registry.undo(
                    replace(command, model=planned.model, expect_head=planned.head), caller=caller
                ),
            ),
            only_plan=only_plan,
        )

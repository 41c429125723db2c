"""``lastgood yank``."""

from typing import Annotated

import typer

from lastgood.cli.acts import show_outcome, with_repeat
from lastgood.cli.session import Session
from lastgood.core.commands import Yank
from lastgood.core.ids import parse_ref_name

__all__ = ["yank"]


def yank(
    context: typer.Context,
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="The version, for example churn/4.")
    ],
    env: Annotated[
        str | None,
        typer.Option("--env", "-e", metavar="ENV", help="Only from this environment."),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", "-r", help="Why; the log keeps it. Asked for if left out."),
    ] = None,
) -> None:
    """Withdraw a version: no ref is moved to it any more, and no rollback returns to it. Its bytes and its history stay."""
    session = Session.of(context)
    command = Yank(
        reference=reference,
        environment=None if env is None else parse_ref_name(env),
        reason=session.reason(reason, question=f"Why yank {reference}?"),
    )
    with session.registry() as registry:
        outcome = with_repeat(session, registry.yank(command, caller=session.caller()))
    if session.as_json:
        session.out.json(outcome)
    else:
        show_outcome(session, outcome)

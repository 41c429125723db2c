"""``lastgood approve`` and ``lastgood reject``."""

from enum import StrEnum
from typing import Annotated

import typer

from lastgood.cli.acts import show_outcome
from lastgood.cli.session import Session
from lastgood.core.commands import Approve
from lastgood.core.durations import parse_duration_s
from lastgood.core.ids import parse_ref_name
from lastgood.errors import InvalidInput

__all__ = ["approve", "reject"]

_Reference = Annotated[str, typer.Argument(metavar="REF", help="The version, for example churn/4.")]
_To = Annotated[str, typer.Option("--to", metavar="ENV", help="The environment it is to go to.")]
_Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; the log keeps it.")]


class Sense(StrEnum):
    """What an approval means; a policy asks for one or several."""

    REVIEWED = "reviewed"
    APPROVED = "approved"
    RESPONSIBLE = "responsible"


def approve(
    context: typer.Context,
    *,
    reference: _Reference,
    to: _To,
    meaning: Annotated[
        Sense,
        typer.Option("--meaning", metavar="MEANING", help="reviewed, approved or responsible."),
    ] = Sense.APPROVED,
    expires: Annotated[
        str,
        typer.Option("--expires", metavar="SPAN", help="For how long it counts, as 12h or 30d."),
    ] = "30d",
    reason: _Reason = "",
) -> None:
    """Say that a version may go to an environment. It is bound to the bytes; your last word counts.

    Where the policy requires four eyes, whoever registered or promotes the version cannot approve it.
    """
    try:
        lasts_s = parse_duration_s(expires)
    except ValueError as error:
        raise InvalidInput(f"--expires: {error}") from error
    _say(
        Session.of(context),
        Approve(
            reference=reference,
            to=parse_ref_name(to),
            meaning=meaning.value,
            lasts_s=lasts_s,
            reason=reason.strip(),
        ),
    )


def reject(
    context: typer.Context,
    *,
    reference: _Reference,
    to: _To,
    meaning: Annotated[
        Sense,
        typer.Option("--meaning", metavar="MEANING", help="reviewed, approved or responsible."),
    ] = Sense.APPROVED,
    reason: Annotated[
        str | None,
        typer.Option("--reason", "-r", help="Why; the log keeps it. Asked for if left out."),
    ] = None,
) -> None:
    """Say that a version must not go to an environment. It stays out until you approve it."""
    session = Session.of(context)
    why = session.reason(reason, question=f"Why reject {reference} for {to}?")
    command = Approve(
        reference=reference, to=parse_ref_name(to), word="reject", meaning=meaning.value, reason=why
    )
    _say(session, command)


def _say(session: Session, command: Approve) -> None:
    with session.registry() as registry:
        outcome = registry.approve(command, caller=session.caller())
    session.out.json(outcome) if session.as_json else show_outcome(session, outcome)

"""``lastgood hold``."""

from enum import StrEnum
from typing import Annotated

import typer

from lastgood.cli.acts import show_outcome, with_repeat
from lastgood.cli.session import Session
from lastgood.core.commands import PlaceHold, ReleaseHold
from lastgood.core.durations import parse_duration_s
from lastgood.core.ids import parse_ref_name
from lastgood.errors import InvalidInput

__all__ = ["hold"]


class Action(StrEnum):
    """What to do."""

    ADD = "add"
    RELEASE = "release"


def hold(
    context: typer.Context,
    *,
    action: Annotated[
        Action, typer.Argument(help="add: keep the version out. release: let it in again.")
    ],
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="The version, for example churn/4.")
    ],
    env: Annotated[
        str, typer.Option("--env", "-e", metavar="ENV", help="The environment.")
    ] = "production",
    owner: Annotated[
        str, typer.Option("--owner", metavar="NAME", help="For add: whom to ask; else you.")
    ] = "",
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="SPAN", help="For add: for how long, as 12h or 30d."),
    ] = None,
    with_data: Annotated[
        bool,
        typer.Option(
            "--with-data", help="For add: keep out whatever was trained from the same data, too."
        ),
    ] = False,
    only_data: Annotated[
        str,
        typer.Option(
            "--only-data",
            metavar="DIGEST",
            help="For add: as --with-data, but of its datasets only this one.",
        ),
    ] = "",
    reason: Annotated[
        str | None,
        typer.Option("--reason", "-r", help="Why; the log keeps it. Asked for if left out."),
    ] = None,
) -> None:
    """Keep a version out of an environment, or let it in again. No rollback returns to it meanwhile."""
    session = Session.of(context)
    why = session.reason(reason, question=f"Why {action.value} a hold on {reference}?")
    environment = parse_ref_name(env)
    with session.registry() as registry:
        if action is Action.ADD:
            placed = PlaceHold(
                reference=reference,
                environment=environment,
                owner=owner.strip(),
                lasts_s=_seconds(expires),
                data=with_data,
                only_data=only_data.strip(),
                reason=why,
            )
            outcome = registry.hold(placed, caller=session.caller())
        else:
            released = ReleaseHold(reference=reference, environment=environment, reason=why)
            outcome = registry.release(released, caller=session.caller())
    outcome = with_repeat(session, outcome)
    session.out.json(outcome) if session.as_json else show_outcome(session, outcome)


def _seconds(expires: str | None) -> int | None:
    try:
        return None if expires is None else parse_duration_s(expires)
    except ValueError as error:
        raise InvalidInput(f"--expires: {error}") from error

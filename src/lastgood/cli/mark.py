"""``lastgood mark``."""

from enum import StrEnum
from typing import Annotated

import typer

from lastgood.cli.acts import show_outcome, with_repeat
from lastgood.cli.session import Session
from lastgood.core.commands import MarkVersion
from lastgood.core.ids import parse_ref_name

__all__ = ["mark"]


class Judgement(StrEnum):
    """What a person can say of a version; `none` takes it back."""

    GOOD = "good"
    BAD = "bad"
    YANKED = "yanked"
    NONE = "none"


def mark(
    context: typer.Context,
    value: Annotated[
        Judgement,
        typer.Argument(metavar="JUDGEMENT", help="good, bad or yanked; none takes it back."),
    ],
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="The version, for example churn/4.")
    ],
    env: Annotated[
        str, typer.Option("--env", "-e", metavar="ENV", help="The environment it is judged for.")
    ] = "production",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; the log keeps it.")] = "",
) -> None:
    """Judge a version in an environment. A rollback returns to good ones and never to bad or yanked ones."""
    session = Session.of(context)
    command = MarkVersion(
        reference=reference,
        value=value.value,
        environment=parse_ref_name(env),
        reason=reason.strip(),
    )
    with session.registry() as registry:
        outcome = with_repeat(session, registry.mark(command, caller=session.caller()))
    if session.as_json:
        session.out.json(outcome)
    else:
        show_outcome(session, outcome)

"""``lastgood log``."""

from typing import Annotated

import typer

from lastgood.cli.session import Session
from lastgood.cli.words import At, as_of_line, entry_block
from lastgood.core.ids import parse_model_name, parse_ref_name

__all__ = ["log"]


def log(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Only this model.", show_default=False)
    ] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", "-e", metavar="ENV", help="Only what moved this environment."),
    ] = None,
    count: Annotated[
        int, typer.Option("-n", "--limit", min=1, max=1000, help="How many at most.")
    ] = 20,
    at: At = None,
) -> None:
    """What happened, newest first: who, from what to what, why, and for how long it stayed."""
    session = Session.of(context)
    asked = session.moment(at)
    with session.registry() as registry:
        entries = registry.log(
            model=None if model is None else parse_model_name(model),
            environment=None if env is None else parse_ref_name(env),
            limit=count,
            at=asked,
        )
    if session.as_json:
        session.out.json({"operations": entries})
        return
    as_of_line(asked, session.out)
    if not entries:
        session.out.line("Nothing happened yet")
    for entry in entries:
        entry_block(entry, session.out)

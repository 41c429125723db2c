"""``lastgood blame``."""

from typing import Annotated

import typer

from lastgood.cli.origin import gate_facts, origin_facts
from lastgood.cli.output import Output, styled
from lastgood.cli.session import Session
from lastgood.cli.words import At, as_of_line, entry_block, number
from lastgood.core.views import BlameView

__all__ = ["blame"]


def blame(
    context: typer.Context,
    reference: Annotated[
        str, typer.Argument(metavar="MODEL@ENV", help="The place, for example churn@production.")
    ],
    at: At = None,
) -> None:
    """Who put there what is there, when and why; and what is known of the version: run, data, commit, judgements."""
    session = Session.of(context)
    asked = session.moment(at)
    with session.registry() as registry:
        view = registry.blame(reference, at=asked)
    if session.as_json:
        session.out.json(view)
        return
    as_of_line(asked, session.out)
    _show(view, session.out)


def _show(view: BlameView, out: Output) -> None:
    out.line(
        styled(f"{view.model}@{view.ref}", "bold"),
        "  ",
        styled(number(view.version.version), "bold cyan"),
        f", before: {number(view.before)}",
    )
    out.line("it is there because of")
    entry_block(view.ordered_by, out)
    gate_facts(view.ordered_by, out)
    if view.registered_by is not None:
        out.line("it came to be by")
        entry_block(view.registered_by, out)
    origin_facts(view.version, out)

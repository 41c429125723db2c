"""``lastgood diff``."""

from itertools import groupby
from typing import Annotated

import typer

from lastgood.cli.output import Output, styled
from lastgood.cli.session import Session
from lastgood.cli.words import At
from lastgood.core.views import DiffView

__all__ = ["diff", "show_differences"]

DIFFERENT = 1


def diff(
    context: typer.Context,
    a: Annotated[
        str, typer.Argument(metavar="A", help="A version, for example churn@production~1.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, for example churn@production.")],
    at: At = None,
) -> int:
    """What differs between two versions: metrics, parameters, data, code, environment, files. Exit 1 if anything does."""
    session = Session.of(context)
    with session.registry() as registry:
        view = registry.diff(a, b, at=session.moment(at))
    code = DIFFERENT if view.differences else 0
    if session.as_json:
        session.out.json(view)
        return code
    if not view.differences:
        session.out.line(f"{a} and {b} are the same")
    show_differences(view, session.out)
    return code


def show_differences(view: DiffView, out: Output) -> None:
    """Print a table for each section in which something differs."""
    for section, differences in groupby(
        view.differences, key=lambda difference: difference.section
    ):
        out.line(styled(section, "bold"))
        out.table(
            ["", view.a, view.b],
            (
                (
                    difference.name if difference.name != section else "",
                    styled("-" if difference.before is None else difference.before or '""', "red"),
                    styled("-" if difference.after is None else difference.after or '""', "green"),
                )
                for difference in differences
            ),
            indent=2,
        )

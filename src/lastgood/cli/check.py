"""``lastgood check``."""

from typing import Annotated

import typer

from lastgood.cli.output import Output, styled
from lastgood.cli.programs import run_here
from lastgood.cli.session import Session
from lastgood.cli.words import Python, verdicts_block
from lastgood.core.commands import CheckGates
from lastgood.core.ids import parse_ref_name
from lastgood.core.views import CheckView
from lastgood.errors import Blocked

__all__ = ["check", "show_check"]


def check(
    context: typer.Context,
    *,
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="The version: churn/4, churn@staging ...")
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="ENV", help="The environment, for example production.")
    ],
    run: Annotated[
        bool,
        typer.Option(
            "--run",
            help="Run the policy's own programs here, ask the model for its golden answers again, and record it.",
        ),
    ] = False,
    python: Python = None,
) -> int:
    """Ask the gates whether a version may go to an environment; nothing is promoted. Exit 3 if not."""
    session = Session.of(context)
    command = CheckGates(reference=reference, to=parse_ref_name(to))
    with session.registry() as registry:
        view = registry.check(command, caller=session.caller())
        if run and run_here(session, registry, view, python=python):
            view = registry.check(command, caller=session.caller())
    if session.as_json:
        session.out.json(view)
    else:
        show_check(view, session.out)
    return 0 if view.allowed else Blocked.exit_code


def show_check(view: CheckView, out: Output) -> None:
    """Every verdict, what stands in the way first said."""
    name = f"{view.model}/{view.version}"
    if view.policy is None and not view.verdicts:
        out.line(f"No policy names {view.environment}: {name} may go there")
        return
    word = styled("may go", "bold green") if view.allowed else styled("may not go", "bold red")
    out.line(styled(name, "bold"), " ", word, f" to {view.environment}")
    verdicts_block(view.verdicts, out, blocking=view.blocking)

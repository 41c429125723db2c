"""``lastgood demo``."""

from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.session import Session

__all__ = ["demo"]


def demo(
    context: typer.Context,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running to try commands against.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Where the picture goes; else ./demo-output."),
    ] = None,
) -> int:
    """A bad release on real data and the way back: train, promote, serve, break, roll back, see what happened."""
    from lastgood.demo.story import run_demo

    return run_demo(keep=keep, output=output, as_json=Session.of(context).as_json)

"""``lastgood checkout``."""

from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.output import styled
from lastgood.cli.session import Session

__all__ = ["checkout"]


def checkout(
    context: typer.Context,
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="The version, for example churn@production.")
    ],
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]", help="A directory that does not exist yet; else MODEL-VERSION here."
        ),
    ] = None,
    repository: Annotated[
        Path | None,
        typer.Option(
            "--repository", metavar="DIR", help="A clone that has the commit; else the one here."
        ),
    ] = None,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete", help="Refuse (exit 3) if anything of the version cannot be had."
        ),
    ] = False,
) -> None:
    """Write a whole version into a directory: model files, code at its commit with its patch, data, environment.

    Every byte is verified. The directory appears when it is complete; what could not be had is listed in it, in lastgood.json.
    """
    from lastgood.sdk.checkout import check_out

    session = Session.of(context)
    with session.registry() as registry:
        done = check_out(registry, reference, target, repository=repository, complete=complete)
    if session.as_json:
        session.out.json(done)
        return
    out = session.out
    out.line(
        styled("✓ ", "bold green"),
        styled(f"{done.model}/{done.version}", "bold"),
        f" in {done.path}",
    )
    out.facts(
        [
            ("model", f"{done.files} file{'s' if done.files != 1 else ''}"),
            ("code", done.code),
            ("data", "\n".join(done.data)),
            ("missing", styled("\n".join(done.missing), "yellow") if done.missing else ""),
        ],
        indent=2,
    )

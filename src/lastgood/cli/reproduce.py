"""``lastgood reproduce``."""

from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.output import styled
from lastgood.cli.session import Session

__all__ = ["reproduce"]

DIFFERENT = 1


def reproduce(
    context: typer.Context,
    *,
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="The version, for example churn/4.")
    ],
    here: Annotated[
        bool, typer.Option("--here", help="Use this interpreter, not the recorded environment.")
    ] = False,
    repository: Annotated[
        Path | None,
        typer.Option(
            "--repository", metavar="DIR", help="A clone that has the commit; else the one here."
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="How much numbers may differ.")
    ] = 1e-9,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", min=1, help="How long the script may take."),
    ] = 3600.0,
) -> int:
    """Make a version again and tell whether it is the same. Runs its code on this machine, as you. Exit 1 if it differs.

    The recorded script of the recorded commit (with its patch) runs with its arguments on the recorded data, in the recorded environment (built by uv, once). What it makes is compared by bytes, then metrics, then predictions; the certificate is kept with the version.
    """
    from lastgood.library.reproduce import reproduce as make_again

    session = Session.of(context)
    with session.registry() as registry:
        certificate = make_again(
            registry,
            reference,
            caller=session.caller(),
            here=here,
            repository=repository,
            tolerance=tolerance,
            timeout_s=timeout,
        )
    code = DIFFERENT if certificate.equal == "nothing" else 0
    if session.as_json:
        session.out.json(certificate)
        return code
    mark = styled("✗ ", "bold red") if code else styled("✓ ", "bold green")
    name = f"{certificate.model}/{certificate.version}"
    session.out.line(mark, styled(f"{name}: {certificate.result}", "bold"))
    session.out.facts(
        [
            ("command", " ".join(certificate.command)),
            ("interpreter", certificate.interpreter),
            ("took", f"{certificate.seconds:.1f} s"),
        ],
        indent=2,
    )
    return code

"""``lastgood serve``."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.session import Session
from lastgood.core.ids import Instant, ModelName, RefName
from lastgood.core.references import ByRef, parse_reference
from lastgood.errors import InvalidReference

__all__ = ["serve"]


def serve(
    context: typer.Context,
    *,
    reference: Annotated[
        str,
        typer.Argument(metavar="MODEL@REF", help="What to follow, for example churn@production."),
    ],
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; loopback only for now.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 5001,
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            "--cache-dir",
            help="Bundles and plan of this gateway; else LASTGOOD_CACHE, else in the data directory.",
        ),
    ] = None,
    python: Annotated[
        Path | None,
        typer.Option(
            "--python", help="Interpreter of the workers; needs mlflow and what the model needs."
        ),
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option("--ready-file", help="Written once it listens: JSON with url and pid."),
    ] = None,
) -> int:
    """Serve a model over HTTP and follow the ref: a promotion or rollback swaps versions without a restart.

    Answers POST /invocations in MLflow's JSON forms. Keeps answering while the registry is down.
    """
    from lastgood.serve.options import ServeOptions
    from lastgood.serve.process import run

    session = Session.of(context)
    model, ref = followed(reference, now=session.now)
    options = ServeOptions(
        model=model,
        ref=ref,
        cache_dir=cache_dir or _cache_dir(session, model, ref),
        host=host,
        port=port,
        ready_file=ready_file,
        python=python or Path(sys.executable),
    )
    with session.registry() as registry:
        return run(options, registry)


def followed(reference: str, *, now: Instant) -> tuple[ModelName, RefName]:
    """The model and ref that a reference such as ``churn@production`` names.

    Raises:
        InvalidReference: it names a version, which does not move, so there is nothing to follow.
    """
    match parse_reference(reference, now=now):
        case ByRef(model=model, ref=ref, back=0, at=None):
            return model, ref
        case _:
            raise InvalidReference(
                f"'{reference}' names one fixed version; a gateway follows a ref",
                hint="for example: churn@production",
            )


def _cache_dir(session: Session, model: ModelName, ref: RefName) -> Path:
    base = os.environ.get("LASTGOOD_CACHE")
    return (Path(base) if base else session.data / "gateways") / f"{model}@{ref}"

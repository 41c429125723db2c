"""``lastgood server``."""

from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.session import Session

__all__ = ["server"]


def server(
    context: typer.Context,
    *,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; loopback only for now.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 5000,
    objects: Annotated[
        str,
        typer.Option(
            "--objects",
            metavar="URL",
            help="For a new data directory: where it keeps its objects, see lastgood init.",
        ),
    ] = "",
    store: Annotated[
        str,
        typer.Option(
            "--store",
            metavar="URL",
            help="For a new data directory: its database, see lastgood init; else LASTGOOD_STORE.",
        ),
    ] = "",
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            metavar="N",
            min=1,
            max=64,
            help="How many processes answer; more than one helps where many read at once.",
        ),
    ] = 1,
    ready_file: Annotated[
        Path | None,
        typer.Option("--ready-file", help="Written once it listens: JSON with url and pid."),
    ] = None,
) -> int:
    """Run the registry: MLflow's protocol, the native API (/api/v1, /docs) and artifacts.

    Makes the data directory if there is none. Point MLflow at it: MLFLOW_TRACKING_URI=http://127.0.0.1:5000
    """
    from lastgood.api.server import serve_registry

    session = Session.of(context)
    return serve_registry(
        data=session.data,
        objects_url=objects,
        store_url=store or session.store_url,
        host=host,
        port=port,
        workers=workers,
        ready_file=ready_file,
    )

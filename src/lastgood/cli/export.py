"""``lastgood export``."""

from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.import_ import System, progress_of, show_report
from lastgood.cli.output import styled
from lastgood.cli.session import Session
from lastgood.core.ids import printable
from lastgood.errors import InvalidInput

__all__ = ["export"]

SQLITE = "sqlite:///"


def export(
    context: typer.Context,
    *,
    system: Annotated[System, typer.Argument(metavar="mlflow", help="Where to: mlflow.")],
    target: Annotated[
        str, typer.Argument(metavar="DATABASE", help="A new database: sqlite:///mlflow.db")
    ],
    artifacts: Annotated[
        Path | None,
        typer.Option(
            "--artifacts",
            metavar="DIR",
            help="The directory for files; else mlartifacts beside the database.",
        ),
    ] = None,
    served: Annotated[
        bool,
        typer.Option(
            "--served",
            help="Note addresses of a server that proxies artifacts, instead of paths.",
        ),
    ] = False,
) -> int:
    """Take everything to MLflow: a database and a directory that `mlflow server` starts on.

    Ids, version numbers and times stay, which MLflow's own protocol could not do: so the target is a new database, not a running server. What MLflow has no place for (the operation log, holds, marks) stays here. Interrupted, it is simply run again; exit 1 if what was written differs.
    """
    assert system is System.MLFLOW
    from lastgood.exchange.destination import Destination
    from lastgood.exchange.exporting import export_store
    from lastgood.exchange.opening import open_source

    session = Session.of(context)
    database = _database(target)
    to = Destination(
        database=database,
        artifacts=artifacts or database.parent / "mlartifacts",
        is_served=served,
    )
    with (
        progress_of(session) as progress,
        session.remote(existing=True) as registry,
        open_source(registry.url) as (source, _),
    ):
        report = export_store(source, registry, to=to, now_ms=session.now, progress=progress)
    if session.as_json:
        session.out.json(report)
    else:
        show_report(session.out, report, command=session.repeat(f"lastgood export mlflow {target}"))
        if report.complete:
            proxy = f" --artifacts-destination {to.artifacts}" if served else ""
            start = f"mlflow server --backend-store-uri {SQLITE}{database}{proxy}"
            session.out.facts([("next", styled(start, "cyan"))], indent=2)
    return 0 if report.complete else 1


def _database(target: str) -> Path:
    if target.startswith(SQLITE):
        return Path(target.removeprefix(SQLITE)).absolute()
    if "://" in target:
        raise InvalidInput(
            f"Nothing can be exported into {printable(target.partition('://')[0])}://…: MLflow's protocol gives out "
            "ids, numbers and times itself",
            hint="export to a new database, then start `mlflow server --backend-store-uri sqlite:///…` on it",
        )
    return Path(target).absolute()

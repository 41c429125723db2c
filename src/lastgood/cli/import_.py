"""``lastgood import``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from lastgood.cli.output import Output, bytes_of, span, styled
from lastgood.cli.session import Session
from lastgood.exchange.report import Progress, Report, Silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

__all__ = ["System", "import_", "progress_of", "show_report"]

SHOWN_MAX = 20


class System(StrEnum):
    """What can be exchanged with."""

    MLFLOW = "mlflow"


_Address = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        help="A server (http://host:5000), a database (sqlite:///mlflow.db) or a directory (mlruns/).",
    ),
]
_KeepArtifacts = Annotated[
    bool,
    typer.Option(
        "--keep-artifacts",
        help="Leave the files where they are and note their addresses; versions become external.",
    ),
]
_ArtifactRoot = Annotated[
    str,
    typer.Option(
        "--artifact-root",
        metavar="DIR",
        help="Where the server of that database kept its artifacts.",
    ),
]


def import_(
    context: typer.Context,
    *,
    system: Annotated[System, typer.Argument(metavar="mlflow", help="Where from: mlflow.")],
    address: _Address,
    keep_artifacts: _KeepArtifacts = False,
    artifact_root: _ArtifactRoot = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what there is.")] = False,
) -> int:
    """Bring a whole MLflow store here: experiments, runs with full metric histories, artifacts, logged models, registered models with versions, stages and aliases, prompts.

    Ids, version numbers and times stay. The store is only read. Interrupted, it is simply run again: what is here is not brought twice. At the end everything is read once more and compared; exit 1 if anything is missing or differs.
    """
    assert system is System.MLFLOW
    from lastgood.exchange.opening import open_source

    session = Session.of(context)
    with (
        progress_of(session) as progress,
        open_source(address, artifact_root=artifact_root) as (source, files),
    ):
        if dry_run:
            from lastgood.exchange.whole import count_store

            counts = count_store(source, progress=progress)
        else:
            from lastgood.exchange.whole import import_store

            with session.remote() as registry:
                report = import_store(
                    source,
                    files,
                    registry,
                    caller=session.caller(),
                    copies_files=not keep_artifacts,
                    progress=progress,
                )
    if dry_run:
        if session.as_json:
            session.out.json(counts)
            return 0
        for note in counts.notes:
            session.out.line(styled("note: ", "yellow"), note)
        names = ("experiments", "runs", "points", "logged_models", "registered_models", "versions")
        session.out.facts((name.replace("_", " "), f"{getattr(counts, name):,}") for name in names)
        return 0
    if session.as_json:
        session.out.json(report)
    else:
        show_report(
            session.out, report, command=session.repeat(f"lastgood import mlflow {address}")
        )
    return 0 if report.complete else 1


def show_report(out: Output, report: Report, *, command: str) -> None:
    """Print what was done and how both sides compare."""
    for note in report.notes:
        out.line(styled("note: ", "yellow"), note)
    for problem in report.problems[:SHOWN_MAX]:
        out.line(styled(f"{problem.subject}: ", "bold red"), problem.what)
        if problem.hint:
            out.indented(styled("hint: ", "cyan"), problem.hint)
    for difference in report.differences[:SHOWN_MAX]:
        what = "is missing" if difference.missing else "differs"
        out.line(styled(f"{difference.kind}: ", "bold red"), f"{difference.subject} {what}")
    hidden = sum(max(0, len(found) - SHOWN_MAX) for found in (report.problems, report.differences))
    if hidden:
        out.line(f"and {hidden:,} more; --json lists them")
    rows = [
        (
            kind.kind,
            f"{kind.count:,}",
            f"{kind.same:,}",
            kind.digest_there[7:19],
            styled(kind.digest_here[7:19], "" if kind.same == kind.count else "red"),
        )
        for kind in report.kinds
    ]
    out.table(["COMPARED", ">THERE", ">SAME HERE", "!DIGEST THERE", "!DIGEST HERE"], rows)
    work = f"{report.points:,} points, {bytes_of(report.bytes_sent)} sent, {span(int(report.seconds * 1000))}"
    if report.complete:
        out.line(styled("✓ ", "bold green"), f"both sides say the same ({work})")
    else:
        out.line(styled("✗ ", "bold red"), f"not everything is here ({work}); again: {command}")


@contextmanager
def progress_of(session: Session) -> Iterator[Progress]:
    """Bars on a terminal; they disappear when the work is done."""
    if session.as_json or not sys.stderr.isatty():
        yield Silent()
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Shown(bars)


class _Shown:
    def __init__(self, bars: "Bars") -> None:
        self._bars = bars
        self._task = bars.add_task("opening", total=None)

    def step(self, name: str) -> None:
        self._bars.stop_task(self._task)
        self._task = self._bars.add_task(name, total=None)

    def advance(self, count: int = 1) -> None:
        self._bars.advance(self._task, count)

"""Taking everything back to MLflow: a SQLite database and a directory of artifacts for `mlflow server`.

The database grows under another name and gets its own when it is complete and compared. Run again after
any end, an export does what is left.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace

from lastgood.core.exchange import Series
from lastgood.errors import AlreadyExists, InvalidInput
from lastgood.exchange.database import DatabaseSource
from lastgood.exchange.database_writer import DatabaseWriter
from lastgood.exchange.destination import Destination, inner_path
from lastgood.exchange.export_comparing import ExportComparing
from lastgood.exchange.library import create_database, read_folder
from lastgood.exchange.report import Comparison, Progress, Report
from lastgood.exchange.source import Source
from lastgood.sdk.client import RemoteRegistry
from lastgood.sdk.importing import RemoteImport

__all__ = ["export_store"]

COPIERS = 6
SERIES_PER_WRITE = 1_000


@dataclass(slots=True)
class _Export:
    source: Source
    url: str
    target: RemoteImport
    to: Destination
    writer: DatabaseWriter
    progress: Progress
    new: dict[str, int] = field(default_factory=dict)
    bytes_sent: int = 0

    def run(self) -> None:
        self.progress.step("experiments")
        self.writer.experiments(map(self.to.experiment, self.source.experiments()))
        self._runs()
        self._logged_models()
        self._models()

    def _runs(self) -> None:
        self.progress.step("runs")
        known = self.writer.known_runs()
        for batch in self.source.runs():
            new = [record for record in batch if record.run.run_id not in known]
            self._copy([record.run.artifact_uri for record in new])
            for series in _chunks(self.source.histories(new)):
                self.writer.histories(series)
            self.writer.runs(map(self.to.run_record, new))
            self._count("runs", len(new))
            self.progress.advance(len(batch))

    def _logged_models(self) -> None:
        self.progress.step("logged models")
        known = self.writer.known_logged_models()
        for batch in self.source.logged_models():
            new = [model for model in batch if model.model_id not in known]
            self._copy([model.artifact_uri for model in new])
            self.writer.logged_models(map(self.to.logged_model, new))
            self._count("logged models", len(new))
            self.progress.advance(len(batch))

    def _models(self) -> None:
        self.progress.step("registered models")
        for model in self.source.models():
            batches = [list(batch) for batch in self.source.versions(model)]
            for batch in batches:
                self._copy([version.address for version in batch])
            used = self.target.numbers_used([model.name])[0]
            whole = replace(model, numbers_used=used)
            self.writer.model(whole, ([self.to.version(v) for v in batch] for batch in batches))
            self._count("registered models", 1)
            self.progress.advance()

    def _copy(self, addresses: Sequence[str]) -> None:
        ours = {address: inner for address in addresses if (inner := inner_path(address))}
        with ThreadPoolExecutor(COPIERS, thread_name_prefix="copy") as copiers:
            for size in copiers.map(lambda one: self._fetched(*one), ours.items()):
                self.bytes_sent += size

    def _fetched(self, address: str, inner: str) -> int:
        folder = self.to.artifacts / inner
        folder.mkdir(parents=True, exist_ok=True)
        if not read_folder(address, tracking_uri=self.url, into=folder):
            folder.rmdir()
            return 0
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    def _count(self, kind: str, count: int) -> None:
        self.new[kind] = self.new.get(kind, 0) + count


def export_store(
    source: Source,
    registry: RemoteRegistry,
    *,
    to: Destination,
    now_ms: int,
    progress: Progress,
) -> Report:
    """Write all that a registry shows to MLflow's clients, and compare what was written.

    Args:
        source: The registry, read as an MLflow server.
        registry: The same, for files.
        to: Where to.
        now_ms: The time.
        progress: Told what happens.

    Raises:
        AlreadyExists: there is a database already. ServerUnreachable: the registry is gone; do it again.
        InvalidInput: something cannot be read or written.
    """
    began = time.monotonic()
    if to.database.exists():
        raise AlreadyExists(
            f"{to.database} exists already",
            hint="an export makes a new database: name another file",
        )
    _prepare(to)
    with closing(DatabaseWriter(to.partial, now_ms=now_ms)) as writer:
        export = _Export(
            source=source,
            url=registry.url,
            target=registry.importing(registry.caller()),
            to=to,
            writer=writer,
            progress=progress,
        )
        export.run()
    found = Comparison()
    with closing(DatabaseSource(to.partial, address=str(to.database))) as written:
        comparing = ExportComparing(
            source=source, written=written, to=to, registry=registry, found=found, progress=progress
        )
        comparing.run()
    report = Report(
        address=str(to.database),
        seconds=round(time.monotonic() - began, 3),
        kinds=found.reports(export.new),
        points=comparing.points,
        bytes_sent=export.bytes_sent,
        differences=tuple(found.differences),
        notes=tuple(source.notes),
    )
    if report.complete:
        to.partial.rename(to.database)
    return report


def _prepare(to: Destination) -> None:
    try:
        to.database.parent.mkdir(parents=True, exist_ok=True)
        to.artifacts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{error.filename} cannot be made: {error.strerror}") from error
    if not to.partial.exists():
        made = to.partial.with_name(f"{to.partial.name}.new")
        made.unlink(missing_ok=True)
        create_database(made)
        made.rename(to.partial)


def _chunks(series: Iterator[Series]) -> Iterator[list[Series]]:
    chunk: list[Series] = []
    for one in series:
        chunk.append(one)
        if len(chunk) == SERIES_PER_WRITE:
            yield chunk
            chunk = []
    yield chunk

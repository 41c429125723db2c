"""Reading an exported database and the registry again, and comparing them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lastgood.core.exchange import (
    NOTHING,
    Asked,
    HistoryDigest,
    ImportedModel,
    Point,
    RunRecord,
    digest_of,
    digest_of_files,
)
from lastgood.core.ids import Digest, digest_of_hex
from lastgood.exchange.database_writer import finite
from lastgood.exchange.destination import Destination, inner_path
from lastgood.exchange.files import ArtifactFiles
from lastgood.exchange.report import Comparison, Progress
from lastgood.exchange.source import Source
from lastgood.sdk.client import RemoteRegistry

__all__ = ["ExportComparing"]

FROZEN = "sha256"


@dataclass(slots=True)
class ExportComparing:
    """One comparison of what was written with what it was written from.

    Args:
        source: The registry, read as an MLflow server.
        written: The database.
        to: Where it is, and its files.
        registry: The registry, for the digests of files.
        found: Collects what is found.
        progress: Told what happens.
    """

    source: Source
    written: Source
    to: Destination
    registry: RemoteRegistry
    found: Comparison
    progress: Progress
    points: int = 0

    def run(self) -> None:
        """Compare all of it. Raises ServerUnreachable, InvalidInput."""
        self.progress.step("compare experiments")
        there = {one.id: digest_of(one) for one in self.written.experiments()}
        for one in self.source.experiments():
            here = digest_of(self.to.experiment(one))
            self.found.add("experiments", one.name, there=there.get(one.id, NOTHING), here=here)
        self._runs()
        self._logged_models()
        self._models()

    def _runs(self) -> None:
        self.progress.step("compare runs")
        there: dict[str, tuple[Digest, Digest]] = {}
        for batch in self.written.runs():
            histories = self._histories(self.written, batch, lambda value: value)
            for record in batch:
                run_id = record.run.run_id
                there[run_id] = (digest_of(record), histories[run_id].digest())
        for batch in self.source.runs():
            histories = self._histories(self.source, batch, finite)
            for record in batch:
                run_id = record.run.run_id
                run, history = there.get(run_id, (NOTHING, NOTHING))
                here = digest_of(self.to.run_record(record))
                self.found.add("runs", run_id, there=run, here=here)
                self.found.add("histories", run_id, there=history, here=histories[run_id].digest())
                self.points += histories[run_id].points
                self._files(record.run.artifact_uri)
            self.progress.advance(len(batch))

    @staticmethod
    def _histories(
        source: Source, runs: Sequence[RunRecord], stored: Callable[[float], float]
    ) -> dict[str, HistoryDigest]:
        read = {record.run.run_id: HistoryDigest() for record in runs}
        for series in source.histories(runs):
            points: list[Point] = [(at_ms, step, stored(v)) for at_ms, step, v in series.points]
            read[series.run_id].add(series.key, points)
        return read

    def _logged_models(self) -> None:
        self.progress.step("compare logged models")
        there = {m.model_id: digest_of(m) for batch in self.written.logged_models() for m in batch}
        for batch in self.source.logged_models():
            for model in batch:
                self.found.add(
                    "logged models",
                    model.model_id,
                    there=there.get(model.model_id, NOTHING),
                    here=digest_of(self.to.logged_model(model)),
                )
                self._files(model.artifact_uri)
            self.progress.advance(len(batch))

    def _models(self) -> None:
        self.progress.step("compare registered models")
        models = {model.name: model for model in self.written.models()}
        for model in self.source.models():
            other = models.get(model.name)
            there = digest_of(other) if other else NOTHING
            used = self.registry.importing(self.registry.caller()).numbers_used([model.name])[0]
            here = digest_of(replace(model, numbers_used=used))
            self.found.add("registered models", model.name, there=there, here=here)
            self._versions(model)
            self.progress.advance()

    def _versions(self, model: ImportedModel) -> None:
        there = {v.version: digest_of(v) for batch in self.written.versions(model) for v in batch}
        for batch in self.source.versions(model):
            for version in batch:
                self.found.add(
                    "versions",
                    f"{model.name}/{version.version}",
                    there=there.get(version.version, NOTHING),
                    here=digest_of(self.to.version(version)),
                )
                self._files(version.address)

    def _files(self, address: str) -> None:
        inner = inner_path(address)
        if inner is None:
            return
        here = self._digest_here(inner)
        with ArtifactFiles().at((self.to.artifacts.absolute() / inner).as_uri()) as files:
            there = digest_of_files((f.path, f.digest, f.size) for f in files)
        if here or there:
            self.found.add("folders of files", inner, there=there, here=here)

    def _digest_here(self, inner: str) -> Digest:
        root, _, rest = inner.partition("/")
        if root == FROZEN:
            manifest = self.registry.manifest(digest_of_hex(rest))
            return digest_of_files((f.path, f.digest, f.size) for f in manifest.files)
        target = self.registry.importing(self.registry.caller())
        return target.digests(Asked(folders=[inner])).folders[0]

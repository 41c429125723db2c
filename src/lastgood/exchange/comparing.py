"""Reading everything at the source again and comparing it with what the registry holds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from lastgood.core.exchange import (
    NOTHING,
    Asked,
    HistoryDigest,
    ImportedModel,
    ImportedVersion,
    RunRecord,
    digest_of,
    digest_of_files,
)
from lastgood.core.ids import Digest
from lastgood.errors import LastgoodError
from lastgood.exchange.files import ArtifactFiles, is_in_a_store
from lastgood.exchange.importing import folder_at
from lastgood.exchange.report import Comparison, Progress
from lastgood.exchange.source import Source
from lastgood.exchange.translation import Translation
from lastgood.sdk.importing import RemoteImport

__all__ = ["Comparing"]


@dataclass(slots=True)
class Comparing:
    """One comparison.

    Args:
        source: The MLflow store.
        files: The files of its runs.
        target: This registry.
        translation: What things are called here.
        progress: Told what happens.
        folders: Files that were read a moment ago need not be read again: their digests, by folder.
    """

    source: Source
    files: ArtifactFiles
    target: RemoteImport
    translation: Translation
    progress: Progress
    folders: dict[str, Digest]
    found: Comparison
    points: int = 0

    def run(self) -> None:
        """Compare all of it. Raises ServerUnreachable, InvalidInput."""
        self._experiments()
        self._runs()
        self._logged_models()
        self._registry()

    def _experiments(self) -> None:
        self.progress.step("compare experiments")
        wanted = [
            self.translation.experiment(experiment)
            for experiment in self.source.experiments()
            if experiment.id in self.translation.experiment_ids
        ]
        for experiment in wanted:
            here = self.target.digests(Asked(experiments=[experiment.id])).experiments[0]
            self.found.add("experiments", experiment.name, there=digest_of(experiment), here=here)
            self.progress.advance()

    def _runs(self) -> None:
        self.progress.step("compare runs")
        for batch in self.source.runs():
            placed = [r for r in batch if r.run.experiment_id in self.translation.experiment_ids]
            ids = [record.run.run_id for record in placed]
            here = self.target.digests(Asked(runs=ids, histories=ids))
            histories = self._histories(placed)
            for record, run, history in zip(placed, here.runs, here.histories, strict=True):
                run_id = record.run.run_id
                translated = self.translation.run(record)
                there = digest_of(translated)
                is_kept = there != run and run == digest_of(self._kept(record))
                self.found.add("runs", run_id, there=run if is_kept else there, here=run)
                self.found.add("histories", run_id, there=histories[run_id], here=history)
                if not is_kept:
                    self._compare_files(record.run.artifact_uri, translated.run.artifact_uri)
            self.progress.advance(len(batch))

    def _kept(self, record: RunRecord) -> RunRecord:
        """The run as an import that keeps addresses made it."""
        number = self.translation.experiment_ids[record.run.experiment_id]
        return replace(record, run=msgspec.structs.replace(record.run, experiment_id=number))

    def _histories(self, runs: Sequence[RunRecord]) -> dict[str, Digest]:
        read = {record.run.run_id: HistoryDigest() for record in runs}
        for series in self.source.histories(runs):
            read[series.run_id].add(series.key, series.points)
        self.points += sum(history.points for history in read.values())
        return {run_id: history.digest() for run_id, history in read.items()}

    def _compare_files(self, address: str, to: str) -> None:
        if not self.translation.copies_files:
            return
        folder = folder_at(to)
        there = self.folders.get(folder)
        if there is None:
            try:
                with self.files.at(address) as files:
                    there = digest_of_files((f.path, f.digest, f.size) for f in files)
            except LastgoodError:  # it was a problem of the import already, or is a difference now
                there = Digest("sha256:" + "0" * 64)
        here = self.target.digests(Asked(folders=[folder])).folders[0]
        if NOTHING not in {there, here} or there != here:
            self.found.add("folders of files", folder, there=there, here=here)

    def _logged_models(self) -> None:
        self.progress.step("compare logged models")
        for batch in self.source.logged_models():
            placed = [m for m in batch if m.experiment_id in self.translation.experiment_ids]
            here = self.target.digests(Asked(logged_models=[model.model_id for model in placed]))
            for model, digest in zip(placed, here.logged_models, strict=True):
                translated = self.translation.logged_model(model)
                there = digest_of(translated)
                kept = replace(translated, artifact_uri=model.artifact_uri)
                is_kept = there != digest and digest == digest_of(kept)
                self.found.add(
                    "logged models", model.model_id, there=digest if is_kept else there, here=digest
                )
                if not is_kept:
                    self._compare_files(model.artifact_uri, translated.artifact_uri)
            self.progress.advance(len(batch))

    def _registry(self) -> None:
        self.progress.step("compare registered models")
        for model in self.source.models():
            here = self.target.digests(Asked(models=[model.name])).models[0]
            self.found.add("registered models", model.name, there=digest_of(model), here=here)
            self._versions(model)
            self.progress.advance()

    def _versions(self, model: ImportedModel) -> None:
        for batch in self.source.versions(model):
            asked = Asked(versions=[(v.model, v.version) for v in batch])
            for version, here in zip(batch, self.target.digests(asked).versions, strict=True):
                there = self._expected(version, here)
                self.found.add(
                    "versions", f"{model.name}/{version.version}", there=there, here=here
                )

    def _expected(self, version: ImportedVersion, here: Digest) -> Digest:
        external = digest_of(version)
        frozen = digest_of(replace(version, address=""))
        has_files = self.translation.copies_files and is_in_a_store(version.address)
        # One whose files were lost before the import is external, and that is right.
        return frozen if has_files and here != external else external

"""Bringing an MLflow store here. Run again after any end, it does what is left.

Order makes it so: files, then the history of metrics, then the run that they belong to. What is here as
a whole is not sent again; the rest is sent anew, and stored once.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from lastgood.core.exchange import (
    ImportedFile,
    ImportedModel,
    ImportedVersion,
    RunRecord,
    Series,
    digest_of_files,
)
from lastgood.core.ids import Digest
from lastgood.core.manifest import FileEntry
from lastgood.core.tracking import LoggedModel
from lastgood.errors import LastgoodError, ServerUnreachable, StoreUnavailable
from lastgood.exchange.files import ArtifactFiles, is_in_a_store
from lastgood.exchange.report import PROBLEMS_KEPT_MAX, Problem, Progress
from lastgood.exchange.source import Source
from lastgood.exchange.translation import Translation
from lastgood.sdk.bundle import send_missing
from lastgood.sdk.client import RemoteRegistry
from lastgood.sdk.importing import RemoteImport

__all__ = ["Import"]

T = TypeVar("T")
POINTS_PER_REQUEST = 20_000
SERIES_PER_REQUEST = 10_000
FILES_PER_REQUEST = 5_000
VERSIONS_PER_REQUEST = 50  # a prompt's text is a tag of up to 100,000 characters
COPIERS = 6  # runs whose files are on their way at the same time


@dataclass(slots=True)
class Import:
    """One import.

    Args:
        source: Where from.
        files: The files of its runs.
        registry: Where to, for objects.
        target: Where to, for everything else.
        translation: What things are called here.
        progress: Told what happens.
    """

    source: Source
    files: ArtifactFiles
    registry: RemoteRegistry
    target: RemoteImport
    translation: Translation
    progress: Progress
    new: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    folders: dict[str, Digest] = field(default_factory=dict)
    """The files of each folder that were read by this import: their digest."""
    left_out: set[str] = field(default_factory=set)
    """Runs and logged models whose files could not be read."""
    bytes_sent: int = 0

    def run(self) -> None:
        """Do all of it.

        Raises:
            ServerUnreachable, StoreUnavailable: one of the two sides is gone; run it again.
            InvalidInput: the source cannot be read.
        """
        self._experiments()
        self._runs()
        self._logged_models()
        self._registry()

    @property
    def reason(self) -> str:
        """What the operations say of where they come from."""
        return f"import from {self.source.address}"

    def _experiments(self) -> None:
        self.progress.step("experiments")
        for experiment in self.source.experiments():
            wanted = self.translation.experiment(experiment)
            try:
                number = self.target.experiments([wanted])[0]
            except LastgoodError as error:
                self._problem(f"experiment {experiment.name}", error)
                continue
            self.translation.experiment_ids[experiment.id] = number
            self.progress.advance()

    def _runs(self) -> None:
        self.progress.step("runs")
        for batch in self.source.runs():
            known = self.target.known_runs([record.run.run_id for record in batch])
            placed = [r for r in batch if r.run.experiment_id in self.translation.experiment_ids]
            translated = [(record, self.translation.run(record)) for record in placed]
            new = [pair for pair in translated if pair[0].run.run_id not in known]
            ready = self._with_files(
                [(f"run {r.run.run_id}", r.run.artifact_uri, t.run.artifact_uri) for r, t in new]
            )
            sendable = [pair for pair, is_ready in zip(new, ready, strict=True) if is_ready]
            self.left_out.update(
                r.run.run_id for (r, _), is_ready in zip(new, ready, strict=True) if not is_ready
            )
            self._histories([record for record, _ in sendable])
            self._send_runs([record for _, record in sendable])
            self.progress.advance(len(batch))

    def _histories(self, runs: Sequence[RunRecord]) -> None:
        waiting: list[Series] = []
        count = 0
        for series in self.source.histories(runs):
            waiting.append(series)
            count += len(series.points)
            if count >= POINTS_PER_REQUEST or len(waiting) >= SERIES_PER_REQUEST:
                self._send_points(waiting, count)
                waiting, count = [], 0
        self._send_points(waiting, count)

    def _send_points(self, series: Sequence[Series], count: int) -> None:
        if series:
            self.target.points(series)
            self._count("points", count)

    def _send_runs(self, records: Sequence[RunRecord]) -> None:
        if not records:
            return
        try:
            self._count("runs", self.target.runs(records))
        except LastgoodError as error:
            if len(records) == 1:
                self.left_out.add(records[0].run.run_id)
                self._problem(f"run {records[0].run.run_id}", error)
                return
            self._pass_on(error)
            for record in records:  # one of them is at fault: only that one stays behind
                self._send_runs([record])

    def _logged_models(self) -> None:
        self.progress.step("logged models")
        for batch in self.source.logged_models():
            known = self.target.known_logged_models([model.model_id for model in batch])
            placed = [m for m in batch if m.experiment_id in self.translation.experiment_ids]
            translated = [(model, self.translation.logged_model(model)) for model in placed]
            new = [pair for pair in translated if pair[0].model_id not in known]
            ready = self._with_files(
                [(f"model {m.model_id}", m.artifact_uri, t.artifact_uri) for m, t in new]
            )
            for (model, made), is_ready in zip(new, ready, strict=True):
                if is_ready:
                    self._send_model(made)
                else:
                    self.left_out.add(model.model_id)
            self.progress.advance(len(batch))

    def _send_model(self, model: LoggedModel) -> None:
        try:
            self._count("logged models", self.target.logged_models([model]))
        except LastgoodError as error:
            self.left_out.add(model.model_id)
            self._problem(f"model {model.model_id}", error)

    # --- files ------------------------------------------------------------------------------------

    def _with_files(self, places: Sequence[tuple[str, str, str]]) -> list[bool]:
        """Bring the files of runs or models; for each whether all of them are here now."""
        if not self.translation.copies_files:
            return [True] * len(places)
        with ThreadPoolExecutor(COPIERS, thread_name_prefix="copy") as copiers:
            found = list(copiers.map(lambda place: self._copied(*place), places))
        self._publish([file for files in found if files is not None for file in files])
        return [files is not None for files in found]

    def _copied(self, subject: str, address: str, to: str) -> list[ImportedFile] | None:
        """Send the bytes at an address; the files that they become, or None if they cannot be read."""
        folder = folder_at(to)
        try:
            with self.files.at(address) as files:
                send_missing(self.registry, files)
                listed = [(f.path, f.digest, f.size) for f in files]
        except LastgoodError as error:
            self._problem(subject, error)
            return None
        self.folders[folder] = digest_of_files(listed)
        self.bytes_sent += sum(size for _, _, size in listed)
        return [
            ImportedFile(path=f"{folder}/{path}", digest=digest, size=size)
            for path, digest, size in listed
        ]

    def _publish(self, files: Sequence[ImportedFile]) -> None:
        for some in batches(files, FILES_PER_REQUEST):
            self.target.files(some)
        self._count("files", len(files))

    # --- the registry -----------------------------------------------------------------------------

    def _registry(self) -> None:
        self.progress.step("registered models")
        for model in self.source.models():
            try:
                self.target.models([model], reason=self.reason)
                if self._versions(model):
                    self.target.aliases([model], reason=self.reason)
            except LastgoodError as error:
                self._problem(f"registered model {model.name}", error)
            self.progress.advance()

    def _versions(self, model: ImportedModel) -> bool:
        """Whether all are here now, so that aliases find what they point to."""
        complete = True
        for batch in self.source.versions(model):
            wanted = [self._own_files(self.translation.version(version)) for version in batch]
            # Without its files it would be external for ever; the next import may find them.
            ready = [v for v in wanted if not self.left_out & {v.run_id, v.logged_model_id}]
            complete = complete and len(ready) == len(wanted)
            for some in batches(ready, VERSIONS_PER_REQUEST):
                self._count("versions", self.target.versions(some, reason=self.reason))
        return complete

    def _own_files(self, version: ImportedVersion) -> ImportedVersion:
        """The version, with the files that it has outside of all runs and logged models."""
        if (
            version.folder
            or not self.translation.copies_files
            or not is_in_a_store(version.address)
        ):
            return version
        if self.left_out & {version.run_id, version.logged_model_id}:
            return version
        with self.files.at(version.address) as files:
            send_missing(self.registry, files)
            entries = tuple(FileEntry(path=f.path, digest=f.digest, size=f.size) for f in files)
        self.bytes_sent += sum(entry.size for entry in entries)
        return replace(version, files=entries)

    # ----------------------------------------------------------------------------------------------

    def _count(self, kind: str, count: int) -> None:
        self.new[kind] = self.new.get(kind, 0) + count

    def _problem(self, subject: str, error: LastgoodError) -> None:
        self._pass_on(error)
        if len(self.problems) < PROBLEMS_KEPT_MAX:
            self.problems.append(Problem(subject=subject, what=error.message, hint=error.hint))

    @staticmethod
    def _pass_on(error: LastgoodError) -> None:
        """A side that is gone is not the fault of one run: the whole import ends."""
        if isinstance(error, ServerUnreachable | StoreUnavailable):
            raise error


def folder_at(address: str) -> str:
    """The path under the artifact root of an address here."""
    return address.partition("mlflow-artifacts:/")[2]


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in pieces of at most that size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]

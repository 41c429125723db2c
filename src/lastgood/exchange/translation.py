"""What the records of a source are called here: ids of experiments, addresses of files."""

from dataclasses import dataclass, field, replace

import msgspec

from lastgood.core.exchange import ImportedVersion, RunRecord
from lastgood.core.tracking import Experiment, LoggedModel
from lastgood.exchange.files import place_of

__all__ = ["Translation"]

ROOT = "mlflow-artifacts:/"


@dataclass(slots=True)
class Translation:
    """From a source's records to those that this registry shall hold.

    Args:
        copies_files: Whether the files come over too; else addresses stay as they are.
    """

    copies_files: bool
    experiment_ids: dict[int, int] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    """Where the files of an address are here, under the artifact root."""

    def experiment(self, experiment: Experiment) -> Experiment:
        """The experiment; its id once it is known."""
        number = self.experiment_ids.get(experiment.id, experiment.id)
        location = f"{ROOT}{number}" if self.copies_files else experiment.artifact_location
        if experiment.id not in self.experiment_ids and self.copies_files:
            location = ""  # the registry chooses it with the id
        return replace(experiment, id=number, artifact_location=location)

    def run(self, record: RunRecord) -> RunRecord:
        """The run, with the address that its files have here."""
        run = record.run
        number = self.experiment_ids[run.experiment_id]
        address = run.artifact_uri
        if self.copies_files:
            folder = f"{number}/{run.run_id}/artifacts"
            self.folders[place_of(address)] = folder
            address = f"{ROOT}{folder}"
        return replace(
            record, run=msgspec.structs.replace(run, experiment_id=number, artifact_uri=address)
        )

    def logged_model(self, model: LoggedModel) -> LoggedModel:
        """The logged model, with the address that its files have here."""
        number = self.experiment_ids[model.experiment_id]
        address = model.artifact_uri
        if self.copies_files:
            folder = f"{number}/models/{model.model_id}/artifacts"
            self.folders[place_of(address)] = folder
            address = f"{ROOT}{folder}"
        return replace(model, experiment_id=number, artifact_uri=address)

    def version(self, version: ImportedVersion) -> ImportedVersion:
        """The version; with a folder if its files are among those that came over, else external."""
        return replace(version, folder=self._folder(version.address))

    def _folder(self, address: str) -> str:
        parts = place_of(address).split("/")
        for end in range(len(parts), 0, -1):
            folder = self.folders.get("/".join(parts[:end]))
            if folder is not None:
                return "/".join([folder, *parts[end:]])
        return ""

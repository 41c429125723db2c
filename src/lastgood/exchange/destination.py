"""Where an export goes, and what the records of this registry are called there."""

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from lastgood.core.exchange import ImportedVersion, RunRecord
from lastgood.core.tracking import Experiment, LoggedModel
from lastgood.exchange.database_writer import finite
from lastgood.exchange.files import place_of

__all__ = ["Destination", "inner_path"]

PROXIED = "mlflow-artifacts:/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an export goes.

    Args:
        database: The file to make.
        artifacts: The directory for files.
        is_served: Note addresses of the server that will stand before both, instead of paths.
    """

    database: Path
    artifacts: Path
    is_served: bool = False

    @property
    def partial(self) -> Path:
        """The database while it is not complete."""
        return self.database.with_name(f"{self.database.name}.partial")

    def address(self, address: str) -> str:
        """What an address of ours is there; others stay as they are."""
        inner = inner_path(address)
        if inner is None or self.is_served:
            return address
        return (self.artifacts.absolute() / inner).as_uri()

    def experiment(self, experiment: Experiment) -> Experiment:
        """The experiment with its address there."""
        return replace(experiment, artifact_location=self.address(experiment.artifact_location))

    def run_record(self, record: RunRecord) -> RunRecord:
        """The run with its address there."""
        run = msgspec.structs.replace(
            record.run, artifact_uri=self.address(record.run.artifact_uri)
        )
        metrics = [msgspec.structs.replace(m, value=finite(m.value)) for m in record.facts.metrics]
        return replace(record, run=run, facts=replace(record.facts, metrics=metrics))

    def logged_model(self, model: LoggedModel) -> LoggedModel:
        """The logged model with its address there."""
        metrics = tuple(replace(m, value=finite(m.value)) for m in model.metrics)
        return replace(model, artifact_uri=self.address(model.artifact_uri), metrics=metrics)

    def version(self, version: ImportedVersion) -> ImportedVersion:
        """The version with its address there."""
        return replace(version, address=self.address(version.address))


def inner_path(address: str) -> str | None:
    """The path under our artifact root of an address of ours; None for any other."""
    place = place_of(address)
    return place.removeprefix(PROXIED) if place.startswith(PROXIED) else None

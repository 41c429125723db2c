"""What an MLflow store offers to whoever reads all of it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from lastgood.core.exchange import ImportedModel, ImportedVersion, RunRecord, Series
from lastgood.core.tracking import Experiment, LoggedModel

__all__ = ["RUNS_PER_BATCH", "Source"]

RUNS_PER_BATCH = 200


class Source(Protocol):
    """An MLflow store that can be read as often as wanted. Records say what the store says, in our types."""

    @property
    def address(self) -> str:
        """Where it is, without secrets."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know about how it is read."""
        ...

    def experiments(self) -> Sequence[Experiment]:
        """All experiments, also deleted ones, in order of id."""
        ...

    def runs(self) -> Iterator[Sequence[RunRecord]]:
        """All runs, also deleted ones, in batches."""
        ...

    def histories(self, runs: Sequence[RunRecord]) -> Iterator[Series]:
        """All points of the runs, run by run and metric by metric, in order of time, step and value."""
        ...

    def logged_models(self) -> Iterator[Sequence[LoggedModel]]:
        """Logged models in batches; deleted ones as far as the store shows them."""
        ...

    def models(self) -> Sequence[ImportedModel]:
        """All registered models, prompts among them."""
        ...

    def versions(self, model: ImportedModel) -> Iterator[Sequence[ImportedVersion]]:
        """All versions of the model in batches; `address` is where their bytes are, `folder` is empty."""
        ...

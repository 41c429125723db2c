"""Merging what runs logged into what searches look through."""

from collections.abc import Iterator, Sequence

from lastgood.engine.kernel import Kernel
from lastgood.store.database import Connection
from lastgood.store.tracking import metrics as metric_store
from lastgood.store.tracking import runs as run_store
from lastgood.store.tracking.arrivals import runs_waiting

__all__ = ["Folding"]

# In one write; others wait for it meanwhile. Of one run some 50,000 points wait at most, of most runs a few.
RUNS_PER_WRITE = 20


class Folding:
    """The verbs of it. They return when it is done: call them outside of an event loop."""

    def __init__(self, kernel: Kernel) -> None:
        self._database = kernel.database

    def of_experiments(self, experiment_ids: Sequence[int]) -> None:
        """Merge what waits of runs of these experiments: a search by a metric sees all that was acknowledged."""
        self._fold(self._database.peek(lambda c: runs_waiting(c, experiment_ids)))

    def of_all(self) -> int:
        """Merge all that waits; of how many runs something waited."""
        return self._fold(self._database.peek(runs_waiting))

    def _fold(self, run_ids: Sequence[str]) -> int:
        for some in _slices(run_ids):
            self._database.write(lambda tx, some=some: _fold(tx, some)).result()  # type: ignore[misc]
        return len(run_ids)


def _fold(tx: Connection, run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        if (run := run_store.run_of(tx, run_id)) is not None:
            metric_store.fold(tx, run)


def _slices(run_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(run_ids), RUNS_PER_WRITE):
        yield run_ids[start : start + RUNS_PER_WRITE]

"""Merging what runs logged into what searches look through."""

from collections.abc import Iterator, Sequence
from functools import partial

from lastgood.engine.kernel import Kernel
from lastgood.store.database import Connection
from lastgood.store.tracking import metrics as metric_store
from lastgood.store.tracking import runs as run_store
from lastgood.store.tracking.arrivals import runs_waiting

__all__ = ["Folding"]

# What one write merges, if it is not all of one run: others wait for it, some 30 ms then.
WEIGHT_PER_WRITE = 20_000
RUNS_PER_WRITE = 200


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

    def _fold(self, waiting: Sequence[tuple[str, int]]) -> int:
        for run_ids in _slices(waiting):
            self._database.write(partial(_fold, run_ids)).result()
        return len(waiting)


def _fold(run_ids: Sequence[str], tx: Connection) -> None:
    for run_id in run_ids:
        if (run := run_store.run_of(tx, run_id)) is not None:
            metric_store.fold(tx, run)


def _slices(waiting: Sequence[tuple[str, int]]) -> Iterator[Sequence[str]]:
    """Runs that are merged together."""
    some: list[str] = []
    total = 0
    for run_id, weight in waiting:
        some.append(run_id)
        total += weight
        if total >= WEIGHT_PER_WRITE or len(some) == RUNS_PER_WRITE:
            yield some
            some, total = [], 0
    if some:
        yield some

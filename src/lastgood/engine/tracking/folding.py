"""Merging what runs logged into what searches look through."""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from lastgood.engine.kernel import Kernel
from lastgood.store.database import Connection
from lastgood.store.tracking import metrics as metric_store
from lastgood.store.tracking import runs as run_store
from lastgood.store.tracking.arrivals import arrivals_of, runs_waiting
from lastgood.store.tracking.pieces import finish, merge_piece, pieces_of

__all__ = ["Folding"]

# What one write merges: others wait for it, some 30 ms then. More of one run is merged in pieces.
WEIGHT_PER_WRITE = 20_000
RUNS_PER_WRITE = 200


class Folding:
    """The verbs of it. They return when it is done: call them outside of an event loop."""

    def __init__(self, kernel: Kernel) -> None:
        self._database = kernel.database
        self._turn = threading.Lock()  # two that merge the same would do it twice
        self._alarm: Callable[[], None] | None = None

    def of_experiments(self, experiment_ids: Sequence[int]) -> None:
        """Merge what waits of runs of these experiments: a search by a metric sees all that was acknowledged."""
        with self._turn:
            self._fold(self._database.peek(lambda c: runs_waiting(c, experiment_ids)))

    def of_all(self) -> int:
        """Merge all that waits, and what the writer is about to store; of how many runs something waited."""
        with self._turn:
            # Much waits in the transaction in which that is noticed. When the writer comes to this, it is committed.
            self._database.write(_nothing).result()
            waiting = self._database.peek(runs_waiting)
            self._fold(waiting)
        return len(waiting)

    def when_much_waits(self, alarm: Callable[[], None] | None) -> None:
        """Have somebody told, in whatever thread, when so much waits of a run that it should be merged soon."""
        self._alarm = alarm

    @property
    def is_watched(self) -> bool:
        """Whether somebody wants to be told, and then merges."""
        return self._alarm is not None

    def much_waits(self) -> None:
        """So much waits of a run that it should be merged soon."""
        if (alarm := self._alarm) is not None:
            alarm()

    def _fold(self, waiting: Sequence[tuple[str, int]]) -> None:
        for run_id, weight in waiting:
            if weight > WEIGHT_PER_WRITE:
                self._fold_in_pieces(run_id)
        small = [(run_id, weight) for run_id, weight in waiting if weight <= WEIGHT_PER_WRITE]
        for run_ids in _slices(small):
            self._database.write(partial(_fold, run_ids)).result()

    def _fold_in_pieces(self, run_id: str) -> None:
        if not (rows := self._database.peek(lambda c: arrivals_of(c, run_id))):
            return
        for piece in pieces_of(rows):
            self._database.write(partial(merge_piece, run_id=run_id, piece=piece)).result()
        self._database.write(partial(finish, run_id=run_id, rows=rows)).result()


def _nothing(_tx: Connection) -> None:
    pass


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

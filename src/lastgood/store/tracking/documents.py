"""What is shown of runs, made once for each of their revisions and kept in memory.

Most searches show the same runs again: the next refresh of a list, the same page by another filter. To read what was
logged to a run and to write it as JSON takes several times as long as to find the run and its revision. So it is
kept under that, and shown only to a search that read the very same revision, in its own snapshot: whoever changed
the run meanwhile, another server too, gave it another one.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from lastgood.core.tracking import FoundRun
from lastgood.store.database import Connection
from lastgood.store.lists import listed
from lastgood.store.statement import Row
from lastgood.store.tracking.arrivals import bodies_of_runs
from lastgood.store.tracking.found_runs import found_runs
from lastgood.store.tracking.revisions import Revision

__all__ = ["BYTES_KEPT_MAX", "RunDocuments"]

BYTES_KEPT_MAX = 64 * 2**20
_OVERHEAD = 400  # bytes that a document takes beside its own

# The runs of a page lie all over a large file. If the first few had to be read from the disk, so will the others be.
TRIED_FIRST = 8
COLD_S = 0.002  # for these; from memory they take a tenth of it
WARMED_TOGETHER = 8

Warm = Callable[[Sequence[Callable[[Connection], object]]], None]
_Kept = tuple[int, bytes]
"""A revision of a run, and the document of it."""


class RunDocuments:
    """The documents of runs. For all threads.

    Args:
        make: Writes the document of a run.
        bytes_max: How much memory they may take.
    """

    def __init__(
        self, make: Callable[[FoundRun], bytes], *, bytes_max: int = BYTES_KEPT_MAX
    ) -> None:
        self._make = make
        self._memory = _Memory(bytes_max)

    def of(
        self, connection: Connection, wanted: Sequence[Revision], *, warm: Warm | None = None
    ) -> list[bytes]:
        """The document of each run of which this revision is in the snapshot of the connection.

        Args:
            connection: Where to read.
            wanted: Runs and their revisions.
            warm: Brings into memory what some queries read; used where the first runs had to be waited for.
        """
        return self._of(connection, wanted, self._look(connection, wanted), warm)

    def of_few(
        self, connection: Connection, wanted: Sequence[Revision], *, made_max: int
    ) -> list[bytes] | None:
        """The same; None if more than so many would have to be made."""
        seen = self._look(connection, wanted)
        return None if len(seen.unknown) > made_max else self._of(connection, wanted, seen)

    def _look(self, connection: Connection, wanted: Sequence[Revision]) -> "_Seen":
        ids = [run_id for run_id, _ in wanted]
        known = self._memory.known(wanted)
        waiting = bodies_of_runs.all(connection, {"run_ids": listed(connection, ids)})
        late = {run_id for run_id, _ in waiting}
        unknown = [run_id for run_id in ids if run_id in late or run_id not in known]
        return _Seen(known, waiting, late, unknown)

    def _of(
        self,
        connection: Connection,
        wanted: Sequence[Revision],
        seen: "_Seen",
        warm: Warm | None = None,
    ) -> list[bytes]:
        shown = seen.known
        if seen.unknown:
            found = _found(connection, seen, warm)
            made = {one.run.run_id: self._make(one) for one in found}
            lasting = made.keys() - seen.late
            self._memory.keep((one, made[one[0]]) for one in wanted if one[0] in lasting)
            shown |= made
        return [shown[run_id] for run_id, _ in wanted]


def _found(connection: Connection, seen: "_Seen", warm: Warm | None) -> list[FoundRun]:
    first, rest = seen.unknown[:TRIED_FIRST], seen.unknown[TRIED_FIRST:]
    if warm is None or not rest:
        return found_runs(connection, seen.unknown, seen.waiting)
    began = time.perf_counter()
    found = found_runs(connection, first, seen.waiting)
    if time.perf_counter() - began > COLD_S:
        warm([partial(found_runs, run_ids=part, waiting=()) for part in _parts(rest)])
    return found + found_runs(connection, rest, seen.waiting)


def _parts(run_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (run_ids[i : i + WARMED_TOGETHER] for i in range(0, len(run_ids), WARMED_TOGETHER))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What there is to show some runs."""

    known: dict[str, bytes]
    waiting: Sequence[Row]
    """Of `bodies_of_runs`."""
    late: set[str]
    """Runs of which points wait: the document of their revision lacks these."""
    unknown: Sequence[str]
    """Runs whose documents have to be made."""


class _Memory:
    """Documents by run, the one of the latest revision that was shown.

    In two generations: what nobody asked for while the younger one filled up is forgotten with the older.
    """

    def __init__(self, bytes_max: int) -> None:
        self._lock = threading.Lock()  # over all below
        self._bytes_left = self._generation_bytes = bytes_max // 2
        self._young: dict[str, _Kept] = {}
        self._old: dict[str, _Kept] = {}

    def known(self, wanted: Sequence[Revision]) -> dict[str, bytes]:
        """The documents of those revisions that are here, by run."""
        found: dict[str, bytes] = {}
        with self._lock:
            for run_id, revision in wanted:
                kept = self._young.get(run_id)
                if kept is None:
                    if (kept := self._old.get(run_id)) is None:
                        continue
                    self._put(run_id, kept)
                if kept[0] == revision:
                    found[run_id] = kept[1]
        return found

    def keep(self, made: Iterable[tuple[Revision, bytes]]) -> None:
        """Remember these documents."""
        with self._lock:
            for (run_id, revision), document in made:
                if len(document) + _OVERHEAD <= self._generation_bytes:
                    self._put(run_id, (revision, document))

    def _put(self, run_id: str, kept: _Kept) -> None:
        if before := self._young.get(run_id):
            self._bytes_left += len(before[1]) + _OVERHEAD
        self._bytes_left -= len(kept[1]) + _OVERHEAD
        if self._bytes_left < 0:
            self._old, self._young = self._young, {}
            self._bytes_left = self._generation_bytes - len(kept[1]) - _OVERHEAD
        self._young[run_id] = kept

"""Revisions of runs: whoever remembers what a run looked like can tell whether it still does.

What a search shows of a run is made of six tables, and costs more to read and to write as JSON than the run costs
to find. So servers keep it (`lastgood.store.tracking.documents`), and look at one number in the snapshot of each
search. Whatever is stored about a run, of attributes, parameters, tags, latest metrics, inputs or outputs, gives it
another revision in the same transaction. Points that wait to be merged do not: readers look for them each time.

What stores something about one run takes a `ChangingRun`, which only this module and `add_run` make: type checkers
see whether a new revision was forgotten. What is logged to many runs at once gives it to all of them
(`lastgood.store.tracking.entries`).
"""

from collections.abc import Sequence
from secrets import randbits

import sqlalchemy as sa
from msgspec import structs

from lastgood.core.tracking import Run
from lastgood.store.database import Connection
from lastgood.store.lists import among, listed
from lastgood.store.schema import runs
from lastgood.store.statement import Statement

__all__ = [
    "RUN_COLUMNS",
    "ChangingRun",
    "Revision",
    "change",
    "change_all",
    "fresh_revision",
    "revised",
    "revision_of",
]

Revision = tuple[str, int]
"""A run, and its revision."""

RUN_COLUMNS = tuple(column for column in runs.c if column.name != "revision")
"""In the order of the fields of `Run`."""

_of_run = Statement(sa.select(runs.c.revision).where(runs.c.run_id == sa.bindparam("run_id")))
_change = Statement(
    runs.update()
    .where(among(runs.c.run_id, sa.bindparam("run_ids")))
    .values(revision=sa.bindparam("revision_"))
)


class ChangingRun(Run, frozen=True, gc=False):
    """A run that has a new revision in this transaction, because something about it is stored."""


def fresh_revision() -> int:
    """A number that no state of a run has had.

    Not the next one: a database that was set back to an earlier state, as a replica that takes over without the
    last transactions, would come to the same number again with something else. Nor from `random`: a script that
    trains gives that the same seed each time.
    """
    return randbits(63)


def revision_of(connection: Connection, run_id: str) -> Revision | None:
    """The run with its revision; None: there is no such run."""
    revision = _of_run.scalar(connection, {"run_id": run_id})
    return None if revision is None else (run_id, revision)


def change(tx: Connection, run: Run) -> ChangingRun:
    """Give the run a new revision."""
    change_all(tx, [run.run_id])
    return revised(run)


def change_all(tx: Connection, run_ids: Sequence[str]) -> None:
    """Give each of the runs a new revision."""
    if run_ids:
        _change.run(tx, {"run_ids": listed(tx, run_ids), "revision_": fresh_revision()})


def revised(run: Run) -> ChangingRun:
    """The run, for which the caller stores a new revision."""
    return ChangingRun(*structs.astuple(run))

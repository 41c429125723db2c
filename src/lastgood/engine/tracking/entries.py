"""Calls that log, done together: each is refused alone, and what is refused leaves no trace."""

from collections.abc import Sequence

from lastgood.engine.tracking import limits
from lastgood.engine.tracking.folding import Folding
from lastgood.engine.tracking.runs import existing
from lastgood.errors import LastgoodError, NotFound
from lastgood.store.database import Connection
from lastgood.store.tracking.entries import Entry, Ledger

__all__ = ["log_entries"]

# Of one run, as a sum of weights: its readers go through it each time, which takes some 20 ms then. Sooner would
# cost more: what a merge costs depends on how many metrics there are as much as on how many points.
MUCH_WAITS = 50_000
# The same where a server merges on its own: it must have the time to do so while others log on. If the writer
# began as well, both would do all of it.
WAITING_MAX = 300_000


def log_entries(
    folding: Folding, tx: Connection, entries: Sequence[Entry]
) -> list[LastgoodError | None]:
    """Store entries as if one after the other.

    Args:
        folding: Told when much waits to be merged.
        tx: The writer's connection.
        entries: What to store.

    Returns:
        For each None, or why it is refused: InvalidInput if its run is deleted or one of its parameters has
        another value already, NotFound if there is no such run or logged model.
    """
    ledger = Ledger(tx, entries)
    answers = [_refusal(ledger, entry) for entry in entries]
    ledger.store(tx, waiting_max=WAITING_MAX if folding.is_watched else MUCH_WAITS)
    if ledger.waiting > MUCH_WAITS:
        folding.much_waits()
    return answers


def _refusal(ledger: Ledger, entry: Entry) -> LastgoodError | None:
    """Take an entry, or say why not."""
    try:
        _take(ledger, entry)
    except LastgoodError as error:
        return error
    return None


def _take(ledger: Ledger, entry: Entry) -> None:
    place = existing(ledger.place_of(entry), entry.run_id)
    limits.check_active("run", entry.run_id, place.lifecycle)
    for point in entry.of_models:
        if not ledger.knows_model(point.model_id):
            raise NotFound(f"Logged model with ID '{limits.shown(point.model_id)}' not found")
    if entry.params:
        owner = f"run ID='{entry.run_id}'"
        limits.check_unchanged(ledger.params_of(entry), entry.params, owner=owner)
    ledger.take(entry, place)

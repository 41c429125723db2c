"""Runs: made, ended, renamed, tagged, deleted and restored."""

from lastgood.engine.tracking import limits
from lastgood.errors import NotFound
from lastgood.store.database import Connection
from lastgood.store.tracking import runs as store
from lastgood.store.tracking.rows import Run, RunFacts

__all__ = ["full_run"]


def full_run(connection: Connection, run_id: str) -> tuple[Run, RunFacts]:
    """A run, deleted or not, and what was logged to it. Raises NotFound."""
    return existing_run(connection, run_id), store.run_facts(connection, run_id)


def existing_run(connection: Connection, run_id: str) -> Run:
    """A run, deleted or not. Raises NotFound."""
    run = store.run_of(connection, run_id)
    if run is None:
        raise NotFound(f"Run with id={limits.shown(run_id)} not found")
    return run

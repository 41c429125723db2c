"""Looking at a data directory's database, and bringing it up to date, without opening the registry."""

from pathlib import Path

from lastgood.engine.open import existing_place
from lastgood.store.checks import StoreReport, check_store
from lastgood.store.clock import system_clock
from lastgood.store.open import open_database

__all__ = ["StoreReport", "look_at_store", "migrate_store"]


def look_at_store(data: Path, *, store_url: str = "") -> StoreReport:
    """The state of the data directory's database; changes nothing. Raises as `open_engine`."""
    return check_store(existing_place(data, store_url=store_url)[1])


def migrate_store(data: Path, *, store_url: str = "") -> tuple[StoreReport, StoreReport]:
    """Make or migrate the database and its projections; its state before and after. Raises as `open_engine`."""
    place = existing_place(data, store_url=store_url)[1]
    before = check_store(place)
    open_database(place, now_ms=system_clock()).close()
    return before, check_store(place)

"""What can be said about a database without changing it."""

from dataclasses import dataclass
from pathlib import Path

from lastgood.store import log
from lastgood.store.address import StoreAddress
from lastgood.store.backend import Backend, Connection
from lastgood.store.open import SCHEMA_REVISION, backend_of, projections_of, revision_of
from lastgood.store.schema import PROJECTION_VERSION

__all__ = ["StoreReport", "check_store"]

_SAFE_SETTINGS = ("fsync", "full_page_writes")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreReport:
    """The state of a database, beside what this lastgood writes."""

    place: str
    system: str
    schema: str
    """The revision; empty: nothing is there yet."""
    schema_wanted: str
    projections: str
    projections_wanted: str
    operations: int
    flaws: tuple[str, ...]
    """What is wrong with the log; empty: it is whole."""
    warnings: tuple[str, ...]

    @property
    def current(self) -> bool:
        """Whether there is nothing to migrate."""
        found = (self.schema, self.projections)
        return found == (self.schema_wanted, self.projections_wanted)


def check_store(place: Path | StoreAddress) -> StoreReport:
    """Look at a database, and walk its log.

    Raises:
        StoreUnavailable: it cannot be reached or read, or is none of ours.
        NotSupported: the package for PostgreSQL is not installed.
    """
    backend = backend_of(place)
    try:
        return backend.read(lambda c: _report(c, backend))
    finally:
        backend.close()


def _report(connection: Connection, backend: Backend) -> StoreReport:
    revision = revision_of(connection, backend.place)
    operations, flaws = 0, []
    if revision is not None:
        for _, flaw in log.verify_chain(connection):
            operations += 1
            if flaw:
                flaws.append(flaw)
    return StoreReport(
        place=backend.place,
        system=_system(connection),
        schema=revision or "",
        schema_wanted=SCHEMA_REVISION,
        projections=(projections_of(connection) or "") if revision else "",
        projections_wanted=PROJECTION_VERSION,
        operations=operations,
        flaws=tuple(flaws),
        warnings=tuple(_warnings(connection)),
    )


def _system(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar()}"
    version = connection.exec_driver_sql("SELECT current_setting('server_version')").scalar()
    return f"PostgreSQL {version}"


def _warnings(connection: Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        return []
    return [
        f"{name} is off in PostgreSQL: a power cut can lose what was acknowledged, or damage the database"
        for name in _SAFE_SETTINGS
        if connection.exec_driver_sql(f"SHOW {name}").scalar() != "on"
    ]

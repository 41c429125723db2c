"""Opening a database: make it, or bring it up to date."""

from pathlib import Path

import sqlalchemy as sa

from lastgood.errors import NotSupported, StoreUnavailable
from lastgood.store import log, projections
from lastgood.store.address import StoreAddress
from lastgood.store.backend import Backend
from lastgood.store.database import Connection, Database
from lastgood.store.schema import PROJECTION_VERSION, experiments, meta, metadata
from lastgood.store.sqlite import Sqlite

__all__ = [
    "SCHEMA_REVISION",
    "backend_of",
    "open_database",
    "projections_of",
    "rebuild_projections",
    "revision_of",
]

SCHEMA_REVISION = "0001"
_VERSION_TABLE = "alembic_version"


def backend_of(place: Path | StoreAddress, *, synchronous: str = "FULL") -> Backend:
    """What speaks to the database at that place.

    Args:
        place: An SQLite file, or a PostgreSQL database.
        synchronous: SQLite's setting; anything but FULL is for tests that show what it is for.

    Raises:
        NotSupported: the package for PostgreSQL is not installed.
    """
    if isinstance(place, Path):
        return Sqlite(place, synchronous=synchronous)
    try:
        # Imported here: it comes with an extra, and loading it takes time that others need not spend.
        from lastgood.store.postgresql import Postgresql
    except ImportError as error:
        if (error.name or "psycopg").partition(".")[0] != "psycopg":
            raise
        raise NotSupported(
            f"{place} needs the package psycopg", hint="pip install 'lastgood[postgres]'"
        ) from None
    return Postgresql(place)


def open_database(
    place: Path | StoreAddress, *, synchronous: str = "FULL", now_ms: int = 0
) -> Database:
    """Open the database at `place`, making or migrating it first.

    Args:
        place: An SQLite file, or a PostgreSQL database (which must exist, but may be empty).
        synchronous: SQLite's setting; anything but FULL is for tests that show what it is for.
        now_ms: Creation time of the default experiment in a new database.

    Raises:
        StoreUnavailable: it cannot be opened, is no database of ours, or was written by a newer lastgood.
        NotSupported: the package for PostgreSQL is not installed.
    """
    database = Database(backend_of(place, synchronous=synchronous))
    try:
        revision = database.read(lambda c: revision_of(c, database.place))
        if revision is None:
            database.write(lambda tx: _create(tx, database.place, now_ms)).result()
        elif revision != SCHEMA_REVISION:
            _migrate(database, revision)
        _renew_projections(database)
    except BaseException:
        database.close()
        raise
    return database


def _renew_projections(database: Database) -> None:
    version = database.read(projections_of)
    if version == PROJECTION_VERSION:
        return
    if version is not None and int(version) > int(PROJECTION_VERSION):
        raise StoreUnavailable(
            f"{database.place} was written by a newer lastgood (projections {version}, not {PROJECTION_VERSION})",
            hint="use that one, or a newer one",
        )
    database.write(rebuild_projections).result()


def rebuild_projections(tx: Connection) -> None:
    """Fold the whole log into empty projections."""
    projections.clear(tx)
    for operation in log.every(tx):
        projections.apply(tx, operation)
    tx.execute(meta.delete().where(meta.c.key == "projections"))
    tx.execute(meta.insert(), {"key": "projections", "value": PROJECTION_VERSION})


def revision_of(connection: Connection, place: str) -> str | None:
    """The schema's revision; None for an empty database.

    Raises:
        StoreUnavailable: there are tables, but not ours; nothing may be added to them.
    """
    tables = set(sa.inspect(connection).get_table_names())
    if not tables:
        return None
    if not tables >= {_VERSION_TABLE, meta.name}:
        raise StoreUnavailable(
            f"{place} was not made by lastgood; nothing was added to it",
            hint="name another data directory, or an empty database",
        )
    return connection.exec_driver_sql(f"SELECT version_num FROM {_VERSION_TABLE}").scalar()  # noqa: S608 - a constant


def projections_of(connection: Connection) -> str | None:
    """Which version of the projections is in the database."""
    return connection.execute(sa.select(meta.c.value).where(meta.c.key == "projections")).scalar()


def _create(tx: Connection, place: str, now_ms: int) -> None:
    # Another process may have made it while we waited for the write lock.
    if revision_of(tx, place) is not None:
        return
    # checkfirst is off because SQLAlchemy would look at the tables through a transaction of its own.
    metadata.create_all(tx, checkfirst=False)
    tx.exec_driver_sql(
        f"CREATE TABLE {_VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    )
    tx.exec_driver_sql(f"INSERT INTO {_VERSION_TABLE} VALUES ('{SCHEMA_REVISION}')")  # noqa: S608 - constants
    tx.execute(meta.insert(), {"key": "projections", "value": PROJECTION_VERSION})
    tx.execute(
        experiments.insert(),
        {
            "id": 0,
            "name": "Default",
            "artifact_location": "mlflow-artifacts:/0",
            "lifecycle": "active",
            "created_ms": now_ms,
            "changed_ms": now_ms,
        },
    )


def _migrate(database: Database, revision: str) -> None:
    # Imported here: Alembic costs a fifth of a second that almost no start needs.
    from lastgood.store.migrations import upgrade

    try:
        upgrade(database)
    except LookupError as error:
        raise StoreUnavailable(
            f"{database.place} has schema {revision}, which this lastgood does not know (it writes {SCHEMA_REVISION})",
            hint="use the lastgood that wrote it, or a newer one",
        ) from error

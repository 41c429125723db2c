"""Opening a database: make it, or bring it up to date."""

from pathlib import Path

import sqlalchemy as sa

from lastgood.errors import StoreUnavailable
from lastgood.store import log, projections
from lastgood.store.database import Connection, Database
from lastgood.store.schema import PROJECTION_VERSION, experiments, meta, metadata

__all__ = ["SCHEMA_REVISION", "open_database", "rebuild_projections"]

SCHEMA_REVISION = "0001"
_VERSION_TABLE = "alembic_version"


def open_database(path: Path, *, synchronous: str = "FULL", now_ms: int = 0) -> Database:
    """Open the database at `path`, making or migrating it first.

    Args:
        path: The file.
        synchronous: SQLite's setting; anything but FULL is for tests that show what it is for.
        now_ms: Creation time of the default experiment in a new database.

    Raises:
        StoreUnavailable: it cannot be opened, is no database of ours, or was written by a newer lastgood.
    """
    database = Database(path, synchronous=synchronous)
    try:
        revision = database.read(_revision)
        if revision is None:
            database.write(lambda tx: _create(tx, now_ms)).result()
        elif revision != SCHEMA_REVISION:
            _migrate(database, revision)
        if database.read(_projection_version) != PROJECTION_VERSION:
            database.write(rebuild_projections).result()
    except BaseException:
        database.close()
        raise
    return database


def rebuild_projections(tx: Connection) -> None:
    """Fold the whole log into empty projections."""
    projections.clear(tx)
    for operation in log.every(tx):
        projections.apply(tx, operation)
    tx.execute(meta.delete().where(meta.c.key == "projections"))
    tx.execute(meta.insert(), {"key": "projections", "value": PROJECTION_VERSION})


def _revision(connection: Connection) -> str | None:
    """The schema's revision; None for an empty file.

    Raises:
        StoreUnavailable: the file is a database, but not one of ours; nothing may be added to it.
    """
    tables = set(sa.inspect(connection).get_table_names())
    if not tables:
        return None
    if not tables >= {_VERSION_TABLE, meta.name}:
        raise StoreUnavailable(
            f"{connection.engine.url.database} was not made by lastgood; nothing was added to it",
            hint="name another data directory",
        )
    return connection.exec_driver_sql(f"SELECT version_num FROM {_VERSION_TABLE}").scalar()  # noqa: S608 - a constant


def _projection_version(connection: Connection) -> str | None:
    return connection.execute(sa.select(meta.c.value).where(meta.c.key == "projections")).scalar()


def _create(tx: Connection, now_ms: int) -> None:
    # Another process may have made it while we waited for the write lock.
    if _revision(tx) is not None:
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
            f"{database.path} has schema {revision}, which this lastgood does not know (it writes {SCHEMA_REVISION})",
            hint="use the lastgood that wrote it, or a newer one",
        ) from error

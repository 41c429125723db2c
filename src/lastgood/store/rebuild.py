"""Do the projections say what the log says? Rebuild them beside and compare, row by row."""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from lastgood.core.ids import Digest
from lastgood.store import log, projections
from lastgood.store.database import Connection
from lastgood.store.schema import PROJECTIONS, artifacts, metadata, models, versions

__all__ = ["Deviation", "artifact_objects", "compare", "database_flaws", "verified_versions"]


@dataclass(frozen=True, slots=True)
class Deviation:
    """A row that the log implies and the projection lacks, or the other way round."""

    table: str
    row: str
    missing: bool
    """True: the projection lacks it. False: the projection has it and should not."""


def compare(connection: Connection) -> tuple[int, list[Deviation]]:
    """Rows compared, and every deviation.

    Raises:
        IntegrityFailure: the log cannot be folded at all.
    """
    engine = sa.create_engine("sqlite://")
    with engine.begin() as fresh:
        metadata.create_all(fresh, tables=PROJECTIONS)
        for operation in log.every(connection):
            projections.apply(fresh, operation)
        expected = projections.dump(fresh)
    engine.dispose()
    found = projections.dump(connection)
    return sum(len(rows) for rows in found.values()), list(_deviations(expected, found))


def _deviations(
    expected: dict[str, set[tuple[object, ...]]], found: dict[str, set[tuple[object, ...]]]
) -> Iterator[Deviation]:
    for table, rows in expected.items():
        for row in sorted(rows - found[table], key=repr):
            yield Deviation(table, repr(row), missing=True)
        for row in sorted(found[table] - rows, key=repr):
            yield Deviation(table, repr(row), missing=False)


def database_flaws(connection: Connection) -> list[str]:
    """What the database itself finds wrong with its files, as far as it looks."""
    if connection.dialect.name == "sqlite":
        lines = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        return [line for line in lines if line != "ok"]
    broken = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready)"
    names = connection.exec_driver_sql(broken).scalars().all()
    return [f"index {name} is not valid: REINDEX INDEX {name}" for name in names]


def verified_versions(connection: Connection) -> list[tuple[str, int, Digest]]:
    """Model, number and manifest digest of every version that has one."""
    query = sa.select(models.c.name, versions.c.version, versions.c.digest).join(
        versions, versions.c.model_id == models.c.id
    )
    rows = connection.execute(query.where(versions.c.digest.is_not(None)))
    return [(row[0], row[1], Digest(row[2])) for row in rows]


def artifact_objects(connection: Connection) -> list[tuple[str, Digest]]:
    """Path and object of every artifact of a run."""
    return [
        (row[0], Digest(row[1]))
        for row in connection.execute(sa.select(artifacts.c.path, artifacts.c.digest))
    ]

"""All migrations together give exactly the schema that a new database is made from."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from lastgood.store.database import Database
from lastgood.store.migrations import configuration, upgrade
from lastgood.store.open import SCHEMA_REVISION, open_database
from lastgood.store.schema import metadata
from lastgood.store.sqlite import Sqlite

REPAIR = "run: python tests/unit/store/write_migration.py 'what changes'"


@pytest.fixture
def migrated(tmp_path):
    database = Database(Sqlite(tmp_path / "migrated.db"))
    upgrade(database)
    yield database
    database.close()


def statements(database):
    """How every table and index was made, by name, without regard to white space."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    rows = database.peek(lambda c: c.exec_driver_sql(query).all())
    return {name: _normal(sql) for name, sql in rows if name != "alembic_version"}


def _normal(sql):
    text = re.sub(r'[\s"]+', "", sql)
    unique = r",UNIQUE\([^)]*\)"  # in an order that means nothing
    return re.sub(unique, "", text), sorted(re.findall(unique, text))


def test_migrating_from_nothing_gives_what_a_new_database_has(migrated, database):
    assert statements(migrated) == statements(database), REPAIR


def test_nothing_is_left_to_migrate(migrated):
    difference = migrated.peek(lambda c: compare_metadata(MigrationContext.configure(c), metadata))
    assert difference == [], REPAIR


def test_a_column_too_few_would_be_noticed(migrated):
    """The control of the tests above."""
    migrated.write(lambda tx: tx.exec_driver_sql("ALTER TABLE gateways DROP COLUMN host")).result()
    difference = migrated.peek(lambda c: compare_metadata(MigrationContext.configure(c), metadata))
    assert [(change[0], change[3].name) for change in difference] == [("add_column", "host")]


def test_the_revision_written_into_new_databases_is_the_newest_migration(migrated):
    assert ScriptDirectory.from_config(configuration()).get_heads() == [SCHEMA_REVISION]
    read = sa.text("SELECT version_num FROM alembic_version")
    assert migrated.peek(lambda c: c.execute(read).scalars().all()) == [SCHEMA_REVISION]


def test_migrating_what_is_up_to_date_changes_nothing(database):
    before = statements(database)
    upgrade(database)
    assert statements(database) == before


def test_a_migration_that_fails_leaves_no_trace(path):
    """Two tables are made before the third is found to exist."""
    database = Database(Sqlite(path))
    in_the_way = "CREATE TABLE experiments (id INTEGER)"
    database.write(lambda tx: tx.exec_driver_sql(in_the_way)).result()
    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        upgrade(database)
    assert set(statements(database)) == {"experiments"}
    database.close()


def test_a_migrated_database_opens(migrated):
    path = Path(migrated.place)
    migrated.close()
    again = open_database(path)
    assert again.peek(lambda c: c.exec_driver_sql("SELECT count(*) FROM operations").scalar()) == 0
    again.close()

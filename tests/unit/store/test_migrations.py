"""All migrations together give exactly the schema that a new database is made from."""

import re

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from lastgood.store.address import parse_address
from lastgood.store.database import Database
from lastgood.store.migrations import configuration, upgrade
from lastgood.store.open import SCHEMA_REVISION, backend_of, open_database
from lastgood.store.schema import metadata

REPAIR = "run: python tests/unit/store/write_migration.py 'what changes'"


COLUMNS = """
SELECT relname, attname, format_type(atttypid, atttypmod), collname, attnotnull, attgenerated,
       pg_get_expr(adbin, adrelid)
FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid AND relkind = 'r'
LEFT JOIN pg_collation ON attcollation = pg_collation.oid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped AND relnamespace = current_schema()::regnamespace
"""
INDEXES = "SELECT indexdef, schemaname FROM pg_indexes WHERE schemaname = current_schema()"


@pytest.fixture
def migrated(new_place):
    database = Database(backend_of(new_place()))
    upgrade(database)
    yield database
    database.close()


def statements(database):
    """How every table and index was made, by name, without regard to white space or the order of columns."""
    if "postgresql" in database.place:
        columns = database.peek(lambda c: c.exec_driver_sql(COLUMNS).all())
        indexes = database.peek(lambda c: c.exec_driver_sql(INDEXES).all())
        return {tuple(row) for row in columns if row[0] != "alembic_version"} | {
            text.replace(f"{schema}.", "") for text, schema in indexes if "alembic" not in text
        }
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


def test_a_migration_that_fails_leaves_no_trace(place):
    """Two tables are made before the third is found to exist."""
    database = Database(backend_of(place))
    in_the_way = "CREATE TABLE experiments (id INTEGER)"
    database.write(lambda tx: tx.exec_driver_sql(in_the_way)).result()
    with pytest.raises(sa.exc.DBAPIError, match="already exists"):
        upgrade(database)
    assert database.peek(lambda c: sa.inspect(c).get_table_names()) == ["experiments"]
    database.close()


def test_a_migrated_database_opens(place):
    database = Database(backend_of(place))
    upgrade(database)
    database.close()
    again = open_database(place)
    assert again.peek(lambda c: c.exec_driver_sql("SELECT count(*) FROM operations").scalar()) == 0
    again.close()


def test_text_is_ordered_by_its_bytes_everywhere(postgresql):
    """In PostgreSQL a column that forgets to say so has the order of some language."""
    database = open_database(parse_address(postgresql.fresh()))
    columns = database.peek(lambda c: c.exec_driver_sql(COLUMNS).all())
    database.close()
    other = {(row[0], row[1]) for row in columns if row[3] not in {None, "C"}}
    assert other == {("alembic_version", "version_num")}

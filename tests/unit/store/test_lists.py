"""A list as one parameter means what `IN` means."""

import pytest
import sqlalchemy as sa

from lastgood.store.lists import among, listed
from lastgood.store.schema import model_tags
from lastgood.store.statement import Statement

KEYS = ["plain", "with 'quotes' and \"more\"", "ünïcode 😀", "a,b]"]
FOUND = Statement(sa.select(model_tags.c.key).where(among(model_tags.c.key, sa.bindparam("keys"))))
INSERT = Statement(model_tags.insert(), ("model_id", "key", "value"))


@pytest.mark.parametrize("asked", [[], KEYS[:1], KEYS, [*KEYS, "unknown"], KEYS * 1000])
def test_rows_in_the_list_are_found_once(database, asked):
    database.write(lambda tx: INSERT.run_many(tx, [(1, key, "") for key in KEYS])).result()
    rows = database.read(lambda c: FOUND.all(c, {"keys": listed(c, asked)}))
    assert sorted(row[0] for row in rows) == sorted(set(asked) & set(KEYS))


def test_a_list_is_looked_up_in_an_index(database):
    if database.read(lambda c: c.dialect.name) != "sqlite":
        pytest.skip("PostgreSQL reads a small table rather than its index")
    assert not any(step.startswith("SCAN model_tags") for step in _plan(database, ""))
    # The control: what SQLAlchemy writes behind a condition that it does not know.
    assert any(step.startswith("SCAN model_tags") for step in _plan(database, " = 1"))


def _plan(database, tail):
    asked = sa.select(model_tags.c.value).where(among(model_tags.c.model_id, sa.bindparam("ids")))
    sql = database.read(lambda c: str(asked.compile(dialect=c.dialect)))
    explain = f"EXPLAIN QUERY PLAN {sql}{tail}"
    return database.read(lambda c: [r[3] for r in c.exec_driver_sql(explain, ("[]",)).all()])

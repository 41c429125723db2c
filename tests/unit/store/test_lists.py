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

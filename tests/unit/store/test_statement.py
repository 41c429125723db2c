"""Statements compiled once give what SQLAlchemy's own execution gives."""

import pytest
import sqlalchemy as sa

from lastgood.store.schema import refs
from lastgood.store.statement import Statement

ROWS = [
    {"model_id": m, "ref": r, "version": v, "seq": v or 0, "moved_ms": 7, "alias": a}
    for m, r, v, a in (
        (1, "champion", 3, True),
        (1, "production", 2, False),
        (2, "old", None, True),
    )
]
INSERT = Statement(refs.insert())
BY_MODEL = (
    sa.select(*refs.c).where(refs.c.model_id == sa.bindparam("model_id")).order_by(refs.c.ref)
)


def fill(database):
    def unit(tx):
        return [INSERT.count(tx, row) for row in ROWS]

    assert database.write(unit).result() == [1, 1, 1]


@pytest.mark.parametrize("model_id", [1, 2, 3])
@pytest.mark.parametrize(
    "clause", [BY_MODEL, BY_MODEL.limit(1), BY_MODEL.where(refs.c.alias.is_(True))]
)
def test_rows_are_those_of_sqlalchemy_with_values_of_the_same_types(database, clause, model_id):
    fill(database)
    bound = {"model_id": model_id}
    expected = [tuple(row) for row in database.read(lambda c: c.execute(clause, bound).all())]
    found = database.read(lambda c: Statement(clause).all(c, bound))
    assert found == expected
    assert [[type(v) for v in row] for row in found] == [[type(v) for v in r] for r in expected]


def test_one_row_one_value_or_none(database):
    fill(database)
    version = Statement(
        sa.select(refs.c.version).where(refs.c.ref == sa.bindparam("ref"), refs.c.alias.is_(True))
    )
    assert database.read(lambda c: version.first(c, {"ref": "champion"})) == (3,)
    assert database.read(lambda c: version.scalar(c, {"ref": "champion"})) == 3
    assert database.read(lambda c: version.first(c, {"ref": "old"})) == (None,)
    assert database.read(lambda c: version.first(c, {"ref": "production"})) is None
    assert database.read(lambda c: version.scalar(c, {"ref": "production"})) is None


def test_what_a_statement_fixes_itself_is_bound_beside_what_it_is_given(database):
    fill(database)
    unset = Statement(
        refs.update().where(refs.c.ref == sa.bindparam("ref_")).values(version=None, moved_ms=9)
    )
    assert database.write(lambda tx: unset.count(tx, {"ref_": "champion"})).result() == 1
    assert database.write(lambda tx: unset.count(tx, {"ref_": "nobody"})).result() == 0
    after = Statement(sa.select(refs.c.version, refs.c.moved_ms).order_by(refs.c.ref))
    assert database.read(after.all) == [(None, 9), (None, 7), (2, 7)]


def test_numbers_that_a_statement_fixes_stand_beside_texts_and_percent_signs(database):
    fill(database)
    asked = (
        sa.select(refs.c.ref)
        .where(
            refs.c.model_id == 1,
            refs.c.ref.like("%o%"),
            refs.c.version > -1,
            refs.c.ref != sa.bindparam("other"),
            sa.literal_column("5 % 3") == 2,
        )
        .order_by(refs.c.ref.desc())
        .limit(1)
        .offset(1)
    )
    assert database.read(lambda c: Statement(asked).all(c, {"other": "x"})) == [("champion",)]
    assert database.read(lambda c: Statement(asked).all(c, {"other": "champion"})) == []

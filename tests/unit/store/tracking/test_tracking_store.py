"""The parts of the tracking store that are more than one statement."""

import random

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from lastgood.core.filters import Clause
from lastgood.core.tracking import Metric, Run
from lastgood.errors import InvalidInput
from lastgood.store.open import open_database
from lastgood.store.schema import logged_model_tags, run_tags
from lastgood.store.statement import Statement
from lastgood.store.tracking import metrics as metric_store
from lastgood.store.tracking.artifacts import ArtifactRow, artifacts_under, folders_in, put_artifact
from lastgood.store.tracking.clauses import NUMBERS, TEXTS, compare
from lastgood.store.tracking.keyset import SortKey, behind, ordering


@pytest.fixture
def database(place):
    database = open_database(place)
    yield database
    database.close()


@pytest.fixture
def table(database):
    table = sa.Table(
        "scratch",
        sa.MetaData(),
        sa.Column("a", sa.Integer),
        sa.Column("b", sa.String),
        sa.Column("id", sa.Integer),
    )

    def fill(tx):
        tx.exec_driver_sql("CREATE TABLE scratch (a INTEGER, b TEXT, id INTEGER)")
        generator = random.Random(11)
        rows = [
            {"a": generator.randrange(4), "b": generator.choice("xyz"), "id": i} for i in range(60)
        ]
        tx.execute(table.insert(), rows)

    database.write(fill).result()
    return table


@pytest.mark.parametrize("directions", [(True, True), (True, False), (False, True), (False, False)])
def test_every_row_comes_behind_exactly_those_before_it(database, table, directions):
    keys = [
        SortKey(table.c.a, directions[0]),
        SortKey(table.c.b, directions[1]),
        SortKey(table.c.id, ascending=True),
    ]
    query = sa.select(table.c.a, table.c.b, table.c.id)
    everything = database.read(lambda c: c.execute(query.order_by(*ordering(keys))).all())
    for i, row in enumerate(everything):
        after = query.where(behind(keys, tuple(row))).order_by(*ordering(keys))
        assert database.read(lambda c, after=after: c.execute(after).all()) == everything[i + 1 :]


def test_a_token_with_the_wrong_number_of_values_is_refused(table):
    with pytest.raises(InvalidInput, match="page token"):
        behind([SortKey(table.c.a, ascending=True)], [1, 2])


def test_rows_are_bound_in_the_order_that_the_statement_names(database):
    in_order = Statement(sqlite.insert(logged_model_tags), ("model_id", "key", "value"))
    turned = Statement(sqlite.insert(logged_model_tags), ("value", "key", "model_id"))
    assert database.write(lambda tx: in_order.count_many(tx, [("r", "k", "v")])).result() == 1
    assert database.write(lambda tx: turned.count_many(tx, [("v", "k", "r2")])).result() == 1
    assert database.write(lambda tx: in_order.count_many(tx, [])).result() == 0
    stored = Statement(
        sa.select(logged_model_tags.c.model_id, logged_model_tags.c.value).order_by(
            logged_model_tags.c.model_id
        )
    )
    assert database.read(stored.all) == [("r", "v"), ("r2", "v")]


def test_a_metric_has_one_latest_value_however_it_arrives(database):
    points = [
        Metric("m", value, at_ms, step)
        for value in (0.0, 1.0)
        for at_ms in (1, 2)
        for step in (-1, 5)
    ]
    for seed in range(10):
        run_id = f"run-{seed}"
        shuffled = random.Random(seed).sample(points, len(points))

        run = Run(run_id, 0, "name", "user", "RUNNING", 1, None, "active", "")

        def unit(tx, run=run, shuffled=shuffled):
            metric_store.add_metrics(tx, run, shuffled[:3])
            for point in shuffled[3:]:
                metric_store.add_metrics(tx, run, [point])
            metric_store.add_metrics(tx, run, shuffled)

        database.write(unit).result()
        found = database.read(
            lambda c, run_id=run_id: metric_store.history(c, run_id, "m", limit=100)
        )
        assert found == sorted((p.at_ms, p.step, p.value, False) for p in points)
        latest = sa.text("SELECT value, at_ms, step FROM latest_metrics WHERE run_id = :run_id")
        rows = database.peek(
            lambda c, latest=latest, run_id=run_id: c.execute(latest, {"run_id": run_id}).all()
        )
        assert [tuple(row) for row in rows] == [(1.0, 2, 5)]


def test_folders_are_found_whatever_sorts_between_them(database):
    generator = random.Random(5)
    alphabet = ["a", "a-1", "a.b", "a b", "a0", "b", "Z", "é", "!"]
    paths = {
        "/".join(generator.choices(alphabet, k=generator.randrange(1, 5))) + "/file"
        for _ in range(150)
    }

    def unit(tx):
        for path in paths:
            put_artifact(tx, ArtifactRow(path, "sha256:" + "0" * 64, 1), now_ms=1)

    database.write(unit).result()
    for folder in ["", "a", "a/b", "a-1", "a.b/a", "nothing"]:
        inside = [
            p[len(folder) + 1 if folder else 0 :]
            for p in paths
            if not folder or p.startswith(folder + "/")
        ]
        expected = sorted({p.partition("/")[0] for p in inside if "/" in p})
        assert database.read(lambda c, folder=folder: folders_in(c, folder)) == expected
        if folder:
            under = {
                row.path
                for row in database.read(lambda c, folder=folder: artifacts_under(c, folder))
            }
            assert under == {p for p in paths if p.startswith(folder + "/")}


@pytest.mark.parametrize(
    ("operator", "value", "operators"),
    [
        ("=", "1", NUMBERS),
        ("LIKE", 1.0, NUMBERS),
        ("=", 1.0, TEXTS),
        ("<", "x", TEXTS),
        ("IN", "x", TEXTS),
        ("IN", ("x",) * 10_001, TEXTS),
        ("LIKE", "x" * 10_001, TEXTS),
        ("IS NULL", None, NUMBERS),
    ],
)
def test_comparisons_that_make_no_sense(operator, value, operators):
    clause = Clause("attribute", "x", operator, value, 0)
    with pytest.raises(InvalidInput, match="attribute 'x'"):
        compare(clause, run_tags.c.value, operators)

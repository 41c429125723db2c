"""Opening: new, existing, foreign, newer; and by several processes at once."""

import sqlite3
import subprocess
import sys

import pytest

from lastgood.errors import StoreUnavailable
from lastgood.store import log, rebuild
from lastgood.store.open import SCHEMA_REVISION, open_database

OPENERS = 6
WRITER = """
import sys
from pathlib import Path
from lastgood.core.changes import ModelCreated, RefMoved
from lastgood.core.operations import Act, Actor, Origin
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store.open import open_database

path, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
sys.stdin.read(1)  # all begin at once
database = open_database(path)

def unit(tx):
    model = rows.model_named(tx, "churn")
    row = rows.ref_of(tx, model.id, "champion") if model else None
    before = row.version if row else None
    made = () if model else (ModelCreated(model="churn"),)
    moved = RefMoved(model="churn", ref="champion", before=before, after=(before or 0) + 1)
    act = Act(kind="promote", model="churn", actor=Actor(name=who), origin=Origin(), changes=(*made, moved))
    return log.append(tx, act, now=0).seq

for _ in range(count):
    print(database.write(unit).result(), flush=True)
database.close()
"""


def test_a_new_database_is_made_and_opened_again(place):
    open_database(place, now_ms=5).close()
    database = open_database(place)
    assert database.peek(
        lambda c: c.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all()
    ) == [SCHEMA_REVISION]
    assert database.peek(
        lambda c: c.exec_driver_sql("SELECT name, created_ms FROM experiments").all()
    ) == [("Default", 5)]
    database.close()


def test_commits_are_synced(path):
    database = open_database(path)
    for setting, value in (("journal_mode", "wal"), ("synchronous", 2)):
        found = database.write(
            lambda tx, s=setting: tx.exec_driver_sql(f"PRAGMA {s}").scalar()
        ).result()
        assert found == value
    database.close()


def test_an_empty_file_left_by_a_crash_becomes_a_database(path):
    path.touch()
    database = open_database(path)
    assert database.read(log.newest)[0] == 0
    database.close()


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE runs (a)", "CREATE TABLE alembic_version (version_num)"]
)
def test_a_database_of_another_program_is_left_alone(path, statement):
    direct = sqlite3.connect(path)
    direct.execute(statement)
    with pytest.raises(StoreUnavailable, match="was not made by lastgood") as refused:
        open_database(path)
    assert refused.value.hint
    assert direct.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)
    direct.close()


def test_a_database_written_by_a_newer_lastgood_is_refused_and_not_touched(path):
    open_database(path).close()
    direct = sqlite3.connect(path, isolation_level=None)
    direct.execute("UPDATE alembic_version SET version_num = '9999'")
    before = direct.execute("SELECT count(*) FROM sqlite_master").fetchone()
    with pytest.raises(StoreUnavailable, match="schema 9999"):
        open_database(path)
    assert direct.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    assert direct.execute("SELECT count(*) FROM sqlite_master").fetchone() == before
    direct.close()


def test_a_refused_file_can_be_opened_once_it_is_right(path):
    """Nothing of the refused attempt lingers: no lock, no writer."""
    path.write_bytes(b"x" * 5000)
    with pytest.raises(StoreUnavailable):
        open_database(path)
    path.unlink()
    open_database(path).close()


def test_processes_that_open_a_new_directory_and_write_at_once_make_one_log(path):
    """Also two processes writing the same directory for a while: no act lost, none twice."""
    acts = 25
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), f"process-{n}", str(acts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(OPENERS)
    ]
    for process in processes:
        process.stdin.write("x")
        process.stdin.flush()
    answers = [process.communicate(timeout=120) for process in processes]
    assert [error for _, error in answers if error] == []
    acknowledged = [int(line) for out, _ in answers for line in out.split()]
    assert sorted(acknowledged) == list(range(1, OPENERS * acts + 1))
    database = open_database(path)
    assert [flaw for _, flaw in database.read(lambda c: list(log.verify_chain(c))) if flaw] == []
    assert database.read(rebuild.compare)[1] == []
    moves = database.read(lambda c: log.page(c, limit=1000))
    steps = [(o.changes[-1].before or 0, o.changes[-1].after) for o in reversed(moves)]
    assert steps == [(n, n + 1) for n in range(OPENERS * acts)]  # each saw the one before it
    database.close()

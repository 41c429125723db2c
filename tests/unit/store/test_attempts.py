"""What is tried on an event loop is given up in time, and leaves the connection as it was."""

import pytest
import sqlalchemy as sa

from lastgood.store import sqlite
from lastgood.store.open import open_database

LONG = sa.text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most) SELECT count(*) FROM n"
)


@pytest.fixture
def database(tmp_path):
    database = open_database(tmp_path / "lastgood.db")
    yield database
    database.close()


def counting(most):
    return lambda connection: connection.execute(LONG, {"most": most}).scalar_one()


def test_what_is_quick_is_answered(database):
    assert database.attempt(counting(10), patience_s=60.0) == 10


def test_what_takes_long_is_given_up_and_can_be_asked_for_again(database):
    assert database.attempt(counting(5_000_000), patience_s=0.0) is None
    assert database.read(counting(5_000)) == 5_000
    assert database.attempt(counting(5_000), patience_s=60.0) == 5_000


def test_without_looking_it_would_be_finished(database, monkeypatch):
    """The control: so much does take longer than no time at all."""
    monkeypatch.setattr(sqlite, "STEPS_PER_LOOK", 2**30)
    assert database.attempt(counting(50_000), patience_s=0.0) == 50_000


def test_an_error_of_a_query_is_its_own(database):
    def refuse(_connection):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        database.attempt(refuse, patience_s=60.0)
    assert database.attempt(counting(3), patience_s=60.0) == 3


def test_wherever_an_attempt_is_given_up_the_next_one_begins_anew(database):
    """An attempt may be out of time at any step of SQLite, also when only its transaction is left to end."""
    for numbers in range(1_000, 3_000, 10):
        assert database.attempt(counting(numbers), patience_s=0.0) in {None, numbers}
        assert database.read(counting(10)) == 10

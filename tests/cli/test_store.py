"""`lastgood store`, and a data directory whose database is PostgreSQL."""

import sqlite3
from contextlib import closing

import pytest

from postgresql_server import PASSWORD


@pytest.fixture
def url(postgresql):
    """An address without a password, at which one is asked for."""
    schema = postgresql.fresh().rpartition("%3D")[2]
    return f"postgresql://postgres@127.0.0.1:{postgresql.port}/postgres?options=-csearch_path%3D{schema}"


@pytest.fixture
def secret_url(url):
    return url.replace("postgres@", "postgres:s3cret%2Fof:tests@")


def test_a_directory_over_postgresql_notes_the_address_without_the_password(
    lastgood, url, secret_url, tmp_path, monkeypatch, model
):
    made = lastgood("init", "--store", secret_url)
    assert made.code == 0
    config = (tmp_path / ".lastgood" / "config.toml").read_text()
    assert f'url = "{url}"' in config
    assert "s3cret" not in config + made.out + made.err
    assert not (tmp_path / ".lastgood" / "lastgood.db").exists()

    refused = lastgood("list")
    assert refused.code == 1
    assert "password" in refused.err
    monkeypatch.setenv("LASTGOOD_STORE", secret_url)
    assert lastgood("register", model, "--name", "churn").code == 0
    monkeypatch.delenv("LASTGOOD_STORE")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert "churn" in lastgood("list").out
    assert lastgood("init", "--store", url).code == 0  # the same again does no harm
    assert lastgood("fsck").code == 0


def test_another_database_than_the_one_noted_is_refused(lastgood, url, secret_url, monkeypatch):
    assert lastgood("init", "--store", secret_url).code == 0
    elsewhere = secret_url.replace("/postgres?", "/elsewhere?")
    refused = lastgood("init", "--store", elsewhere)
    assert (refused.code, "s3cret" in refused.err) == (2, False)
    assert "/elsewhere" in refused.err
    monkeypatch.setenv("LASTGOOD_STORE", elsewhere)
    assert lastgood("list").code == 2


def test_a_directory_with_a_database_in_it_stays_so(lastgood, url, secret_url, monkeypatch):
    assert lastgood("init").code == 0
    refused = lastgood("init", "--store", secret_url)
    assert refused.code == 2
    assert "in it" in refused.err
    # The environment may hold the address of another directory's database.
    monkeypatch.setenv("LASTGOOD_STORE", secret_url)
    assert lastgood("list").code == 0


def test_a_database_that_cannot_be_reached_leaves_no_directory(lastgood, tmp_path):
    refused = lastgood("init", "--store", "postgresql://u:s3cret@127.0.0.1:1/db")
    assert refused.code == 1
    assert "cannot be reached" in refused.err
    assert "hint:" in refused.err
    assert "s3cret" not in refused.err
    assert list(tmp_path.iterdir()) == []


def test_a_check_says_that_all_is_well(churn):
    answer = churn("store", "check")
    assert answer.code == 0
    assert "0001, current" in answer.out
    assert "4 operations, whole" in answer.out
    said = churn("store", "check", "--json").json
    assert (said["current"], said["migrated"], said["store"]["operations"]) == (True, False, 4)


def test_a_check_over_postgresql(lastgood, secret_url, monkeypatch):
    monkeypatch.setenv("LASTGOOD_STORE", secret_url)
    assert lastgood("init").code == 0
    answer = lastgood("store", "check")
    assert answer.code == 0
    assert "PostgreSQL 1" in answer.out
    assert "s3cret" not in answer.out


def test_what_is_old_is_told_by_check_and_brought_up_to_date_by_migrate(churn, tmp_path):
    path = tmp_path / ".lastgood" / "lastgood.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as direct:
        direct.execute("UPDATE lastgood_meta SET value = '0' WHERE key = 'projections'")
        direct.execute("DELETE FROM versions")
    answer = churn("store", "check")
    assert answer.code == 1
    assert "lastgood store migrate" in answer.out
    assert churn("store", "migrate", "--json").json["migrated"]
    assert churn("store", "check").code == 0
    assert churn("show", "churn/2").code == 0
    assert not churn("store", "migrate", "--json").json["migrated"]


def test_a_damaged_log_is_told(churn, tmp_path):
    path = tmp_path / ".lastgood" / "lastgood.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as direct:
        direct.execute("UPDATE operations SET at_ms = at_ms + 1 WHERE seq = 2")
    answer = churn("store", "check")
    assert answer.code == 6
    assert "operation 2" in answer.out
    assert "damaged" in answer.out


def test_projections_of_a_newer_lastgood_are_left_alone(churn, tmp_path):
    path = tmp_path / ".lastgood" / "lastgood.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as direct:
        direct.execute("UPDATE lastgood_meta SET value = '999' WHERE key = 'projections'")
        assert churn("list").code == 1
        found = direct.execute("SELECT value FROM lastgood_meta WHERE key = 'projections'")
        assert found.fetchone() == ("999",)


def test_without_a_directory_there_is_nothing_to_check(lastgood, tmp_path):
    assert lastgood("store", "check").code == 4
    assert lastgood("store", "migrate").code == 4
    assert list(tmp_path.iterdir()) == []

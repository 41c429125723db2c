"""The same commands on a registry behind a URL."""

import shlex

import pytest

from contract.registry_doors import running_server


@pytest.fixture
def remote(lastgood, tmp_path, monkeypatch):
    with running_server(tmp_path / "served") as url:
        monkeypatch.setenv("LASTGOOD_SERVER", url)
        yield lastgood, url


def test_the_whole_way_over_http(remote, model, monkeypatch):
    lastgood, url = remote
    assert lastgood("register", model, "--name", "churn").code == 0
    assert lastgood("register", model, "--name", "churn", "--json").json["already"]
    assert lastgood("promote", "churn/1", "--to", "production", "--reason", "x").code == 0
    assert lastgood("show", "churn", "--json").json["version"] == 1
    entry = lastgood("log", "-n", "1", "--json").json["operations"][0]
    assert (entry["actor"]["name"], entry["origin"]["door"]) == ("ana", "http")
    assert lastgood("fsck").code == 0
    missing = lastgood("show", "churn/9")
    assert missing.code == 4
    assert "hint" in missing.err
    monkeypatch.delenv("LASTGOOD_SERVER")
    outcome = lastgood("mark", "good", "churn/1", "--server", url, "--json").json
    assert lastgood(*shlex.split(outcome["undo"])[1:]).code == 0


def test_nobody_there(lastgood):
    answer = lastgood("list", "--server", "http://127.0.0.1:9")
    assert answer.code == 1
    assert "lastgood server" in answer.err

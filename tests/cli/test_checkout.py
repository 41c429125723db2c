"""`lastgood checkout`: a whole version as a directory."""

import hashlib
import json
import subprocess

import pytest

WHO = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]


def git(folder, *arguments):
    subprocess.run(["git", *WHO, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def version(lastgood, tmp_path, monkeypatch):
    """churn/1, trained in a dirty repository on a file that the registry keeps and one that DVC has."""
    top = tmp_path / "repository"
    (top / "data").mkdir(parents=True)
    (top / "train.py").write_text("print(1)\n")
    (top / ".gitignore").write_text("/data\n!/data/*.dvc\n/model\n")
    rows, raw = b"a,b\n1,2\n", b"raw" * 1000
    (top / "data" / "rows.csv").write_bytes(rows)
    md5 = hashlib.md5(raw).hexdigest()
    (top / ".dvc" / "cache" / "files" / "md5" / md5[:2]).mkdir(parents=True)
    (top / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]).write_bytes(raw)
    (top / "raw.csv.dvc").write_text(f"outs:\n- md5: '{md5}'\n  size: 3000\n  path: raw.csv\n")
    git(top, "init", "-q")
    git(top, "add", "train.py", "raw.csv.dvc", ".gitignore")
    git(top, "commit", "-q", "-m", "first")
    (top / "train.py").write_text("print(2)\n")
    (top / "model").mkdir()
    (top / "model" / "weights.bin").write_bytes(b"weights")
    monkeypatch.chdir(top)
    monkeypatch.setenv("LASTGOOD_HOME", str(tmp_path / "registry"))
    assert lastgood("init").code == 0
    keep = ("--train-data", "data/rows.csv", "--keep-data")
    assert lastgood("register", "model", "--name", "churn", *keep).code == 0
    return top


def test_everything_is_as_it_was_and_the_repository_is_left_alone(lastgood, version, tmp_path):
    (version / "data" / "rows.csv").unlink()
    (version / "train.py").write_text("print(3)\n")
    before = subprocess.check_output(["git", "status", "--porcelain"], cwd=version)
    target = tmp_path / "out" / "here"
    answer = lastgood("checkout", "churn/1", target, "--json")
    assert (answer.code, answer.json["missing"]) == (0, ["code: Git did not track .dvc/"])
    assert (target / "model" / "weights.bin").read_bytes() == b"weights"
    assert (target / "code" / "train.py").read_text() == "print(2)\n"
    assert (target / "code" / "data" / "rows.csv").read_bytes() == b"a,b\n1,2\n"
    assert (target / "code" / "raw.csv").read_bytes() == b"raw" * 1000
    assert "pytest==" in (target / "environment" / "requirements.txt").read_text()
    assert json.loads((target / "lastgood.json").read_text())["digest"] == answer.json["digest"]
    assert subprocess.check_output(["git", "status", "--porcelain"], cwd=version) == before
    assert [path.name for path in target.parent.iterdir()] == ["here"]


def test_without_repository_and_cache_it_says_what_is_missing(
    lastgood, version, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    answer = lastgood("checkout", "churn/1", "--json")
    missing = " ".join(answer.json["missing"])
    assert "no repository here has commit" in missing
    assert "data raw.csv" in missing
    assert (tmp_path / "churn-1" / "code" / "data" / "rows.csv").exists()
    refused = lastgood("checkout", "churn/1", "whole", "--complete")
    assert (refused.code, (tmp_path / "whole").exists()) == (3, False)


def test_nothing_is_written_over_and_damage_leaves_nothing(lastgood, version, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").touch()
    assert lastgood("checkout", "churn/1", target).code == 5
    digest = hashlib.sha256(b"weights").hexdigest()
    stored = tmp_path / "registry" / "objects" / "sha256" / digest[:2] / digest[2:]
    stored.chmod(0o644)
    stored.write_bytes(b"w3ights")
    assert lastgood("checkout", "churn/1", tmp_path / "fresh").code == 6
    assert not (tmp_path / "fresh").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".fresh")]


def test_data_that_changed_since_is_not_taken_for_it(lastgood, version, tmp_path):
    (version / "data" / "other.csv").write_text("x\n")
    lastgood("register", "model", "--name", "churn", "--train-data", "data/other.csv")
    (version / "data" / "other.csv").write_text("y\n")
    answer = lastgood("checkout", "churn/2", tmp_path / "two", "--json")
    assert any("data/other.csv" in line for line in answer.json["missing"])
    assert not (tmp_path / "two" / "code" / "data" / "other.csv").exists()


def test_a_rollback_plan_says_what_becomes_of_each_part(lastgood, version):
    lastgood("register", "model", "--name", "churn", "--param", "depth=6")
    for number in (1, 2):
        lastgood("promote", f"churn/{number}", "--to", "production", "--reason", "r")
    plan = lastgood("rollback", "churn", "--to", "churn/1", "--plan", "--json").json
    parts = {part["part"]: part for part in plan["parts"]}
    assert parts["model"]["because"].startswith("stays")
    assert parts["data"]["because"] == "changes"
    assert parts["parameters"]["after"] == ""
    assert "environment" in lastgood("rollback", "churn", "--to", "churn/1", "--plan").out

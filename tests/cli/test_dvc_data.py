"""Data that only DVC's remote has: `reproduce` and `checkout` fetch it with the real dvc."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lastgood.engine.open import init_data_directory

DVC = Path(__file__).parents[2] / ".venv-dvc" / "bin" / "dvc"
WHO = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
TRAIN = """\
import pathlib
import lastgood

rows = pathlib.Path("data/rows.csv").read_bytes() + pathlib.Path("sub/clean.csv").read_bytes()
images = sorted(pathlib.Path("data/images").iterdir())
pathlib.Path("model.bin").write_bytes(rows + b"".join(image.read_bytes() for image in images))
lastgood.register("model.bin", "churn")
"""
STAGE = "stages:\n  clean:\n    cmd: tr , ';' < ../data/rows.csv > clean.csv\n    deps: [../data/rows.csv]\n    outs: [clean.csv]\n"
CONFIG = "[core]\n    remote = store\n['remote \"store\"']\n    url = ../../remote\n"


def call(folder, *command, **more):
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1", **more}
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A repository whose data DVC tracks and pushed, and a registry with churn/1, trained on it."""
    if not DVC.exists():
        pytest.skip("make .venv-dvc/.ready")
    place = tmp_path_factory.mktemp("trained")
    top = place / "repository"
    (top / "data" / "images").mkdir(parents=True)
    (top / "data" / "rows.csv").write_text("a,b\n1,2\n")
    for name in ("cat", "dog"):
        (top / "data" / "images" / name).write_text(name)
    (top / "train.py").write_text(TRAIN)
    (top / ".gitignore").write_text("model.bin\n")
    call(top, "git", "init", "-q")
    (top / ".dvc").mkdir()  # what `dvc init` makes, without waiting for it
    (top / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (top / ".dvc" / "config").write_text(CONFIG)
    call(top, DVC, "add", "-q", "data/rows.csv", "data/images")
    (top / "sub").mkdir()  # an output of a pipeline, in a directory of its own
    (top / "sub" / "dvc.yaml").write_text(STAGE)
    call(top, DVC, "repro", "-q", "sub/dvc.yaml")
    call(top, DVC, "push", "-q")
    call(top, "git", "add", ".")
    call(top, "git", *WHO, "commit", "-q", "-m", "first")
    init_data_directory(place / "registry")
    call(top, sys.executable, "train.py", LASTGOOD_HOME=str(place / "registry"))
    shutil.rmtree(top / ".dvc" / "cache")
    (top / "data" / "rows.csv").unlink()
    (top / "sub" / "clean.csv").unlink()
    shutil.rmtree(top / "data" / "images")
    return place


@pytest.fixture
def place(trained, tmp_path, monkeypatch, lastgood):
    """The same, to be changed; nothing of the data is on this machine but in the remote."""
    monkeypatch.setenv("PATH", f"{DVC.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LASTGOOD_HOME", str(tmp_path / "place" / "registry"))
    shutil.copytree(trained, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place" / "repository")
    return tmp_path / "place"


def stored(place, content):
    """The file in the remote with that content."""
    files = (file for file in (place / "remote").rglob("*") if file.is_file())
    return next(file for file in files if file.read_bytes() == content)


def test_what_the_remote_has_is_fetched_and_trained_on_again(lastgood, place):
    answer = lastgood("reproduce", "churn/1", "--here", "--json")
    assert (answer.code, answer.json["result"]) == (0, "bitwise"), answer.out


def test_a_checkout_has_the_data_and_nothing_of_the_fetching(lastgood, place, tmp_path):
    answer = lastgood("checkout", "churn/1", tmp_path / "out", "--complete", "--json")
    assert (answer.code, answer.json["missing"]) == (0, []), answer.out
    code = tmp_path / "out" / "code"
    assert (code / "data" / "rows.csv").read_text() == "a,b\n1,2\n"
    assert (code / "sub" / "clean.csv").read_text() == "a;b\n1;2\n"
    assert sorted(p.name for p in (code / "data" / "images").iterdir()) == ["cat", "dog"]
    assert sorted(p.name for p in (code / ".dvc").iterdir()) == [".gitignore", "config"]
    assert (code / ".dvc" / "config").read_text() == CONFIG
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]
    assert not (place / "repository" / ".dvc" / "cache").exists()


def test_what_the_remote_lacks_is_named_and_nothing_runs(lastgood, place, tmp_path):
    stored(place, b"a,b\n1,2\n").unlink()
    answer = lastgood("reproduce", "churn/1", "--here", "--json")
    assert answer.code == 3
    said = answer.json["error"]["message"]
    assert "data data/rows.csv: neither the registry nor this machine has " in said
    assert "remote" in said
    assert lastgood("show", "churn/1", "--json").json["evidence"] == []
    out = lastgood("checkout", "churn/1", tmp_path / "out", "--json")
    (line,) = out.json["missing"]  # the other data came
    assert "data/rows.csv" in line
    assert not (tmp_path / "out" / "code" / "data" / "rows.csv").exists()


def test_other_bytes_in_the_remote_are_not_taken_for_the_data(lastgood, place, tmp_path):
    damaged = stored(place, b"dog")
    damaged.chmod(0o644)
    damaged.write_bytes(b"pig")
    answer = lastgood("checkout", "churn/1", tmp_path / "out", "--json")
    (line,) = answer.json["missing"]
    assert line.startswith("data data/images: ")
    assert not (tmp_path / "out" / "code" / "data" / "images").exists()


def test_settings_that_are_not_committed_do_not_come_along(lastgood, place):
    """The remote of the commit is gone; where it is now, only a config.local says."""
    (place / "remote").rename(place / "moved")
    local = place / "repository" / ".dvc" / "config.local"
    local.write_text("['remote \"store\"']\n    url = ../../moved\n")
    answer = lastgood("reproduce", "churn/1", "--here", "--json")
    assert answer.code == 3
    assert "config.local of your repository" in answer.json["error"]["message"]


def test_without_dvc_it_says_what_to_install(lastgood, place, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    answer = lastgood("reproduce", "churn/1", "--here", "--json")
    assert (answer.code, "pip install dvc" in answer.json["error"]["message"]) == (3, True)


def test_a_cache_that_several_repositories_share_counts_as_at_hand(lastgood, place, tmp_path):
    (place / "remote").rename(place / "shared")  # both have the same form
    local = place / "repository" / ".dvc" / "config.local"
    local.write_text("[cache]\n    dir = ../../shared\n")
    answer = lastgood("checkout", "churn/1", tmp_path / "out", "--complete")
    assert (answer.code, (tmp_path / "out" / "code" / "data" / "rows.csv").exists()) == (0, True)

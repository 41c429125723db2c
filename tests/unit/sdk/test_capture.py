import hashlib
import subprocess
import sys

import pytest

from lastgood.core.manifest import Environment
from lastgood.sdk.capture import Surroundings, capture, this_program
from lastgood.sdk.git import PATCH_SIZE_MAX
from lastgood.sdk.installed import environment_now, fits

WHO = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
DVC_FILE = (
    "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  size: 70\n  hash: md5\n  path: raw.csv\n"
)
DVC_LOCK = """\
schema: '2.0'
stages:
  prepare:
    cmd: python prepare.py
    outs:
    - {path: data/clean, md5: 99999999999999999999999999999999.dir, size: 5, nfiles: 2}
    - {path: model, md5: '77777777777777777777777777777777', size: 5}
    - {path: ../outside, md5: '66666666666666666666666666666666', size: 5}
"""


def git(folder, *arguments):
    subprocess.run(["git", *WHO, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a script, data and a model that nothing tracks."""
    top = tmp_path / "repository"
    (top / "data").mkdir(parents=True)
    (top / "train.py").write_text("print(1)\n")
    (top / "data" / "rows.csv").write_text("a,b\n1,2\n")
    git(top, "init", "-q", "-b", "trunk")
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "first")
    (top / "model").mkdir()
    (top / "model" / "MLmodel").write_text("flavors: {}\n")
    monkeypatch.chdir(top)
    return top


def look(repository, declared=None, **said):
    around = Surroundings(**said)
    return capture(repository / "model", around, declared=declared or Environment())


def test_a_clean_tree_has_no_patch_and_the_model_does_not_count_as_untracked(repository):
    (repository / ".lastgood").mkdir()
    (repository / ".lastgood" / "lastgood.db").touch()
    code = look(repository).code
    assert (code.branch, code.dirty, code.patch, code.untracked) == ("trunk", False, None, ())


def test_a_dirty_tree_comes_as_a_patch_that_gives_the_same_tree(repository, tmp_path):
    (repository / "train.py").write_text("print(2)\n")
    (repository / "blob.bin").write_bytes(b"\x00\xff" * 100)
    git(repository, "add", "blob.bin")
    (repository / "notes é.txt").write_text("not tracked")
    found = look(repository)
    patch = found.blobs[found.code.patch]
    assert found.code.patch == "sha256:" + hashlib.sha256(patch).hexdigest()
    assert (found.code.dirty, found.code.untracked) == (True, ("notes é.txt",))
    git(tmp_path, "clone", "-q", str(repository), "again")
    subprocess.run(["git", "apply"], cwd=tmp_path / "again", input=patch, check=True)
    for name in ("train.py", "blob.bin"):
        assert (tmp_path / "again" / name).read_bytes() == (repository / name).read_bytes()


def test_a_patch_that_is_too_large_is_left_out_and_the_tree_stays_dirty(repository):
    (repository / "train.py").write_text("x" * (PATCH_SIZE_MAX + 1))
    found = look(repository)
    assert (found.code.dirty, found.code.patch, found.blobs) == (True, None, {})


def test_settings_of_the_repository_do_not_change_the_patch_or_start_anything(repository):
    (repository / "train.py").write_text("print(2)\n")
    plain = look(repository).code.patch
    trap = repository.parent / "trap"
    git(repository, "config", "diff.external", f"touch {trap}; false")
    git(repository, "config", "core.fsmonitor", f"touch {trap}; false")
    git(repository, "config", "diff.mnemonicPrefix", "true")
    assert look(repository).code.patch == plain
    assert not trap.exists()


def test_the_entry_point_is_told_relative_to_the_repository(repository, tmp_path):
    code = look(repository, entry_point="train.py", arguments=("--c", "1")).code
    assert (code.entry_point, code.arguments, code.directory) == ("train.py", ("--c", "1"), "")
    (tmp_path / "elsewhere.py").touch()
    assert look(repository, entry_point=str(tmp_path / "elsewhere.py")).code.entry_point == (
        "elsewhere.py"
    )


def test_data_that_dvc_tracks_is_named_without_the_model_itself(repository):
    (repository / ".dvc").mkdir()
    (repository / ".dvc" / "config").write_text(
        "[core]\n    remote = far\n['remote \"far\"']\n    url = https://ana:pw@example.org/d\n"
    )
    (repository / "data" / "raw.csv.dvc").write_text(DVC_FILE)
    (repository / "data" / "broken.dvc").write_text("outs: 5")
    (repository / "dvc.lock").write_text(DVC_LOCK)
    clean, raw = look(repository).data
    assert (raw.path, raw.digest, raw.size) == ("data/raw.csv", "0123456789abcdef" * 2, 70)
    assert (raw.source, raw.source_type) == ("https://example.org/d", "dvc")
    assert (clean.path, clean.digest, clean.name) == ("data/clean", "9" * 32 + ".dir", "clean")


def test_plain_data_is_hashed_and_kept_only_when_asked(repository):
    rows = repository / "data" / "rows.csv"
    digest = "sha256:" + hashlib.sha256(rows.read_bytes()).hexdigest()
    named = look(repository, data=(rows,))
    (one,) = named.data
    assert (one.path, one.digest, one.size, one.object) == ("data/rows.csv", digest, 8, None)
    assert named.files == ()
    kept = look(repository, data=(repository / "data",), keep_data=True)
    assert (kept.data[0].object, [file.digest for file in kept.files]) == (digest, [digest])


def test_this_interpreter_counts_only_if_it_could_have_trained_the_model(repository, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    here = look(repository, seeds={"seed": "7"}).environment
    assert here.python == environment_now().python
    assert here.settings["OMP_NUM_THREADS"] == "1"
    assert here.settings["seed"] == "7"
    other = Environment(python="3.8.1", packages=("pytest==0.0.1",))
    there = look(repository, declared=other).environment
    assert (there.python, there.installed, there.platform) == ("3.8.1", (), "")
    assert look(repository, declared=other, trained_here=True).environment.installed


def test_installed_packages_are_those_that_importing_finds():
    import importlib.metadata

    environment = environment_now()
    expected = importlib.metadata.version("pytest")
    assert f"pytest=={expected}" in environment.installed
    assert fits((f"pytest=={expected}", "anything>=1"), environment.installed)
    assert not fits(("no-such-package==1",), environment.installed)


def test_a_program_knows_its_script(monkeypatch):
    monkeypatch.setattr(sys, "argv", [__file__, "--c", "1"])
    assert this_program().arguments == ("--c", "1")
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert this_program().entry_point == ""

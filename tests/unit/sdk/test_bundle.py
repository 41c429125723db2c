import subprocess

import pytest

from lastgood.core.commands import Caller
from lastgood.core.operations import Actor
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import Conflict, InvalidInput, InvalidName
from lastgood.sdk import Described, read_bundle, register_path
from lastgood.sdk.bundle import register_bundle, send_missing
from lastgood.sdk.git import code_at, without_credentials

ANA = Caller(actor=Actor(name="ana"))


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what is captured depends on the repository one works in
    root = tmp_path / "model"
    root.mkdir()
    (root / "MLmodel").write_text("flavors: {sklearn: {}}\nrun_id: r1\n")
    (root / "requirements.txt").write_text("scikit-learn==1.9.1\n")
    (root / "weights.bin").write_bytes(b"w" * 5000)
    return root


@pytest.fixture
def registry(tmp_path):
    init_data_directory(tmp_path / "data")
    with open_engine(tmp_path / "data") as engine:
        yield engine.registry


def test_a_directory_becomes_a_version_with_what_its_files_say(model, registry):
    described = Described(
        params={"C": "1"}, metrics={"auc": 0.9, "loss": float("nan")}, tags={"team": "crm"}
    )
    outcome = register_path(registry, model, model="churn", caller=ANA, described=described)
    view = registry.show("churn/1")
    assert view.digest == outcome.digest
    assert [file.path for file in view.manifest.files] == [
        "MLmodel",
        "requirements.txt",
        "weights.bin",
    ]
    assert view.manifest.metrics == {"auc": 0.9, "loss": "NaN"}
    assert view.manifest.flavors == ("sklearn",)
    assert view.manifest.environment.packages == ("scikit-learn==1.9.1",)
    assert (view.run_id, view.tags) == ("r1", {"team": "crm"})


def test_the_same_model_elsewhere_is_the_same_version(model, registry, tmp_path):
    first = register_path(registry, model, model="churn", caller=ANA)
    model.rename(tmp_path / "moved")
    again = register_path(registry, tmp_path / "moved", model="churn", caller=ANA)
    assert again.already
    assert again.digest == first.digest


def test_only_missing_bytes_are_sent(model, registry):
    assert send_missing(registry, read_bundle(model).files) == 3
    (model / "weights.bin").write_bytes(b"v" * 5000)
    assert send_missing(registry, read_bundle(model).files) == 1


def test_a_file_changed_after_it_was_read_is_not_registered(model, registry):
    bundle = read_bundle(model)
    (model / "weights.bin").write_bytes(b"w" * 5001)
    with pytest.raises(Conflict, match=r"weights\.bin"):
        register_bundle(registry, bundle, model="churn", caller=ANA)
    assert not registry.models()


def test_a_bad_name_is_refused_before_anything_is_read(tmp_path, registry):
    with pytest.raises(InvalidName):
        register_path(registry, tmp_path / "absent", model="a/b", caller=ANA)


def test_an_mlmodel_that_is_none_is_refused(model, registry):
    (model / "MLmodel").write_text("{")
    with pytest.raises(InvalidInput, match="MLmodel"):
        register_path(registry, model, model="churn", caller=ANA)


def test_git_tells_commit_branch_and_remote_without_its_password(model, tmp_path):
    assert code_at(tmp_path) is None
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (
        ["init", "-q", "-b", "trunk"],
        ["add", "."],
        [*who, "commit", "-q", "-m", "m"],
        ["remote", "add", "origin", "https://ana:secret@example.org/x.git?token=t"],
    ):
        subprocess.run(["git", *arguments], cwd=model, check=True)
    code = code_at(model / "MLmodel").code
    assert len(code.commit) == 40
    assert (code.branch, code.remote) == ("trunk", "https://example.org/x.git")
    assert read_bundle(model / "weights.bin").manifest.code == code


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("git@example.org:x/y.git", "git@example.org:x/y.git"),
        ("ssh://git:pw@example.org:22/x", "ssh://example.org:22/x"),
        ("/srv/git/x", "/srv/git/x"),
        ("", ""),
    ],
)
def test_addresses_lose_their_credentials(url, shown):
    assert without_credentials(url) == shown

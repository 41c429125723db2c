import json
import os

import pytest

from cli.pyfunc_models import write_pyfunc
from lastgood.cli.main import run


class Answer:
    """What one command printed, and its exit code."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def lastgood(tmp_path, monkeypatch, capsys):
    """Run commands in an empty directory, as typed, without the cost of a new interpreter."""
    for name in [name for name in os.environ if name.startswith("LASTGOOD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LASTGOOD_ACTOR", "ana")
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return command


@pytest.fixture
def model(tmp_path):
    root = tmp_path / "model"
    root.mkdir()
    (root / "MLmodel").write_text("flavors: {sklearn: {}}\n")
    (root / "weights.bin").write_bytes(b"weights")
    return root


@pytest.fixture
def loadable(tmp_path):
    pytest.importorskip("mlflow")
    return write_pyfunc(tmp_path / "pyfunc")


@pytest.fixture
def churn(lastgood, model):
    """A data directory with churn/1 (live), churn/2 and churn/3."""
    assert lastgood("init").code == 0
    for number in (1, 2, 3):
        (model / "weights.bin").write_bytes(b"weights %d" % number)
        metric = ("--metric", f"auc=0.{number}")
        assert lastgood("register", model, "--name", "churn", *metric).code == 0
    assert lastgood("promote", "churn/1", "--to", "production", "--reason", "first").code == 0
    return lastgood

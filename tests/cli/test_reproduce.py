"""`lastgood reproduce`: real scripts, in real repositories, run again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lastgood.core.manifest import Environment
from lastgood.errors import Refused
from lastgood.sdk.environments import recorded_interpreter
from lastgood.sdk.installed import environment_now

WHO = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]

SKLEARN = """\
import pickle, sys
import numpy as np
from sklearn.linear_model import LogisticRegression
import lastgood

c = float(sys.argv[1])
rows = np.loadtxt("data/rows.csv", delimiter=",")
model = LogisticRegression(C=c, random_state=7).fit(rows[:, :2], rows[:, 2])
with open("model.pkl", "wb") as file:
    pickle.dump(model, file)
score = model.score(rows[:, :2], rows[:, 2])
lastgood.register(
    "model.pkl", "churn", params={"C": c}, metrics={"accuracy": score},
    data=["data/rows.csv"], keep_data=True, seeds={"model": 7},
)
"""
PLAIN = """\
import os, pathlib
import lastgood

pathlib.Path("model.bin").write_bytes({content})
lastgood.register("model.bin", "churn", metrics={{"auc": {metric}}})
"""


@pytest.fixture
def trained(lastgood, tmp_path, monkeypatch):
    """Commit a script, run it as a user does; it registers churn/1."""
    monkeypatch.setenv("LASTGOOD_HOME", str(tmp_path / "registry"))
    assert lastgood("init").code == 0

    def train(script, *arguments):
        top = tmp_path / "repository"
        (top / "data").mkdir(parents=True)
        (top / "train.py").write_text("raise SystemExit('the commit is not what was run')\n")
        rows = "".join(f"{i},{i * i % 7},{int(i % 7 > 3)}\n" for i in range(40))
        (top / "data" / "rows.csv").write_text(rows)
        (top / ".gitignore").write_text("model.*\n")
        for command in (["init", "-q"], ["add", "."], [*WHO, "commit", "-q", "-m", "first"]):
            subprocess.run(["git", *command], cwd=top, check=True)
        (top / "train.py").write_text(script)  # the patch has to come along
        subprocess.run(
            [sys.executable, "train.py", *arguments], cwd=top, check=True, env={**os.environ}
        )
        monkeypatch.chdir(top)
        return top

    return train


def certificate_of(lastgood, reference="churn/1"):
    view = lastgood("show", reference, "--json").json
    return next(one for one in view["evidence"] if one["name"] == "reproduced")


def test_a_deterministic_training_with_scikit_learn_reaches_bitwise(lastgood, trained):
    pytest.importorskip("sklearn")
    top = trained(SKLEARN, "0.5")
    (top / "data" / "rows.csv").unlink()  # the registry has it
    (top / "train.py").unlink()
    answer = lastgood("reproduce", "churn/1", "--here", "--json")
    assert (answer.code, answer.json["result"]) == (0, "bitwise"), answer.err
    assert answer.json["command"] == ["train.py", "0.5"]
    found = certificate_of(lastgood)
    assert (found["outcome"], found["summary"]) == ("pass", "bitwise")
    assert "bitwise" in lastgood("show", "churn/1").out
    assert lastgood("fsck", "--json").json["problems"] == []
    assert lastgood("show", "churn/2").code == 4  # what the script registered went elsewhere


def test_other_bytes_with_equal_metrics_are_told_as_that(lastgood, trained):
    trained(PLAIN.format(content="os.urandom(8)", metric="0.75"))
    answer = lastgood("reproduce", "churn/1", "--here")
    assert answer.code == 0
    assert "metrics equal within 1e-09 (the bytes of model.bin differ)" in answer.out


def test_what_differs_is_named_and_recorded(lastgood, trained):
    trained(PLAIN.format(content="os.urandom(8)", metric="os.getpid()"))
    answer = lastgood("reproduce", "churn/1", "--here", "--json")
    assert answer.code == 1
    assert answer.json["result"].startswith("different: first difference is metric auc: ")
    assert certificate_of(lastgood)["outcome"] == "fail"


def test_a_script_that_fails_is_told_with_its_words(lastgood, trained):
    script = "import os\nif 'mlflow.db' in os.environ.get('MLFLOW_TRACKING_URI', ''):\n    raise SystemExit('no luck')\n"
    trained(script + PLAIN.format(content="b'x'", metric="1"))
    answer = lastgood("reproduce", "churn/1", "--here", "--json")
    assert answer.code == 1
    assert "exit code 1: no luck" in answer.json["result"]


def test_what_does_not_say_how_it_was_made_is_refused_and_nothing_recorded(lastgood, model):
    lastgood("init")
    lastgood("register", model, "--name", "churn")
    answer = lastgood("reproduce", "churn/1", "--here", "--json")
    assert answer.code == 3
    assert "which script" in answer.json["error"]["message"]
    assert lastgood("show", "churn/1", "--json").json["evidence"][0]["name"] == "load_test"


def test_an_environment_that_was_not_recorded_is_not_guessed(tmp_path):
    with pytest.raises(Refused, match="with which packages"):
        recorded_interpreter(Environment(python="3.11.7"), cache=tmp_path)


@pytest.mark.nightly
def test_uv_builds_the_recorded_environment_once(tmp_path):
    environment = Environment(python=environment_now().python, installed=("six==1.17.0",))
    interpreter = recorded_interpreter(environment, cache=tmp_path)
    code = "import six, json, sys; print(json.dumps([six.__version__, sys.prefix]))"
    said = json.loads(subprocess.check_output([interpreter.python, "-c", code]))
    python = Path(interpreter.python)
    assert said == ["1.17.0", str(python.parent.parent)]
    built = python.parent.stat().st_ctime_ns
    assert recorded_interpreter(environment, cache=tmp_path).python == interpreter.python
    assert python.parent.stat().st_ctime_ns == built

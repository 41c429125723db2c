"""drill and doctor as a user types them, on models that really load."""

import json

import pytest

MLMODEL = """\
flavors:
  python_function:
    loader_module: tried
    code: code
    python_version: 3.11.7
saved_input_example_info:
  artifact_path: input_example.json
  pandas_orient: split
  serving_input_path: serving_input_example.json
  type: dataframe
model_uuid: 0
utc_time_created: '2026-01-01 00:00:00'
"""
LOADER = """\
import os

if os.environ.get("LIBRARY") == "gone":
    raise ImportError("No module named 'old_library'")

class Model:
    def predict(self, data, params=None):
        return [float(v) + float(os.environ.get("SHIFT", "0")) for v in data["x"]]

def _load_pyfunc(path):
    return Model()
"""


@pytest.fixture
def live(lastgood, tmp_path):
    """churn/2 is live in production, churn/1 proved good before."""
    pytest.importorskip("mlflow")
    lastgood("init")
    root = tmp_path / "pyfunc"
    (root / "code").mkdir(parents=True)
    (root / "MLmodel").write_text(MLMODEL)
    (root / "code" / "tried.py").write_text(LOADER)
    example = {"columns": ["x"], "data": [[1.5], [2.5]]}
    (root / "input_example.json").write_text(json.dumps(example))
    for number in (1, 2):
        (root / "weights").write_text(str(number))
        answer = lastgood("register", root, "--name", "churn")
        assert answer.code == 0, answer.err
        lastgood("promote", f"churn/{number}", "--to", "production", "--reason", "x")
    lastgood("mark", "good", "churn/1", "--reason", "it worked")
    return lastgood


def outcomes(answer):
    return {step["name"]: step["outcome"] for step in answer.json["steps"]}


def test_a_rehearsal_finds_everything_in_order_and_switches_nothing(live):
    before = live("log", "--json").out
    answer = live("drill", "churn@production", "--json")
    assert (answer.code, answer.json["ready"], answer.json["target"]) == (0, True, 1)
    assert set(outcomes(answer).values()) == {"pass"}
    assert list(outcomes(answer)) == ["plan", "bytes", "loads", "answers"]
    assert live("log", "--json").out == before
    assert "rollback ready" in live("drill", "churn").out


def test_a_library_upgrade_that_breaks_the_old_model_shows_before_it_is_needed(live, monkeypatch):
    monkeypatch.setenv("LIBRARY", "gone")
    answer = live("drill", "churn@production", "--json")
    assert (answer.code, outcomes(answer)["loads"]) == (1, "fail")
    assert "old_library" in answer.json["reason"]


def test_other_answers_than_when_it_was_registered_show(live, monkeypatch):
    monkeypatch.setenv("SHIFT", "0.001")
    answer = live("drill", "churn@production", "--json")
    assert (answer.code, outcomes(answer)["answers"]) == (1, "fail")
    monkeypatch.setenv("SHIFT", "1e-12")  # the control: within the tolerance
    assert live("drill", "churn@production").code == 0


def test_doctor_tells_of_every_environment(live, tmp_path):
    assert live("doctor", "--json").json["environments"][0]["ready"] is True
    live("promote", "churn/2", "--to", "champion", "--reason", "x")
    everywhere = live("doctor", "--all", "--json")
    assert everywhere.code == 1
    ready = {e["environment"]: e["ready"] for e in everywhere.json["environments"]}
    assert ready == {"production": True, "champion": False}
    damaged = live("show", "churn/1", "--json").json["manifest"]["files"][-1]["digest"][7:]
    path = tmp_path / ".lastgood" / "objects" / "sha256" / damaged[:2] / damaged[2:]
    path.chmod(0o644)
    path.write_bytes(b"x")
    answer = live("doctor")
    assert answer.code == 1
    assert "damaged" in answer.out


def test_doctor_of_nothing_is_well(lastgood):
    lastgood("init")
    assert lastgood("doctor").code == 0
    assert lastgood("drill", "churn/1").code == 2

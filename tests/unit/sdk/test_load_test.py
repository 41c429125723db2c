"""The load test, with models written in a few lines, so that nothing but mlflow has to be imported."""

import json
import textwrap

import pytest

from lastgood.core.commands import Caller
from lastgood.core.operations import Actor
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import Refused
from lastgood.sdk import Described, register_path
from lastgood.trial import Trial, TrialOrder

pytest.importorskip("mlflow")
ANA = Caller(actor=Actor(name="ana"))
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


@pytest.fixture
def registry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    init_data_directory(tmp_path / "data")
    with open_engine(tmp_path / "data") as engine:
        yield engine.registry


@pytest.fixture
def make_model(tmp_path):
    def make(loading="pass", predict="return [float(v) for v in data['x']]"):
        root = tmp_path / "model"
        (root / "code").mkdir(parents=True, exist_ok=True)
        (root / "MLmodel").write_text(MLMODEL)
        (root / "input_example.json").write_text(
            json.dumps({"columns": ["x"], "data": [[1.5], [2.5]]})
        )
        source = f"class Model:\n def predict(self, data, params=None):\n{textwrap.indent(predict, '  ')}\n"
        source += f"def _load_pyfunc(path):\n{textwrap.indent(loading, ' ')}\n return Model()\n"
        (root / "code" / "tried.py").write_text(source)
        return root

    return make


def test_what_the_model_answers_is_kept_as_golden_answers(registry, make_model):
    register_path(registry, make_model(), model="m", caller=ANA)
    (finding,) = registry.show("m/1").evidence
    assert (finding.name, finding.outcome) == ("load_test", "pass")
    assert finding.figures["deterministic"] == "yes"
    assert finding.figures["peak_mib"] > 1
    golden = json.loads(b"".join(registry.read_object(finding.object)))
    assert golden["answers"] == [1.5, 2.5]
    assert golden["tolerance"] == {"relative": 1e-6, "absolute": 1e-9}
    assert registry.fsck().problems == ()
    assert registry.fsck().orphans == 0


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"loading": "import no_such_library"}, "No module named 'no_such_library'"),
        ({"predict": "raise KeyError('age')"}, "KeyError: 'age'"),
        ({"loading": "import os; os._exit(9)"}, "exit code 9"),
    ],
)
def test_a_model_that_fails_is_refused_with_its_own_error(registry, make_model, broken, told):
    model = make_model(**broken)
    with pytest.raises(Refused, match="load test") as caught:
        register_path(registry, model, model="m", caller=ANA)
    assert told in caught.value.message
    assert registry.models() == []
    # The control: without the test nothing stops it, and that is recorded.
    register_path(registry, model, model="m", caller=ANA, described=Described(load_test=False))
    (finding,) = registry.show("m/1").evidence
    assert (finding.outcome, finding.summary) == ("unknown", "left out on request")


def test_answers_that_differ_from_call_to_call_are_told(registry, make_model):
    model = make_model(predict="import random\nreturn [random.random() for _ in data['x']]")
    register_path(registry, model, model="m", caller=ANA)
    (finding,) = registry.show("m/1").evidence
    assert finding.figures["deterministic"] == "no"
    assert "differ from call to call" in finding.summary


def test_a_model_without_an_example_is_registered_and_nothing_is_claimed(registry, make_model):
    model = make_model()
    (model / "input_example.json").unlink()
    register_path(registry, model, model="m", caller=ANA)
    (finding,) = registry.show("m/1").evidence
    assert (finding.outcome, finding.object) == ("unknown", None)


def test_a_model_that_hangs_is_ended_with_all_that_it_started(make_model, tmp_path):
    child = tmp_path / "child"
    model = make_model(
        loading="import subprocess, pathlib, time\n"
        "p = subprocess.Popen(['sleep', '600'])\n"
        f"pathlib.Path({str(child)!r}).write_text(str(p.pid))\n"
        "time.sleep(600)"
    )
    trial = Trial(timeout_s=60.0)
    with trial:
        trial._timeout_s = 0.0
        with pytest.raises(Refused, match="took longer than 0 s"):
            trial.run(TrialOrder(path=model))
    assert trial._process.poll() is not None

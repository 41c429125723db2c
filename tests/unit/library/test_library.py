"""`import lastgood` in a training script."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

import lastgood
from contract.registry_doors import running_server
from lastgood.engine.open import init_data_directory
from lastgood.errors import InvalidInput


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("LASTGOOD_SERVER", "LASTGOOD_HOME", "LASTGOOD_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LASTGOOD_ACTOR", "ana")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"weights")
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    return tmp_path


def test_a_script_without_a_server_registers_into_a_directory_that_is_made_for_it(place):
    with lastgood.run(tags={"team": "crm"}) as run:
        run.log_params({"depth": 5})
        run.log_params({"depth": 6})
        run.log_metrics({"auc": 0.5})
        run.log_data("rows.csv", keep=True)
        run.log_seed(42)
        outcome = run.register("model", "churn", metrics={"auc": 0.75}, reason="weekly")
    assert [one.version for one in run.versions] == [1]
    with lastgood.open_registry() as here:
        view = here.registry.show("churn/1")
        assert b"".join(here.registry.read_object(view.manifest.data[0].object)) == b"a,b\n1,2\n"
        assert here.registry.log(model="churn")[0].reason == "weekly"
    assert (view.digest, view.registered_by, view.tags) == (outcome.digest, "ana", {"team": "crm"})
    assert (view.manifest.params, view.manifest.metrics) == ({"depth": "6"}, {"auc": 0.75})
    assert view.manifest.environment.settings["seed"] == "42"


def test_data_that_is_not_there_is_told_before_the_training(place):
    with lastgood.run() as run, pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        run.log_data("nowhere.csv")


def test_runs_inside_runs_know_nothing_of_each_other(place):
    with lastgood.run(tags={"team": "crm"}) as outer:
        outer.log_params({"depth": 5})
        with lastgood.run() as inner:
            inner.log_params({"rate": 0.1})
            inner.register("model", "inner")
        outer.register("model", "outer")
    assert [len(run.versions) for run in (outer, inner)] == [1, 1]
    with lastgood.open_registry() as here:
        said = {n: here.registry.show(f"{n}/1") for n in ("outer", "inner")}
    assert said["outer"].manifest.params == {"depth": "5"}
    assert (said["inner"].manifest.params, said["inner"].tags) == ({"rate": "0.1"}, {})


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_ends_a_run_early_leaves_what_was_made_before_and_no_trace_of_the_rest(place, error):
    def train():
        with lastgood.run() as run:
            run.register("model", "churn")
            run.log_params({"depth": 6})
            with suppress(TypeError, ValueError):
                run.log_metrics({"auc": 0.5, "loss": "none"})
            assert run.register("model", "other").version == 1
            raise error

    with pytest.raises(error):
        train()
    with lastgood.open_registry() as here:
        assert [view.model for view in here.registry.models()] == ["churn", "other"]
        assert here.registry.show("other/1").manifest.metrics == {}  # all of a call, or nothing
    with pytest.raises(error), lastgood.run(registry=place / "never"):
        raise error
    assert not (place / "never").exists()


SLOW_LOADER = """\
import os, pathlib, time

def _load_pyfunc(path):
    pathlib.Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
    time.sleep(120)
"""
SLOW_MLMODEL = """\
flavors:
  python_function: {loader_module: slow_loader, code: code}
saved_input_example_info: {artifact_path: example.json, type: dataframe, pandas_orient: split}
"""


# A shell starts what runs in its background with SIGINT ignored, and children inherit that.
INTERRUPTED = """
import signal
import lastgood
signal.signal(signal.SIGINT, signal.default_int_handler)
with lastgood.run() as run:
    run.register('model', 'churn')
"""


def test_ctrl_c_in_a_load_test_makes_no_version_and_leaves_no_process(place, monkeypatch):
    pytest.importorskip("mlflow")
    (place / "model" / "code").mkdir()
    (place / "model" / "code" / "slow_loader.py").write_text(SLOW_LOADER)
    (place / "model" / "MLmodel").write_text(SLOW_MLMODEL)
    (place / "model" / "example.json").write_text('{"columns": ["x"], "data": [[1]]}')
    pid_file = place / "pid"
    monkeypatch.setenv("PID_FILE", str(pid_file))
    script = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stderr=subprocess.PIPE)
    for _ in range(1200):
        if pid_file.exists() and pid_file.read_text():
            break
        time.sleep(0.05)
    script.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in script.communicate(timeout=60)[1]
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    with lastgood.open_registry() as here:
        assert not here.registry.models()
    assert lastgood.register("model", "churn", load_test=False).version == 1


def test_the_same_script_works_on_a_server(place, monkeypatch):
    init_data_directory(place / "served")
    with running_server(place / "served") as url:
        monkeypatch.setenv("LASTGOOD_SERVER", url)
        assert lastgood.register("model", "churn").version == 1
        assert lastgood.register("model", "churn", registry=url).already
    assert not (place / ".lastgood").exists()


def test_a_model_that_mlflow_cannot_save_is_told(place):
    with pytest.raises(InvalidInput, match="no flavor for a builtins"):
        lastgood.log_model({}, "churn")


def test_importing_lastgood_imports_nothing_else():
    code = "import sys, lastgood; print([m for m in sys.modules if m.startswith(('lastgood.', 'msgspec', 'httpx', 'sqlalchemy'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore")  # of mlflow and scikit-learn, about each other
def test_a_scikit_learn_model_is_saved_tested_and_registered(place):
    pytest.importorskip("mlflow")
    linear = pytest.importorskip("sklearn.linear_model")
    import numpy as np

    rows = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    model = linear.LinearRegression().fit(rows, rows @ [2.0, 1.0])
    lastgood.log_model(model, "linear", input_example=rows[:2], params={"fit": True})
    with lastgood.open_registry() as here:
        view = here.registry.show("linear/1")
        golden = b"".join(here.registry.read_object(view.evidence[0].object))
    assert view.manifest.flavors == ("python_function", "sklearn")
    assert view.evidence[0].outcome == "pass"
    assert b'"answers":[1.0' in golden
    assert "inputs" in view.manifest.signature
    pins = {line.partition("==")[0] for line in view.manifest.environment.packages}
    assert {"scikit-learn", "mlflow", "numpy"} <= pins
    left_out = sys.modules["mlflow.utils.environment"].warn_dependency_requirement_mismatches
    assert left_out.__module__ == "mlflow.utils.requirements_utils"  # as it was, for all others
    assert "load_test" not in {one.item for one in view.missing}


@pytest.mark.filterwarnings("ignore")  # of mlflow and scikit-learn, about each other
def test_a_run_has_a_process_for_the_load_test_waiting_and_ends_it(place):
    pytest.importorskip("mlflow")
    linear = pytest.importorskip("sklearn.linear_model")
    import numpy as np

    rows = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    model = linear.LinearRegression().fit(rows, rows @ [2.0, 1.0])
    cloudpickle = {"serialization_format": "cloudpickle"}
    before = children()
    with lastgood.run() as run:
        (waiting,) = children() - before
        run.log_model(model, "linear", input_example=rows[:2], save_options=cloudpickle)
        assert waiting not in children()
        with pytest.raises(InvalidInput, match="may not hold input_example"):
            run.log_model(model, "linear", save_options={"input_example": rows})
    with suppress(KeyboardInterrupt), lastgood.run():
        assert children() - before
        raise KeyboardInterrupt
    with lastgood.run(load_test=False):
        assert children() == before
    assert children() == before
    with lastgood.open_registry() as here:
        view = here.registry.show("linear/1")
    assert view.evidence[0].outcome == "pass"
    assert "model.pkl" in {entry.path for entry in view.manifest.files}


def children():
    """The process ids of this process's children."""
    return {child.pid for child in psutil.Process().children()}

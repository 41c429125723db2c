"""Scripts as users write them, unmodified, with both clients; what they left is then read back by the client.

The same scripts run against `mlflow server`, and what is read back there must be the same.
"""

import json
import subprocess
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from differential.servers import mlflow_server

from conftest import CLIENTS, lastgood_server, users_shell

SCRIPTS = Path(__file__).parent / "scripts"
SCRIPT_TIMEOUT_S = 280.0
QUICK = ("things_logged", "nested_and_async", "registering_models")
LONG = (
    "autolog_sklearn",
    "autolog_boosters",
    "evaluating",
)  # scikit-learn and the like take their time
CHOSEN = ("mlflow3", "registering_models")  # compared in every test run; the others nightly
EVERY = [(client, script) for client in sorted(CLIENTS) for script in QUICK + LONG]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def run(python, script, *arguments, url, folder):
    """A script in a user's shell: its output, once it ended well."""
    done = subprocess.run(
        [python, script, *arguments],
        cwd=folder,
        env=users_shell(folder) | {"MLFLOW_TRACKING_URI": url},
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Outcomes:
    """What a client reads back after a script; each script runs once for each client and kind of server."""

    def __init__(self, urls, tmp_path_factory):
        self._urls, self._tmp_path_factory, self._known = urls, tmp_path_factory, {}

    def __call__(self, client, script):
        if (client, script) not in self._known:
            self._known[client, script] = self._run(client, script)
        return self._known[client, script]

    def _run(self, client, script):
        where = {"url": self._urls(client), "folder": self._tmp_path_factory.mktemp(script)}
        run(CLIENTS[client], SCRIPTS / f"users/{script}.py", **where)
        output = run(CLIENTS[client], SCRIPTS / "read_back.py", script, **where)
        return json.loads(output.splitlines()[-1])


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """On a server of ours for each client."""
    with ExitStack() as stack:

        @cache
        def url(client):
            folder = tmp_path_factory.mktemp(f"lastgood-{client}")
            return stack.enter_context(lastgood_server(folder)).url

        yield Outcomes(url, tmp_path_factory)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """On MLflow's own server, one for each client."""
    with ExitStack() as stack:

        @cache
        def url(client):
            folder = tmp_path_factory.mktemp(f"mlflow-{client}")
            return f"http://127.0.0.1:{stack.enter_context(mlflow_server(folder))}"

        yield Outcomes(url, tmp_path_factory)


def by_name(told):
    return {run["info"]["run_name"]: run for run in told["runs"] if run["info"]["run_name"] != "*"}


def things_logged(told, client):
    things = by_name(told)["things"]
    images = [path for path in things["artifacts"] if path.startswith("images/dogs")]
    assert len(images) == 4, "one picture and one thumbnail a step"
    assert "deep/er/name with spaces & ünï 100% +.txt 1" in things["artifacts"]
    assert {"config/a.yaml 11", "plots/line.png", "table.json"} <= set(things["artifacts"])
    contexts = {i["dataset"]["name"]: i["tags"]["mlflow.data.context"] for i in things["inputs"]}
    assert contexts == {"points": "training", "dataset": "testing"}


def nested_and_async(told, client):
    runs = by_name(told)
    assert len(told["runs"]) == 19
    assert told["rows"] == 19
    assert (runs["parent"]["info"]["status"], runs["parent"]["tags"]["sweep"]) == ("FINISHED", "b")
    assert (runs["fails"]["info"]["status"], runs["fails"]["metrics"]["loss"]) == ("FAILED", "nan")
    assert runs["thread 0"]["info"]["lifecycle_stage"] == "deleted"
    assert runs["thread 1"]["info"]["status"] == "KILLED"
    assert len(runs["async by call"]["params"]) == 151
    assert runs["async by setting"]["history"]["m"][0] == 1100


def registering_models(told, client):
    models = told["models"]
    assert set(models) == {
        f"registering_models.{name}" for name in ("add", "prod", "made-by-copying", "renamed")
    }
    first = models["registering_models.add"]
    assert first["model"]["aliases"] == {"champion": "3"}
    assert first["latest"] == {"Production": "2", "None": "3"}
    assert [v["current_stage"] for v in first["versions"]] == ["Production", "None"]
    assert all("MLmodel" in v["files"] for m in models.values() for v in m["versions"])
    if client == "mlflow3":
        assert [m["status"] for m in told["logged models"]] == ["READY", "READY"]


def autolog_sklearn(told, client):
    plain, search = by_name(told)["plain"], by_name(told)["search"]
    assert plain["metrics"]["training_accuracy_score"] > 0.9
    assert plain["params"]["solver"] == "lbfgs"
    assert plain["metrics"]["LogisticRegression_score_X_test"] > 0.9
    assert plain["inputs"]
    assert search["params"]["best_C"]
    assert "cv_results.csv" in search["artifacts"]
    children = [r for r in told["runs"] if "mlflow.parentRunId" in r["tags"]]
    assert len(children) == 2
    assert all(child["metrics"]["mean_test_score"] > 0.8 for child in children)


def autolog_boosters(told, client):
    xgboost, lightgbm = by_name(told)["xgboost"], by_name(told)["lightgbm"]
    for run, metric in ((xgboost, "test-logloss"), (lightgbm, "test-binary_logloss")):
        steps = [step for step, _ in run["history"][metric]]
        assert steps[:20] == list(range(20))
        assert any(path.startswith("feature_importance") for path in run["artifacts"])
    if client == "mlflow3":
        (model,) = told["logged models"]
        assert (model["status"], model["run"] is not None) == ("READY", True)


def evaluating(told, client):
    runs = by_name(told)
    scored = runs["predictions of a model"]
    assert scored["metrics"]["accuracy_score"] > 0.9
    assert "confusion_matrix.png" in scored["artifacts"]
    assert scored["inputs"][0]["dataset"]["name"] == "cancer"
    assert "largest" in runs["a function"]["metrics"]
    assert runs["rows"]["metrics"]["exact_match/v1"] == 0.5
    assert "eval_results_table.json" in runs["rows"]["artifacts"]


FACTS = {f.__name__: f for f in (things_logged, nested_and_async, registering_models)} | {
    f.__name__: f for f in (autolog_sklearn, autolog_boosters, evaluating)
}


def nightly_unless(case, kept):
    return pytest.param(*case, marks=() if kept else pytest.mark.nightly)


@pytest.mark.parametrize(
    ("client", "script"),
    [nightly_unless(case, case[0] == "mlflow3" or case[1] in QUICK) for case in EVERY],
)
def test_a_script(ours, client, script):
    told = ours(client, script)
    assert all(run["same as in the search"] for run in told["runs"])
    FACTS[script](told, client)


@pytest.mark.parametrize(
    ("client", "script"), [nightly_unless(case, case == CHOSEN) for case in EVERY]
)
def test_the_same_as_from_mlflows_server(ours, theirs, client, script):
    assert ours(client, script) == theirs(client, script)

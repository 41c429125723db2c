"""What registering takes from a run, and what the log keeps of MLflow's calls: both real clients."""

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import httpx
import pytest
from fault_processes import run as lastgood

from conftest import CLIENTS, SCRIPT_TIMEOUT_S

SCRIPT = Path(__file__).parent / "scripts/registering.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=sorted(CLIENTS))
def registered(request, server, tmp_path_factory):
    """What a client did from inside a Git repository, what it was told, and the log of it."""
    folder = tmp_path_factory.mktemp("project")
    script = shutil.copy(SCRIPT, folder / "train.py")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "PYTHONWARNINGS": "ignore",
    }
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@example.org"]
    for command in (["init", "-q"], ["add", "train.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], cwd=folder, env=environment, check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    model = f"churn-{uuid.uuid4().hex[:8]}"
    done = subprocess.run(
        [CLIENTS[request.param], script, server.url, model],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return told | {"commit": head.stdout.strip(), "model": model, "url": server.url}


def answer(registered, *arguments):
    code, out, err = lastgood(*arguments, "--server", registered["url"], "--json")
    assert code == 0, out + err
    return json.loads(out)


@pytest.fixture(scope="module")
def operations(registered):
    """Of the model, oldest first."""
    found = answer(registered, "log", registered["model"], "-n", "1000")["operations"]
    return list(reversed(found))


def manifest(registered, operations, number):
    """Of a version that is deleted by now: the log knows its digest."""
    digest = next(
        change["digest"]
        for entry in operations
        if entry["kind"] == "register"
        for change in entry["changes"]
        if change.get("version") == number and "digest" in change
    )
    return httpx.get(f"{registered['url']}/api/v1/manifests/{digest}").json()


def test_a_version_takes_with_it_what_its_run_knows(registered, operations):
    for number, run in enumerate(registered["versions"], start=1):
        found = manifest(registered, operations, number)
        assert found["params"] == {"C": "0.5", "constant": str(number)}
        assert found["metrics"] == {"auc": 0.8 + number / 100}
        assert found["tags"]["team"] == "retention"
        assert found["code"]["commit"] == registered["commit"] == run["commit"]
        assert found["source"]["run_id"] == run["run_id"]
        assert found["source"]["experiment_id"] == run["experiment_id"]
        (data,) = found["data"]
        assert (data["name"], data["digest"], data["context"]) == (
            "telco",
            run["dataset"],
            "training",
        )
        assert {"scikit-learn==1.0.0", "pandas==2.0.0"} <= set(found["environment"]["packages"])
        assert found["environment"]["python"]
        assert "tenure" in found["signature"]
        assert "python_function" in found["flavors"]


def test_a_version_keeps_its_bytes_whatever_happens_to_the_run(registered, operations):
    found = manifest(registered, operations, 1)
    frozen = {f["path"]: f["digest"].removeprefix("sha256:") for f in found["files"]}
    frozen.pop("registered_model_meta", None)
    assert registered["overwritten"]  # the control: the run's own files did change
    assert registered["unchanged"]
    assert registered["files"] == frozen
    assert {"MLmodel", "model.pkl", "requirements.txt", "python_env.yaml"} <= set(frozen)


def test_stages_and_aliases_are_operations_with_actor_and_from_to(registered, operations):
    for entry in operations:
        assert entry["actor"]["name"] == "ann"
        assert entry["origin"]["door"] == "mlflow"
        assert "mlflow-python-client" in entry["origin"]["program"]
    moves = [
        (change["ref"], change["before"], change["after"])
        for entry in operations
        for change in entry["changes"]
        if "ref" in change
    ]
    assert moves[:6] == [
        ("production", None, 1),
        ("production", 1, 2),
        ("champion", None, 1),
        ("champion", 1, 2),
        ("champion", 2, None),
        ("production", 2, None),
    ]
    code, text, _ = lastgood(
        "log", registered["model"], "-n", "1000", "--server", registered["url"]
    )
    assert code == 0
    for words in ("version 1 -> version 2", "by ann", "through MLflow"):
        assert words in text


def test_what_is_live_cannot_be_deleted_by_a_client(registered):
    for code, message in registered["refused"].values():
        assert code == "RESOURCE_CONFLICT"
        assert "live in production" in message


def test_numbers_are_not_given_again_after_deletions(registered):
    assert registered["numbers"] == [3, 4, 5]

"""MLflow's own command line against our server: projects, experiments, runs, artifacts, models served and applied."""

import contextlib
import csv
import json
import os
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from fault_processes import eventually, free_port

from conftest import CLIENTS, lastgood_server, users_shell

SCRIPTS = Path(__file__).parent / "scripts"
COMMAND_TIMEOUT_S = 240.0
SERVING_TIMEOUT_S = 120.0
ROWS = {"dataframe_split": {"columns": ["x"], "data": [[1.0], [5.0]]}}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Shell:
    """Where a user types `mlflow …`."""

    def __init__(self, python, url, folder):
        self.folder, self.url, self._python = folder, url, python
        shell = users_shell(folder) | {"MLFLOW_TRACKING_URI": url}
        # What a command starts, such as the step of a project, is found in the client's own environment.
        self._environment = shell | {"PATH": f"{python.parent}:{os.environ['PATH']}"}

    def mlflow(self, *arguments):
        """One command in a process of its own: its output, once it ended well."""
        return self._run("-m", "mlflow", *arguments)

    def several(self, *commands):
        """Exit codes and outputs of commands."""
        return json.loads(self._run(SCRIPTS / "commands.py", json.dumps(commands)).splitlines()[-1])

    def start(self, *arguments):
        """A command that stays."""
        with (self.folder / "started.log").open("wb") as log:
            return subprocess.Popen(
                [self._python, "-m", "mlflow", *arguments],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _run(self, *arguments):
        done = subprocess.run(
            [self._python, *arguments],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(
    scope="module",
    params=["mlflow3", pytest.param("mlflow2", marks=pytest.mark.nightly)],
)
def shell(request, tmp_path_factory):
    """In it a project has run, which registered a model and gave it an alias."""
    with lastgood_server(tmp_path_factory.mktemp("server")) as server:
        shell = Shell(CLIENTS[request.param], server.url, tmp_path_factory.mktemp("home"))
        where = ("--env-manager", "local", "--experiment-name", "doubling")
        shell.mlflow("run", SCRIPTS / "project", "-P", "n=3", *where)
        yield shell


@pytest.fixture
def run_id(shell):
    found = httpx.post(
        f"{shell.url}/api/2.0/mlflow/runs/search", json={"experiment_ids": ["1"]}
    ).json()["runs"]
    (run,) = found
    return run["info"]["run_id"]


def test_experiments_runs_and_artifacts(shell, run_id):
    (shell.folder / "note.txt").write_text("hello")
    of_run = ("--run-id", run_id)
    told = shell.several(
        ("experiments", "create", "-n", "another"),
        ("experiments", "search"),
        ("experiments", "csv", "-x", "1", "-o", "runs.csv"),
        ("runs", "list", "--experiment-id", "1"),
        ("runs", "describe", *of_run),
        ("artifacts", "log-artifact", "--local-file", "note.txt", *of_run, "-a", "in/side"),
        ("artifacts", "list", *of_run, "-a", "in"),
        ("artifacts", "download", *of_run, "-a", "in", "-d", "down"),
        ("runs", "delete", *of_run),
        ("runs", "restore", *of_run),
        ("experiments", "rename", "-x", "2", "--new-name", "renamed"),
        ("experiments", "delete", "-x", "2"),
        ("experiments", "search", "--view", "deleted_only"),
        ("gc", "--backend-store-uri", shell.url),
    )
    assert told.pop()[0] == 1, "as against MLflow's server: it works on a database, not on a server"
    assert [code for code, _ in told] == [0] * len(told), told
    outputs = [output for _, output in told]
    assert "'another' with id 2" in outputs[0]
    assert "doubling" in outputs[1]
    assert run_id in outputs[3]
    assert json.loads(outputs[4])["data"]["metrics"] == {"n": 3.0}
    assert json.loads(outputs[6]) == [{"path": "in/side", "is_dir": True}]
    assert "renamed" in outputs[-1]
    assert "Default" not in outputs[-1]
    with (shell.folder / "runs.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["run_id"], row["metrics.n"], row["params.n"]) == (run_id, "3.0", "3")
    assert row["tags.mlflow.project.entryPoint"] == "main"
    (downloaded,) = (shell.folder / "down").rglob("note.txt")
    assert downloaded.read_text() == "hello"


def test_a_registered_model_is_applied_to_a_file(shell):
    (shell.folder / "in.json").write_text(json.dumps(ROWS))
    files = ("-i", "in.json", "-o", "out.json", "-t", "json")
    shell.mlflow("models", "predict", "-m", "models:/times/1", "--env-manager", "local", *files)
    told = json.loads((shell.folder / "out.json").read_text())
    assert told == {"predictions": [{"x": 3.0}, {"x": 15.0}]}


def test_a_registered_model_is_served_by_mlflow(shell):
    port = free_port()
    serving = shell.start(
        *("models", "serve", "-m", "models:/times@champion", "--env-manager", "local"),
        *("--host", "127.0.0.1", "--port", str(port)),
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(
            lambda: serving.poll() is not None or answers(url),
            "mlflow serves the model",
            timeout_s=SERVING_TIMEOUT_S,
        )
        assert serving.poll() is None, (shell.folder / "started.log").read_text()
        told = httpx.post(f"{url}/invocations", json=ROWS, timeout=60)
        assert told.json() == {"predictions": [{"x": 3.0}, {"x": 15.0}]}
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(serving.pid, signal.SIGTERM)  # it has started a server of its own
        serving.wait(60)


def answers(url):
    try:
        return httpx.get(f"{url}/ping", timeout=10).status_code == 200
    except httpx.TransportError:
        return False

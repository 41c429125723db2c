"""A real server on a free port, and the two MLflow clients as users have them: in environments of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
SCRIPT_TIMEOUT_S = 240.0
CLIENTS = {"mlflow3": ROOT / ".venv/bin/python", "mlflow2": ROOT / ".venv-mlflow2/bin/python"}


@dataclass(frozen=True)
class RunningServer:
    url: str
    pid: int
    data: Path


def _started(process, ready_file):
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready_file.exists():
        assert process.poll() is None, "the server ended at once"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    return json.loads(ready_file.read_text())


@contextmanager
def lastgood_server(folder, *options):
    """`lastgood server`, as a user starts it."""
    ready_file, log = folder / "ready.json", (folder / "log").open("wb")
    command = [
        sys.executable,
        "-m",
        "lastgood",
        "server",
        "--port",
        "0",
        "--ready-file",
        ready_file,
    ]
    with (
        log,
        subprocess.Popen(
            [*command, *options, "--data", folder / "data"], stdout=log, stderr=log
        ) as process,
    ):
        try:
            ready = _started(process, ready_file)
            yield RunningServer(ready["url"], ready["pid"], folder / "data")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.nightly)]
)
def server(request, tmp_path_factory):
    """One for all tests that do not mind what others leave there."""
    options = ()
    if request.param == "postgresql":
        options = ("--store", request.getfixturevalue("postgresql").fresh())
    with lastgood_server(tmp_path_factory.mktemp("server"), *options) as running:
        yield running


def users_shell(home):
    """Nothing of ours or of the caller's settings: what a user's shell would have, and no waiting on errors."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONWARNINGS": "ignore",
    }


@pytest.fixture(params=sorted(CLIENTS))
def run_script(request, server, tmp_path):
    """Runs a script with one of the clients against the server; its output, once it ended well."""
    python = CLIENTS[request.param]
    assert python.exists(), f"{python} is missing; `make test` makes it"

    def run(script):
        done = subprocess.run(
            [python, script, server.url],
            cwd=tmp_path,
            env=users_shell(tmp_path),
            capture_output=True,
            text=True,
            timeout=SCRIPT_TIMEOUT_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run

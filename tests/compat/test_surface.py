"""The edges of MLflow's surface with its own client: prompts, webhooks, what is left out, and nothing forgotten."""

import json
import subprocess
from pathlib import Path

import pytest

from conftest import CLIENTS, SCRIPT_TIMEOUT_S, users_shell
from lastgood.api.mlflow.left_out import family_of
from lastgood.api.mlflow.routes import mlflow_routes

SCRIPTS = Path(__file__).parent / "scripts"
NO_CALLS = {"/", "/health", "/static-files/x", "/build/x", "/docs", "/redoc", "/openapi.json"}
"""MLflow's own pages, and /health, which the server answers before it looks at any table."""
WRITTEN_WRONG = "0mlflow/"
"""MLflow serves `/api/2.0mlflow/experiments/search-datasets` too: a slash is missing in its source."""


def run(script, tmp_path, *arguments):
    done = subprocess.run(
        [CLIENTS["mlflow3"], SCRIPTS / script, *arguments],
        cwd=tmp_path,
        env=users_shell(tmp_path) | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7"},  # as it is by default
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_prompts(server, tmp_path):
    assert "all checks passed" in run("prompts.py", tmp_path, server.url).stdout


@pytest.mark.slow
def test_webhooks(server, tmp_path):
    assert "all checks passed" in run("webhooks.py", tmp_path, server.url).stdout


@pytest.mark.slow
def test_what_is_left_out_does_not_stop_a_script(server, tmp_path):
    done = run("left_out.py", tmp_path, server.url)
    assert "all checks passed" in done.stdout
    warned = [line for line in done.stderr.splitlines() if "Failed to send trace" in line]
    assert warned, done.stderr  # it says so
    assert all("lastgood does not offer MLflow's traces" in line for line in warned)


@pytest.mark.slow
def test_no_call_of_mlflow_is_forgotten(tmp_path):
    """Each of its server's endpoints is answered, or left out on purpose with a reason."""
    listed = run("list_endpoints.py", tmp_path).stdout.partition("ENDPOINTS ")[2]
    endpoints = [
        (method, path.replace("/ajax-api/", "/api/")) for method, path in json.loads(listed)
    ]
    assert len(endpoints) > 500
    routes = mlflow_routes()
    forgotten = {
        (method, path)
        for method, path in endpoints
        if method not in {"HEAD", "OPTIONS"}
        and path not in NO_CALLS
        and WRITTEN_WRONG not in path
        and routes.find(method, path) is None
        and family_of(path) is None
    }
    assert forgotten == set()

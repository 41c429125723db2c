"""MLflow's server beside ours: the real one, in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from fault_processes import eventually, free_port

__all__ = ["MLFLOW", "mlflow_server"]

MLFLOW = "3.17.2"
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[int]:
    """`mlflow server` with its defaults on an empty store; the port on which it listens."""
    port = free_port()
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
        # As ours is on this machine; the tests' webhooks lead nowhere and are never told anything.
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    artifacts = ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", *store, *artifacts],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=kept | quiet,
        )
    try:
        eventually(
            lambda: process.poll() is not None or _answers(port),
            "mlflow server is ready",
            timeout_s=START_TIMEOUT_S,
        )
        assert process.poll() is None, (folder / "log").read_text()
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False

"""Servers, gateways and models for the tests of faults: real processes, started as a user starts them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings

import httpx

PATIENCE_S = 90.0
LASTGOOD = [sys.executable, "-m", "lastgood"]
ROWS = {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}

MODEL_CODE = """
import time
import mlflow.pyfunc
from mlflow.models import set_model


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        if {fault!r} == "load":
            raise RuntimeError("no such lexicon: de_core")

    def predict(self, context, model_input, params=None):
        if {fault!r} == "warm-up":
            raise ValueError("column tenure is missing")
        time.sleep({delay_s})
        return ["{name}"] * len(model_input)


set_model(Model())
"""


def environment():
    """What a user's shell would have; nothing of the caller's settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("LASTGOOD_")}
    return kept | {"MLFLOW_DISABLE_TELEMETRY": "true", "LASTGOOD_ACTOR": "ann"}


def eventually(condition, what, *, timeout_s=PATIENCE_S):
    """Wait for what must come true; how fast is not asserted."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.03)
    return value


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_model(path, name, *, fault="", delay_s=0.0):
    """An MLflow model that answers its name, or that fails where it is told to."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc
        import pandas as pd

        code = path.parent / f"{path.name}.py"
        code.write_text(MODEL_CODE.format(name=name, fault="", delay_s=0))
        mlflow.pyfunc.save_model(
            path,
            python_model=str(code),
            pip_requirements=[],
            input_example=pd.DataFrame({"a": [1.0]}),
        )
    saved = path / code.name
    saved.write_text(MODEL_CODE.format(name=name, fault=fault, delay_s=delay_s))
    return path


class Process:
    """A long-running command with a ready file."""

    def __init__(self, folder, *arguments, prefix=()):
        folder.mkdir(exist_ok=True)
        self.ready = folder / "ready.json"
        self.ready.unlink(missing_ok=True)
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*prefix, *LASTGOOD, *map(str, arguments), "--ready-file", str(self.ready)],
                stdout=log,
                stderr=log,
                env=environment(),
            )
        eventually(
            lambda: self.ready.exists() or self.process.poll() is not None, f"{arguments} is ready"
        )
        assert self.process.poll() is None, self.log.read_text()
        announced = json.loads(self.ready.read_text())
        self.url, self.pid = announced["url"], announced["pid"]

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(30)

    def close(self):
        if self.process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()


class Server(Process):
    def __init__(self, folder, *, port=0, prefix=()):
        self.folder, self.data = folder, folder / "data"
        super().__init__(folder, "server", "--data", self.data, "--port", port, prefix=prefix)

    def run(self, *arguments):
        """A command against this server: exit code, standard output, standard error."""
        return run(*arguments, "--server", self.url)

    def json(self, *arguments):
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, out + err
        return json.loads(out)

    def live(self):
        """What `lastgood live` shows of production."""
        (view,) = (v for v in self.json("live")["live"] if v["ref"] == "production")
        return view

    def object_file(self, digest):
        hex_digits = digest.removeprefix("sha256:")
        return self.data / "objects" / "sha256" / hex_digits[:2] / hex_digits[2:]


class Gateway(Process):
    def __init__(self, folder, server, *, port=0, model="churn"):
        where = ("--server", server.url, "--cache-dir", folder / "cache", "--port", port)
        super().__init__(folder, "serve", f"{model}@production", *where)
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def status(self):
        return self.client.get("/status").json()

    def ask(self):
        return self.client.post("/invocations", json=ROWS)

    def wait_serving(self, version):
        eventually(
            lambda: (self.status()["active"] or {}).get("version") == version,
            f"version {version} serves",
        )
        return self

    def close(self):
        self.client.close()
        super().close()


class Stream:
    """Requests one after the other, in a thread, until the block ends; every answer is kept."""

    def __init__(self, gateway):
        self._url = gateway.url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.answers, self.broken = [], []

    def _ask(self):
        with httpx.Client(base_url=self._url, timeout=PATIENCE_S) as client:
            while not self._stop.wait(0.005):
                try:
                    answer = client.post("/invocations", json=ROWS)
                except httpx.HTTPError as error:
                    self.broken.append(repr(error))
                else:
                    version = answer.headers.get("x-lastgood-version")
                    self.answers.append((answer.status_code, version))

    @property
    def failed(self):
        return self.broken + [answer for answer in self.answers if answer[0] != 200]

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join(PATIENCE_S)


def run(*arguments):
    """A command, as typed: exit code, standard output, standard error."""
    done = subprocess.run(
        [*LASTGOOD, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(),
    )
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def damaged(path):
    """Flip one bit of a file, and put it right again."""
    right, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    try:
        yield
    finally:
        path.write_bytes(right)
        path.chmod(mode)

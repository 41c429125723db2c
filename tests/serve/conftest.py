import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from directory_feed import DirectoryFeed

from lastgood.core.ids import Digest

HERE = Path(__file__).parent
ROWS = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0]]}}
WAIT_S = 90.0

CUSTOM_MODEL = '''
import os, signal, time
import mlflow.pyfunc
from mlflow.models import set_model


class Custom(mlflow.pyfunc.PythonModel):
    """Does what the first cell of its input says."""

    def load_context(self, context):
        if {fails}:
            raise RuntimeError("this model does not want to be loaded")

    def predict(self, context, model_input, params=None):
        print("a model that prints must not disturb the protocol")
        what = str(model_input["do"].iloc[0])
        if what == "raise":
            raise KeyError("secret_path")
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if what.startswith("die-once:") and not os.path.exists(what[9:]):
            open(what[9:], "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        if what.startswith("sleep:"):
            time.sleep(float(what[6:]))
        if what == "object":
            return object()
        return ["{name}"] * len(model_input)


set_model(Custom())
'''


def eventually(condition: Callable[[], Any], what: str, *, timeout_s: float = WAIT_S) -> Any:
    """Wait for something that must come true; how fast is not asserted."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.02)
    return value


class RunningGateway:
    """A gateway process, steered like an operator would."""

    def __init__(self, root: Path, feed: DirectoryFeed, **options: Any) -> None:
        self.feed = feed
        self.ready_file = root / "ready.json"
        self.ready_file.unlink(missing_ok=True)
        self.log_path = root / "gateway.log"
        self.cache = root / "cache"
        given = {
            "feed": str(feed.root),
            "cache_dir": str(self.cache),
            "ready_file": str(self.ready_file),
            "port": 0,
        }
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "run_gateway.py"), json.dumps(given | options)],
                stderr=log,
                stdout=log,
            )

    def wait_listening(self) -> "RunningGateway":
        eventually(
            lambda: self.ready_file.exists() or self.process.poll() is not None, "gateway listens"
        )
        assert self.process.poll() is None, self.log_path.read_text()
        self.client = httpx.Client(
            base_url=json.loads(self.ready_file.read_text())["url"], timeout=90
        )
        return self

    def wait_serving(self, version: int, seq: int | None = None) -> "RunningGateway":
        def serves() -> bool:
            active = self.status()["active"]
            return bool(active) and active["version"] == version and seq in {None, active["seq"]}

        eventually(serves, f"version {version} serves\n{self.log_path.read_text()[-3000:]}")
        return self

    def status(self) -> dict[str, Any]:
        return self.client.get("/status").json()

    def ask(self, payload: Any = ROWS, **headers: str) -> httpx.Response:
        return self.client.post("/invocations", json=payload, headers=headers)

    def do(self, what: str, **headers: str) -> httpx.Response:
        return self.ask({"dataframe_split": {"columns": ["do"], "data": [[what]]}}, **headers)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def close(self) -> None:
        if hasattr(self, "client"):
            self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)


@pytest.fixture(scope="session")
def sklearn_models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Three versions of a model; version n answers n to every row."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.sklearn
        import pandas as pd
        from sklearn.dummy import DummyClassifier

        root = tmp_path_factory.mktemp("models")
        frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
        for version in (1, 2, 3):
            model = DummyClassifier(strategy="constant", constant=version).fit(
                frame, [version, version]
            )
            signature = mlflow.models.infer_signature(frame, model.predict(frame))
            mlflow.sklearn.save_model(
                model,
                root / str(version),
                signature=signature,
                input_example=frame,
                serialization_format="cloudpickle",
                pip_requirements=[],
            )
    return {version: root / str(version) for version in (1, 2, 3)}


@pytest.fixture(scope="session")
def custom_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes models that do what they are told, without signature; no two names are the same version."""
    root = tmp_path_factory.mktemp("custom")

    def make(name: str, *, fails: bool = False) -> Path:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        path = root / name
        if not path.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import mlflow.pyfunc

                code = root / f"{name}.py"
                code.write_text(CUSTOM_MODEL.format(name=name, fails=False))
                mlflow.pyfunc.save_model(path, python_model=str(code), pip_requirements=[])
                saved = path / f"{name}.py"
                saved.write_text(CUSTOM_MODEL.format(name=name, fails=fails))
        return path

    return make


@pytest.fixture
def feed(tmp_path: Path) -> DirectoryFeed:
    return DirectoryFeed(tmp_path / "registry")


@pytest.fixture
def gateway(tmp_path: Path, feed: DirectoryFeed) -> Iterator[Callable[..., RunningGateway]]:
    """Starts gateways over the test's feed and ends them."""
    started: list[RunningGateway] = []

    def start(name: str = "gateway", **options: Any) -> RunningGateway:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        started.append(RunningGateway(root, feed, **options))
        return started[-1]

    yield start
    for running in started:
        running.close()


def digests(feed: DirectoryFeed, models: dict[int, Path]) -> dict[int, Digest]:
    return {version: feed.add_model(path) for version, path in models.items()}

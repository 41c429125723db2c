"""Where the time of `log_model` and `load_model` goes: in the client, or in requests to the server.

    python benchmarks/client_time.py [--rounds 3]

A script like a user's runs in a fresh process, against mlflow server and lastgood server in turns. Time inside of
requests is the time during which at least one is under way, its body included; the rest is the client's own.
A first round, in which the servers warm up, does not count.
Results go to benchmarks/results/client_time.json and client_time.md.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from vs_mlflow import RESULTS, free_port, lastgood_command, mlflow_command, running

CHILD_TIMEOUT_S = 600.0
SERVERS = ("mlflow", "lastgood")
LABELS = {
    "import": "`import mlflow.sklearn`",
    "run": "`start_run`, 1 parameter, 1 metric",
    "log_model": "`log_model(registered_model_name=…)`",
    "log_model pinned": "the same with `pip_requirements=[…]`",
    "register_path": "`save_model(pip_requirements=[…])`, then `lastgood.sdk.register_path`",
    "load_model": "`load_model(models:/…@champion)`",
}


# --- the script of a user, in a process of its own ---------------------------------------------------


class Requests:
    """Notes when requests were under way, whoever in this process sends them with `requests` or `httpx`."""

    def __init__(self) -> None:
        self.spans: list[tuple[float, float]] = []
        self.sent = 0
        self._lock = threading.Lock()

    def watch(self) -> None:
        import httpx
        import requests

        self._wrap(requests.adapters.HTTPAdapter, "send")
        self._wrap(httpx.HTTPTransport, "handle_request")
        read = requests.Response.iter_content

        def iter_content(response, *arguments, **options):
            chunks = read(response, *arguments, **options)
            while True:
                with self._noted(count=False):
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                yield chunk

        requests.Response.iter_content = iter_content

    def _wrap(self, owner: type, name: str) -> None:
        original = getattr(owner, name)

        def noted(*arguments, **options):
            with self._noted():
                return original(*arguments, **options)

        setattr(owner, name, noted)

    @contextmanager
    def _noted(self, *, count: bool = True):
        began = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self.spans.append((began, time.monotonic()))
                self.sent += count

    def within(self, began: float, ended: float) -> float:
        """Seconds of that time in which a request was under way."""
        covered, reached = 0.0, began
        for start, end in sorted(self.spans):
            since, until = max(start, reached), min(end, ended)
            if until > since:
                covered, reached = covered + until - since, until
        return covered


def child(url: str, kind: str) -> None:
    watched, steps = Requests(), {}

    @contextmanager
    def step(name: str):
        began, sent, cpu = time.monotonic(), watched.sent, sum(os.times()[:4])
        yield
        ended = time.monotonic()
        steps[name] = {
            "total_s": ended - began,
            "requests_s": watched.within(began, ended),
            "requests": watched.sent - sent,
            "cpu_s": sum(os.times()[:4]) - cpu,  # with the processes that it started and that ended
        }

    with step("import"):
        import mlflow.sklearn
        from mlflow import MlflowClient
        from sklearn.datasets import load_iris
        from sklearn.ensemble import RandomForestClassifier
    watched.watch()
    data = load_iris(return_X_y=True)
    model = RandomForestClassifier(n_estimators=40, random_state=0, n_jobs=1).fit(*data)
    mlflow.set_tracking_uri(url)
    name = f"timed-{time.time_ns()}"
    options = {"name": "model", "registered_model_name": name, "input_example": None}
    options |= {"serialization_format": "cloudpickle"}  # as the model was written before MLflow 3
    pinned = {"pip_requirements": ["scikit-learn"]}
    with mlflow.start_run():
        pass  # the first call of all makes the experiment and looks for Git
    with step("run"), mlflow.start_run():
        mlflow.log_param("depth", 3)
        mlflow.log_metric("auc", 0.9)
    with mlflow.start_run():
        with step("log_model"):
            mlflow.sklearn.log_model(model, **options)
        with step("log_model pinned"):
            mlflow.sklearn.log_model(model, **options, **pinned)
    MlflowClient().set_registered_model_alias(name, "champion", "2")
    with step("load_model"):
        mlflow.sklearn.load_model(f"models:/{name}@champion")
    if kind == "lastgood":
        from lastgood.sdk import RemoteRegistry, register_path

        with (
            tempfile.TemporaryDirectory() as folder,
            RemoteRegistry(url, actor="ann") as registry,
            step("register_path"),
        ):
            path = Path(folder) / "model"
            mlflow.sklearn.save_model(
                model, path, serialization_format="cloudpickle", input_example=None, **pinned
            )
            register_path(registry, path, model=f"{name}-sdk", caller=registry.caller())
    print(json.dumps(steps))


# --- both servers, in turns --------------------------------------------------------------------------


def run_child(url: str, kind: str, folder: Path) -> dict:
    done = subprocess.run(
        [sys.executable, __file__, "--child", url, "--kind", kind],
        cwd=folder,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    if done.returncode != 0:
        sys.exit(f"the script failed against {kind}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def medians(rounds: list[dict]) -> dict:
    return {
        step: {
            key: statistics.median(r[step][key] for r in rounds)
            for key in ("total_s", "requests_s", "requests", "cpu_s")
        }
        for step in rounds[0]
    }


def markdown(report: dict) -> str:
    lines = [
        "# The client's time and the server's",
        "",
        f"{report['date']}, {report['machine']}, load {report['load']:.1f}; mlflow {report['mlflow']} as client and as "
        f"server, lastgood {report['lastgood']}, Python {report['python']}; medians of {report['rounds']} fresh processes "
        "for each server, in turns.",
        "Made by benchmarks/client_time.py. Seconds; *in requests* is the time in which at least one request was under way.",
        "CPU time counts the processes that the client starts; it depends little on what else the machine does.",
        "",
        "| step | server | total s | in requests s | client's own s | share of the client | requests | client's CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for step, label in LABELS.items():
        for server in SERVERS:
            if found := report["steps"][server].get(step):
                own = found["total_s"] - found["requests_s"]
                lines.append(
                    f"| {label} | {server} | {found['total_s']:.2f} | {found['requests_s']:.3f} | {own:.2f} | "
                    f"{100 * own / found['total_s']:.0f} % | {found['requests']:.0f} | {found['cpu_s']:.2f} |"
                )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--kind", choices=SERVERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.kind)
        return
    found: dict[str, list] = {server: [] for server in SERVERS}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, urls = Path(name), {}
        for server, command in zip(SERVERS, (mlflow_command, lastgood_command), strict=True):
            port = free_port()
            stack.enter_context(running(server, command(folder, port), port, folder))
            urls[server] = f"http://127.0.0.1:{port}"
        for index in range(options.rounds + 1):
            for server in SERVERS:
                told = run_child(urls[server], server, folder)
                print(f"round {index}, {server}: {told}", flush=True)
                if index:
                    found[server].append(told)
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "load": os.getloadavg()[1],
        "python": platform.python_version(),
        "mlflow": version("mlflow"),
        "lastgood": version("lastgood"),
        "rounds": options.rounds,
        "steps": {server: medians(rounds) for server, rounds in found.items()},
        "every_round": found,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "client_time.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.output / "client_time.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

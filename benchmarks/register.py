"""Registering a model: MLflow's `log_model(registered_model_name=)` against `lastgood.log_model`.

    python benchmarks/register.py [--rounds 3] [--output DIR]

The same scikit-learn pipeline with the same input example, from fresh processes in turns, each against its own
server. The time is of the one call, the imports of mlflow and scikit-learn before it do not count; lastgood's
includes the capture of code, data and environment and the load test in a process of its own. In a run that process
imports mlflow while the training goes on; here the training is a sleep, so it has a core for itself.
Results go to benchmarks/results/register.json and register.md.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from vs_mlflow import RESULTS, free_port, lastgood_command, mlflow_command, running

CHILD_TIMEOUT_S = 600.0
TRAINING_S = 8.0
CALLS = {
    "mlflow": "MLflow `log_model(registered_model_name=…)`",
    "mlflow, cloudpickle": 'the same with `serialization_format="cloudpickle"`',
    "lastgood": "`lastgood.log_model(…)`, with capture and load test",
    "in a run": f"`run.log_model(…)` after {TRAINING_S:g} s of training in `lastgood.run()`, with capture and load test",
    "in a run, cloudpickle": 'the same with `serialization_format="cloudpickle"`',
    "no load test": "`lastgood.log_model(…)` with `load_test=False`",
    "capture": "the capture alone, again in the same process",
}
CHILD = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
kind, url, training_s = sys.argv[1:]
import mlflow.sklearn
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rows = pd.DataFrame(np.random.default_rng(7).normal(size=(500, 6)), columns=list("abcdef"))
model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0)).fit(rows, (rows.a > 0).astype(int))
found = {}
if kind.startswith("mlflow"):
    more = {"serialization_format": "cloudpickle"} if kind.endswith("cloudpickle") else {}
    mlflow.set_tracking_uri(url)
    mlflow.set_experiment("register")
    with mlflow.start_run():
        began = time.perf_counter()
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name="churn", input_example=rows[:5], **more
        )
        found[kind] = time.perf_counter() - began
else:
    import lastgood
    from pathlib import Path
    from lastgood.core.manifest import Environment
    from lastgood.sdk.capture import Surroundings, capture
    given = {"input_example": rows[:5], "load_test": kind != "no load test"}
    if kind == "in a run, cloudpickle":
        given["save_options"] = {"serialization_format": "cloudpickle"}
    if kind.startswith("in a run"):
        with lastgood.run(registry=url) as run:
            time.sleep(float(training_s))
            began = time.perf_counter()
            run.log_model(model, "churn", **given)
            found[kind] = time.perf_counter() - began
    else:
        began = time.perf_counter()
        lastgood.log_model(model, "churn", registry=url, **given)
        found[kind] = time.perf_counter() - began
    began = time.perf_counter()
    capture(Path("."), Surroundings(), declared=Environment())
    found["capture"] = time.perf_counter() - began
print(json.dumps(found))
"""


def measure(kind: str, url: str) -> dict[str, float]:
    """One call in a fresh process; what it took, in seconds."""
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "LASTGOOD_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", CHILD, kind, url, str(TRAINING_S)],
        env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        timeout=CHILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{kind} failed:\n{done.stderr.decode()[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def markdown(report: dict) -> str:
    """The report as a page."""
    medians = {k: statistics.median(v) for k, v in report["seconds"].items()}
    lines = [
        "# Registering a model",
        "",
        f"{report['machine']}, Python {report['python']}, mlflow {report['mlflow']}; median of "
        f"{report['rounds']} fresh processes; load average {report['load']:.1f} on {report['cores']} cores.",
        "",
        "| call | seconds | MLflow takes |",
        "|---|---:|---:|",
    ]
    for kind, label in CALLS.items():
        ratio = f"{medians['mlflow'] / medians[kind]:.1f}x" if kind != "capture" else ""
        lines.append(f"| {label} | {medians[kind]:.3f} | {ratio} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure in turns and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        ports = free_port(), free_port()
        theirs, ours = mlflow_command(folder, ports[0]), lastgood_command(folder, ports[1])
        with (
            running("mlflow", theirs, ports[0], folder) as one,
            running("lastgood", ours, ports[1], folder) as other,
        ):
            for _ in range(options.rounds):
                for kind in list(CALLS)[:-1]:
                    port = one.port if kind.startswith("mlflow") else other.port
                    for name, took in measure(kind, f"http://127.0.0.1:{port}").items():
                        seconds.setdefault(name, []).append(took)
    report = {
        "machine": platform.platform(),
        "python": platform.python_version(),
        "mlflow": version("mlflow"),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[1],
        "rounds": options.rounds,
        "seconds": seconds,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "register.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.output / "register.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

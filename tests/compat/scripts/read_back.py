"""Prints, as JSON, all that a client can read back from one experiment and the models named after it.

    python read_back.py EXPERIMENT

Ids, times and paths of the machine are replaced by words, so that two servers can be compared.
"""

import hashlib
import json
import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType

client = MlflowClient()
experiment = client.get_experiment_by_name(sys.argv[1])
runs, token = [], None
while True:
    page = client.search_runs(
        [experiment.experiment_id], run_view_type=ViewType.ALL, max_results=5, page_token=token
    )
    runs += page
    if not (token := page.token):
        break
by_id = {run.info.run_id: run for run in runs}
MADE_UP = re.compile(r"[a-z]+-[a-z]+-\d+")  # a name that the client invents for a run without one


def line(run):
    """A run's place: its parents' names and parameters, then its own. Times are not in the order of two servers."""
    parent = by_id.get(run.data.tags.get("mlflow.parentRunId"))
    own = MADE_UP.sub("*", run.info.run_name), json.dumps(run.data.params, sort_keys=True)
    return [*(line(parent) if parent else []), own]


runs.sort(key=line)
words = {run.info.run_id: f"run-{index}" for index, run in enumerate(runs)}
MODEL_ID = re.compile(r"\bm-[0-9a-f]{32}\b")
DIGITS = re.compile(r"\b[0-9a-f]{32,64}\b")
# What a machine, a moment or chance decides; the name of the tag or field stays, with this word.
CHANCE = re.compile(r"time|uuid|mlflow\.(user|source\.name)|system/")
# Files that hold times, ids or compressed pictures: their sizes vary.
VARIES = ("MLmodel", ".pkl", ".json", ".png", ".bin", ".ubj", ".html", "cv_results.csv")


def plain(value, key=""):
    """A value without what differs from run to run."""
    if isinstance(value, dict):
        return {k: plain(v, k) for k, v in sorted(value.items())}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(v, key) for v in value]
    if CHANCE.search(key):
        return "*"
    if isinstance(value, float):
        return str(value) if not math.isfinite(value) else float(f"{value:.9g}")
    return plain_text(value, key) if isinstance(value, str) else value


def plain_text(text, key):
    """The same for a text, which may hold JSON."""
    if key == "mlflow.modelVersions":
        # MLflow's server notes a version beside the client's note of the same, as a number.
        return sorted({f"{v['name']}/{v['version']}" for v in json.loads(text)})
    if text[:1] in {"[", "{"}:
        try:
            return plain(json.loads(text), key)
        except ValueError:
            pass
    if key == "experiment_id":
        return "experiment"
    if MADE_UP.fullmatch(text):
        return "*"
    for known, word in words.items():
        text = text.replace(known, word)
    text = MODEL_ID.sub("m-*", text)
    text = re.sub(r"mlflow-artifacts:/\d+/", "mlflow-artifacts:/experiment/", text)
    return DIGITS.sub("*", text)


def tree(run_id, path=None):
    """Paths below; sizes too where no time or id stands in the file."""
    found = []
    for entry in client.list_artifacts(run_id, path):
        name = re.sub(r"timestamp(.)\d{13}.\w?[0-9a-f-]{35,36}", r"timestamp\1*", entry.path)
        if entry.is_dir:
            found += [name + "/", *tree(run_id, entry.path)]
        else:
            # MLflow leaves the size out where it is 0.
            size = "" if name.endswith(VARIES) else f" {entry.file_size or 0}"
            found.append(f"{name}{size}")
    return sorted(found)


def history(run_id, key):
    """Steps and values; a digest of many."""
    points = [(m.step, plain(m.value)) for m in client.get_metric_history(run_id, key)]
    if CHANCE.search(key):
        return "*"
    text = json.dumps(points)
    return points if len(points) < 30 else [len(points), hashlib.sha256(text.encode()).hexdigest()]


def run_back(run):
    """One run, as `get_run` and its neighbours tell it."""
    again = client.get_run(run.info.run_id)
    inputs = [
        {
            "tags": {t.key: t.value for t in i.tags},
            "dataset": {k: v for k, v in dict(i.dataset).items() if k != "digest"},
            "digest": i.dataset.digest,
        }
        for i in (again.inputs.dataset_inputs if again.inputs else [])
    ]
    models = getattr(getattr(again, "outputs", None), "model_outputs", None) or []
    return {
        "info": plain({k: v for k, v in dict(again.info).items() if k != "user_id"}),
        "user": bool(again.info.user_id),
        "params": plain(again.data.params),
        "metrics": plain(again.data.metrics),
        "same as in the search": dict(run.data.metrics).keys() == dict(again.data.metrics).keys()
        and run.data.params == again.data.params
        and run.data.tags == again.data.tags,
        "history": {k: history(run.info.run_id, k) for k in sorted(again.data.metrics)},
        "tags": plain(again.data.tags),
        "inputs": sorted((plain(i) for i in inputs), key=json.dumps),
        "outputs": len(models),
        "artifacts": tree(run.info.run_id),
    }


def version_back(version):
    """One version with what it holds."""
    told = dict(version)
    told.pop("user_id", None)
    told.pop("model_id", None)
    source, uri = (
        told.pop("source"),
        client.get_model_version_download_uri(version.name, version.version),
    )
    files = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
    kept = sorted(str(f.relative_to(files)) for f in files.rglob("*") if f.is_file())
    return plain({k: v for k, v in told.items() if k not in {"metrics", "params"}}) | {
        "source": plain(source).split("/")[0],
        "has bytes": bool(uri),
        "files": kept,
    }


def models_back():
    """Registered models named after the experiment, with all their versions."""
    found = {}
    for model in client.search_registered_models(
        f"name LIKE '{sys.argv[1]}%'", order_by=["name ASC"]
    ):
        told = dict(client.get_registered_model(model.name))
        versions = client.search_model_versions(
            f"name = '{model.name}'", order_by=["version_number ASC"]
        )
        latest = told.pop("latest_versions")
        found[model.name] = {
            "model": plain(told),
            "latest": {v.current_stage: str(v.version) for v in latest},
            "versions": [
                version_back(client.get_model_version(v.name, v.version)) for v in versions
            ],
        }
    return found


def logged_back():
    """Logged models of MLflow 3."""
    if mlflow.__version__.startswith("2."):
        return []
    models = client.search_logged_models(
        [experiment.experiment_id], order_by=[{"field_name": "creation_time"}]
    )
    return [
        {
            "name": m.name,
            "type": m.model_type,
            "status": str(m.status),
            "run": words[m.source_run_id] if m.source_run_id else None,
            "params": plain(m.params),
            "tags": plain(m.tags),
            "metrics": sorted((v.key, plain(v.value), v.step) for v in m.metrics or []),
        }
        for m in models
    ]


frame = mlflow.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
print(
    json.dumps(
        {
            "runs": [run_back(run) for run in runs],
            "columns": sorted(frame.columns),
            "rows": len(frame),
            "models": models_back(),
            "logged models": logged_back(),
        },
        default=repr,
    )
)

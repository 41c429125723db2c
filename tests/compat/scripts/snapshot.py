"""Everything that MLflow's client shows of a store, as JSON: python snapshot.py TRACKING_URI."""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import ViewType
from mlflow.tracking._model_registry.client import ModelRegistryClient

URI = sys.argv[1]
client = MlflowClient(URI, URI)
registry = ModelRegistryClient(URI, URI)  # as `client`, but it does not hide prompts
PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"


def files(address):
    """Path and digest of every file at an address; None if it is not there."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            root = Path(download_artifacts(address, dst_path=folder, tracking_uri=URI))
        except Exception as error:  # each storage has its own for "there is nothing"
            return None if "s3" not in address else type(error).__name__
        return {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob("*")
            if path.is_file()
        } or None


def points(run):
    return {
        key: sorted(
            (m.timestamp, m.step, repr(m.value))
            for m in client.get_metric_history(run.info.run_id, key)
        )
        for key in run.data.metrics
    }


def run_shape(run):
    info = run.info
    return {
        "experiment": info.experiment_id,
        "name": info.run_name,
        "user": info.user_id,
        "status": info.status,
        "start": info.start_time,
        "end": info.end_time,
        "lifecycle": info.lifecycle_stage,
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": {key: repr(value) for key, value in run.data.metrics.items()},
        "points": points(run),
        "datasets": sorted(
            json.dumps([dict(d.dataset), {t.key: t.value for t in d.tags}], sort_keys=True)
            for d in run.inputs.dataset_inputs
        ),
        "outputs": sorted(
            (o.model_id, o.step) for o in (run.outputs.model_outputs if run.outputs else ())
        ),
        "files": files(info.artifact_uri),
    }


def model_shape(model):
    return {
        "experiment": model.experiment_id,
        "name": model.name,
        "type": model.model_type or "",
        "run": model.source_run_id or "",
        "status": str(model.status),
        "created": model.creation_timestamp,
        "changed": model.last_updated_timestamp,
        "tags": model.tags,
        "params": model.params,
        "metrics": [
            (m.key, repr(m.value), m.timestamp, m.step, m.run_id) for m in model.metrics or ()
        ],
        "files": files(model.artifact_location),
    }


def version_shape(version):
    address = registry.get_model_version_download_uri(version.name, version.version)
    return {
        "created": version.creation_timestamp,
        "changed": version.last_updated_timestamp,
        "description": version.description or "",
        "stage": version.current_stage,
        "source": version.source,
        "run": version.run_id or "",
        "link": version.run_link or "",
        "status": version.status,
        "tags": version.tags,
        "aliases": sorted(version.aliases),
        "files": None if "s3:" in address else files(address),
    }


def registered_shape(name, kind):
    model = registry.get_registered_model(name)
    text = f"name='{name}'" + (f" AND {PROMPTS}" if kind == "prompt" else "")
    return {
        "kind": kind,
        "created": model.creation_timestamp,
        "changed": model.last_updated_timestamp,
        "description": model.description or "",
        "tags": model.tags,
        "aliases": {a: int(v) for a, v in model.aliases.items()},
        "latest": {v.current_stage: int(v.version) for v in model.latest_versions},
        "versions": {
            str(v.version): version_shape(registry.get_model_version(name, v.version))
            for v in registry.search_model_versions(text)
        },
    }


experiments = client.search_experiments(view_type=ViewType.ALL)
ids = [e.experiment_id for e in experiments]
shown = {
    "experiments": {
        e.experiment_id: [e.name, e.lifecycle_stage, e.creation_time, e.last_update_time, e.tags]
        for e in experiments
    },
    "runs": {
        run.info.run_id: run_shape(run)
        for run in client.search_runs(ids, run_view_type=ViewType.ALL)
    },
    "logged_models": {
        m.model_id: model_shape(m) for m in client.search_logged_models(experiment_ids=ids)
    },
    "models": {
        m.name: registered_shape(m.name, kind)
        for kind, text in (("model", None), ("prompt", PROMPTS))
        for m in registry.search_registered_models(filter_string=text)
    },
}
print(json.dumps(shown, sort_keys=True))

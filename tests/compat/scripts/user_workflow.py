"""What users of MLflow do in a week, with nothing but the mlflow client; run by tests/compat.

    python user_workflow.py http://127.0.0.1:5000

Stops with a traceback at the first answer that differs from what MLflow's users are used to.
"""

import math
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

STAMP = time.time_ns()
MODEL = f"iris-{STAMP}"
VERSION_2 = mlflow.__version__.startswith("2.")
passed = []


def expect(truth, what):
    if not truth:
        raise AssertionError(what)
    passed.append(what)


def refused(call, phrase):
    try:
        call()
    except MlflowException as error:
        expect(phrase in str(error), f"{phrase!r} in {error}")
    else:
        raise AssertionError(f"accepted, expected: {phrase}")


def experiments(client):
    name = f"lab-{STAMP}"
    number = client.create_experiment(name, tags={"team": "growth"})
    expect(client.get_experiment(number).tags["team"] == "growth", "tags of an experiment")
    expect(client.get_experiment_by_name("no such experiment") is None, "an unknown name is None")
    refused(lambda: client.create_experiment(name), "already exists")
    client.set_experiment_tag(number, "team", "risk")
    found = client.search_experiments(filter_string=f"name = '{name}' AND tags.team = 'risk'")
    expect([e.experiment_id for e in found] == [number], "search_experiments")
    client.rename_experiment(number, f"{name}-renamed")
    client.delete_experiment(number)
    refused(lambda: client.create_run(number), "must be in the 'active' state")
    client.restore_experiment(number)
    return number


def logging(client, number):
    run = client.create_run(number, run_name="first", tags={"stage": "dev"})
    run_id = run.info.run_id
    now = int(time.time() * 1000)
    points = [Metric("loss", 1.0 / (step + 1), now + step, step) for step in range(1000)]
    client.log_batch(run_id, metrics=points)
    client.log_batch(
        run_id,
        metrics=[Metric("nan", math.nan, now, 0), Metric("inf", math.inf, now, 0)],
        params=[Param(f"p{i}", str(i)) for i in range(100)],
        tags=[RunTag("reviewed", "yes")],
    )
    client.log_batch(run_id, metrics=points[:10])  # as after a lost answer
    data = client.get_run(run_id).data
    expect(data.metrics["loss"] == 0.001, "the latest metric")
    expect(math.isnan(data.metrics["nan"]) and data.metrics["inf"] > 1e308, "NaN and infinity")
    expect(len(data.params) == 100 and data.tags["reviewed"] == "yes", "a batch")
    history = client.get_metric_history(run_id, "loss")
    expect([m.step for m in history] == list(range(1000)), "the whole history, each point once")
    refused(lambda: client.log_param(run_id, "p1", "other"), "Changing param values is not allowed")
    refused(lambda: client.log_metric(run_id, "a//b", 1.0), "must not resolve to other names")
    client.delete_tag(run_id, "reviewed")
    refused(lambda: client.delete_tag(run_id, "reviewed"), "No tag with name")
    client.update_run(run_id, status="FAILED", name="renamed")
    info = client.get_run(run_id).info
    expect((info.status, info.run_name) == ("FAILED", "renamed"), "update_run")
    client.delete_run(run_id)
    refused(lambda: client.set_tag(run_id, "a", "b"), "must be in the 'active' state")
    client.restore_run(run_id)
    refused(lambda: client.get_run("0" * 32), "not found")


def searching(client, number):
    for depth in range(7):
        run = client.create_run(number, tags={"sweep": str(STAMP)})
        client.log_metric(run.info.run_id, "auc", 0.5 + depth / 100)
        client.log_param(run.info.run_id, "depth", depth)
    where = f"tags.sweep = '{STAMP}'"
    runs = client.search_runs([number], where, order_by=["metrics.auc DESC"], max_results=3)
    expect([r.data.params["depth"] for r in runs] == ["6", "5", "4"], "the best three")
    rest = client.search_runs(
        [number], where, order_by=["metrics.auc DESC"], max_results=100, page_token=runs.token
    )
    expect([r.data.params["depth"] for r in rest] == ["3", "2", "1", "0"], "the rest, by token")
    one = client.search_runs([number], f"{where} AND metrics.auc > 0.545 AND params.depth != '6'")
    expect([r.data.params["depth"] for r in one] == ["5"], "a filter of three clauses")
    frame = mlflow.search_runs([number], filter_string=where)
    expect(len(frame) == 7 and "metrics.auc" in frame, "search_runs as a table")
    refused(lambda: client.search_runs([number], "metrics.auc >"), "Invalid clause")


def artifacts(client, number):
    with mlflow.start_run(experiment_id=number) as run, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sub folder").mkdir()
        (Path(folder) / "sub folder" / "ünï.txt").write_text("hello", encoding="utf-8")
        (Path(folder) / "empty.bin").write_bytes(b"")
        mlflow.log_artifacts(folder, "files")
        mlflow.log_dict({"a": [1, 2]}, "config/a.json")
        frame = pd.DataFrame({"x": [1.0, 2.0]})
        mlflow.log_input(mlflow.data.from_pandas(frame, name="points"), context="training")
    run_id = run.info.run_id
    listed = {(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(run_id, "files")}
    expect(
        listed == {("files/empty.bin", False, 0), ("files/sub folder", True, None)},
        f"a listing: {listed}",
    )
    back = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="files"))
    expect(
        (back / "sub folder" / "ünï.txt").read_text(encoding="utf-8") == "hello",
        "a folder comes back",
    )
    uri = f"{run.info.artifact_uri}/config/a.json"
    expect(mlflow.artifacts.load_dict(uri) == {"a": [1, 2]}, "a dictionary comes back")
    expect(client.list_artifacts(run_id, "nothing") == [], "an unknown folder is empty")
    inputs = client.get_run(run_id).inputs.dataset_inputs
    expect([i.dataset.name for i in inputs] == ["points"], "datasets")
    expect(inputs[0].tags[0].value == "training", "the context of a dataset")


def models(client, number):
    x, y = load_iris(return_X_y=True)
    fitted = [LogisticRegression(C=c, max_iter=500).fit(x, y) for c in (0.01, 1.0)]
    options = {"pip_requirements": ["scikit-learn"], "serialization_format": "cloudpickle"}
    for model in fitted:
        with mlflow.start_run(experiment_id=number):
            mlflow.log_metric("accuracy", model.score(x, y))
            mlflow.sklearn.log_model(
                model, artifact_path="model", registered_model_name=MODEL, **options
            )
    client.update_model_version(MODEL, "1", description="the plain one")
    client.set_model_version_tag(MODEL, "2", "checked", "yes")
    client.set_registered_model_alias(MODEL, "champion", "1")
    version = client.get_model_version_by_alias(MODEL, "champion")
    expect((str(version.version), version.description) == ("1", "the plain one"), "an alias")
    expect(client.get_model_version(MODEL, "2").tags == {"checked": "yes"}, "tags of a version")
    for alias, model in (("champion", fitted[0]), ("champion", fitted[1])):
        number = "1" if model is fitted[0] else "2"
        client.set_registered_model_alias(MODEL, alias, number)
        loaded = mlflow.pyfunc.load_model(f"models:/{MODEL}@{alias}")
        expect((loaded.predict(x) == model.predict(x)).all(), f"version {number} by alias")
    client.transition_model_version_stage(MODEL, "1", "Production")
    client.transition_model_version_stage(MODEL, "2", "Production", archive_existing_versions=True)
    stages = {v.version: v.current_stage for v in client.search_model_versions(f"name = '{MODEL}'")}
    expect({str(k): v for k, v in stages.items()} == {"1": "Archived", "2": "Production"}, "stages")
    refused(lambda: client.get_registered_model("no such model"), "not found")
    if not VERSION_2:
        run_id = client.get_model_version(MODEL, "2").run_id
        (logged,) = mlflow.search_logged_models(
            [number_of(client, run_id)], f"source_run_id = '{run_id}'", output_format="list"
        )
        expect(logged.metrics[0].key == "accuracy", "the run's metrics are the model's")
        expect(str(logged.status).endswith("READY"), "a logged model is ready")


def number_of(client, run_id):
    return client.get_run(run_id).info.experiment_id


def main(uri):
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    number = experiments(client)
    for part in (logging, searching, artifacts, models):
        part(client, number)
    print(f"user workflow: {len(passed)} checks passed")


if __name__ == "__main__":
    main(sys.argv[1])

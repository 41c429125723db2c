"""Nested runs, resumed runs, asynchronous logging, system metrics, searches between parents and children."""

import time
from concurrent.futures import ThreadPoolExecutor

import mlflow
from mlflow.tracking import MlflowClient

experiment = mlflow.set_experiment("nested_and_async")
client = MlflowClient()

with mlflow.start_run(
    run_name="parent", tags={"sweep": "a"}, description="what a sweep is"
) as parent:
    mlflow.log_params({"folds": 3})
    for fold in range(3):
        with mlflow.start_run(run_name=f"fold {fold}", nested=True):
            mlflow.log_param("fold", fold)
            for step in range(5):
                mlflow.log_metric("loss", 1 / (1 + step + fold), step=step)
            with mlflow.start_run(run_name="inner", nested=True):
                mlflow.log_metrics({"a": 1.0, "b": -0.0})

found = client.search_runs(
    [experiment.experiment_id],
    f"tags.mlflow.parentRunId = '{parent.info.run_id}' and metrics.loss < 0.19",
    order_by=["metrics.loss ASC"],
)
assert [r.data.params["fold"] for r in found] == ["2", "1"], found
assert len(client.search_runs([experiment.experiment_id], "tags.mlflow.parentRunId != ''")) == 6

# resumed by id: the run goes back to RUNNING and ends anew
with mlflow.start_run(run_id=parent.info.run_id):
    assert client.get_run(parent.info.run_id).info.status == "RUNNING"
    mlflow.log_metric("loss", 0.5, step=9)
    mlflow.set_tag("sweep", "b")

# a run that fails
try:
    with mlflow.start_run(run_name="fails"):
        mlflow.log_metric("loss", float("nan"))
        raise RuntimeError("no data")
except RuntimeError:
    pass

# asynchronous, by call and by setting
with mlflow.start_run(run_name="async by call") as run:
    for step in range(300):
        mlflow.log_metric("m", float(step), step=step, synchronous=False)
    mlflow.log_param("p", "x" * 500, synchronous=False)
    mlflow.log_params({f"p{i}": i for i in range(150)}, synchronous=False)
    mlflow.set_tags({"t": "1", "u": "2"}, synchronous=False)
mlflow.flush_async_logging()
assert len(client.get_metric_history(run.info.run_id, "m")) == 300

mlflow.config.enable_async_logging(True)
with mlflow.start_run(run_name="async by setting") as run:
    for step in range(1100):
        mlflow.log_metrics({"m": float(step), "n": -float(step)}, step=step)
    mlflow.set_tag("t", "1")
mlflow.flush_async_logging()
mlflow.config.enable_async_logging(False)
assert [m.step for m in client.get_metric_history(run.info.run_id, "n")] == list(range(1100))

# system metrics
mlflow.set_system_metrics_sampling_interval(0.1)
mlflow.set_system_metrics_samples_before_logging(1)
with mlflow.start_run(run_name="system metrics", log_system_metrics=True) as run:
    time.sleep(1)
    mlflow.log_param("slept", "1")
metrics = client.get_run(run.info.run_id).data.metrics
assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= set(metrics)

# runs of a thread each


def worker(index):
    run = client.create_run(experiment.experiment_id, run_name=f"thread {index}")
    for step in range(20):
        client.log_metric(run.info.run_id, "m", index, step=step)
    client.set_terminated(run.info.run_id, "KILLED" if index % 2 else "FINISHED")


with ThreadPoolExecutor(4) as pool:
    list(pool.map(worker, range(8)))

deleted = client.search_runs([experiment.experiment_id], "attributes.run_name = 'thread 0'")[0]
client.delete_run(deleted.info.run_id)

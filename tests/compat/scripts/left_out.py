"""What MLflow 3 makes of the parts that are left out: an error at once, or a warning, and the run goes on."""

import sys
import time

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()
mlflow.set_experiment("left-out")


def refused(call, *args, code="NOT_IMPLEMENTED", **kwargs):
    try:
        call(*args, **kwargs)
    except MlflowException as error:
        found = error
    else:
        raise AssertionError("not refused")
    assert found.error_code == code, found
    return str(found)


# Traced code inside and outside of a run works; only the export fails, and says so once.
@mlflow.trace
def work(n):
    with mlflow.start_span("inner"):
        return n + 1


with mlflow.start_run() as run:
    assert work(1) == 2
    mlflow.log_metric("m", 1.0)
assert work(2) == 3
mlflow.flush_trace_async_logging()
assert client.get_run(run.info.run_id).data.metrics == {"m": 1.0}
assert client.get_run(run.info.run_id).info.status == "FINISHED"

# Autologging while tracing is on.
mlflow.sklearn.autolog(log_models=False)
features, labels = load_iris(return_X_y=True, as_frame=True)
with mlflow.start_run() as run:
    LogisticRegression(max_iter=500).fit(features, labels)
assert client.get_run(run.info.run_id).data.metrics["training_accuracy_score"] > 0.9
mlflow.sklearn.autolog(disable=True)

# Everything else is refused at once: with retries each of these would take minutes.
began = time.monotonic()
assert "traces and assessments" in refused(mlflow.search_traces, locations=["0"])
assert "traces and assessments" in refused(client.get_trace, "tr-0123")
assert "evaluation datasets" in refused(mlflow.genai.datasets.search_datasets)
assert "scorers" in refused(mlflow.genai.scorers.list_scorers, experiment_id="0")
assert "workspace" in refused(mlflow.list_workspaces, code="FEATURE_DISABLED")
mlflow.set_workspace("team-a")
assert "workspace" in refused(client.get_run, run.info.run_id, code="FEATURE_DISABLED").lower()
mlflow.set_workspace(None)
assert time.monotonic() - began < 30
print("left out: all checks passed")

"""Fills an MLflow store with all that an exchange has to carry: python make_store.py TRACKING_URI ARTIFACTS."""

import math
import sys
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric

URI, ARTIFACTS = sys.argv[1], Path(sys.argv[2])
THREE = int(mlflow.__version__.partition(".")[0]) >= 3

mlflow.set_tracking_uri(URI)
client = MlflowClient(URI, URI)


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


def place(name):
    return (ARTIFACTS / name).as_uri() if ARTIFACTS.is_absolute() else None


def experiment(name, **tags):
    return client.create_experiment(name, artifact_location=place(name), tags=tags)


def save_model(run_id, folder, text):
    """A model's files as a run's artifacts: what matters here is that there are several."""
    root = ARTIFACTS.parent / "made" / folder
    root.mkdir(parents=True, exist_ok=True)
    (root / "MLmodel").write_text(f"flavors: {{python_function: {{}}}}\nrun_id: {run_id}\n")
    (root / "weights.bin").write_bytes(text.encode() * 1000)
    client.log_artifacts(run_id, str(root), "model")


churn = experiment("churn ü", team="growth", **{"mlflow.note.content": "a note\nof two lines"})
fraud = experiment("fraud")
gone = experiment("gone")

# A run with everything.
full = client.create_run(
    churn, run_name="full", start_time=1_600_000_000_000, tags={"k": "v", "user": "ann"}
)
full_id = full.info.run_id
for i in range(25):
    client.log_param(full_id, f"p{i}", f"value {i} é")
for start in range(0, 3000, 1000):
    client.log_batch(
        full_id,
        metrics=[
            Metric("loss", 1 / (step + 1), 1_600_000_000_000 + step, step)
            for step in range(start, start + 1000)
        ],
    )
for value in (math.nan, math.inf, -math.inf, 0.0, -1.5, 1e300):
    client.log_metric(full_id, "odd", value, timestamp=1_600_000_000_123, step=7)
client.log_metric(full_id, "last is nan", 1.0, timestamp=5, step=1)
client.log_metric(full_id, "last is nan", math.nan, timestamp=6, step=2)
client.log_metric(full_id, "auc/val", 0.91, timestamp=5, step=-3)
dataset = Dataset(
    "train", "abc123", "local", '{"uri": "train.csv"}', schema='{"a": 1}', profile='{"rows": 10}'
)
client.log_inputs(full_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
save_model(full_id, "first", "first")
client.log_text(full_id, "notes", "deep/er/notes é.txt")
client.set_terminated(full_id, "FINISHED", end_time=1_600_000_100_000)

# Nested, failed, running, deleted, and in a deleted experiment.
parent = client.create_run(churn, run_name="parent").info.run_id
for i in range(3):
    child = client.create_run(churn, tags={"mlflow.parentRunId": parent}).info.run_id
    client.log_metric(child, "loss", float(i), step=i)
    save_model(child, f"child{i}", f"child {i}")
    client.set_terminated(child, "FAILED" if i == 1 else "FINISHED")
dropped = client.create_run(fraud, run_name="dropped").info.run_id
client.log_metric(dropped, "m", 1.0)
client.delete_run(dropped)
orphan = client.create_run(gone, run_name="orphan").info.run_id
client.log_text(orphan, "x", "x.txt")
client.delete_experiment(gone)
default = client.create_run("0", run_name="in default").info.run_id
client.set_tag(default, "long", "x" * 4000)


def version(name, run_id, **more):
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    return client.create_model_version(name, source, run_id, **more).version


# Three models: stages, aliases, gaps in the middle and at the end.
client.create_registered_model("churn-predictor", tags={"owner": "ann"}, description="who leaves")
for i in range(5):
    version(
        "churn-predictor",
        full_id,
        tags={"i": str(i)},
        description=f"the {i}th",
        run_link="http://ci/1",
    )
for number in ("2", "5"):
    client.delete_model_version("churn-predictor", number)
client.transition_model_version_stage("churn-predictor", "1", "Archived")
client.transition_model_version_stage("churn-predictor", "3", "Production")
client.transition_model_version_stage("churn-predictor", "4", "Staging")
client.set_registered_model_alias("churn-predictor", "champion", "3")
client.set_registered_model_alias("churn-predictor", "Best-One", "4")
client.create_registered_model("fraud é")
client.create_model_version("fraud é", "s3://elsewhere/model", tags={"far": "away"})
client.create_registered_model("empty", description="no versions yet")

if THREE:
    mlflow.set_experiment(experiment_id=churn)
    with mlflow.start_run(run_name="logs a model") as run:
        info = mlflow.pyfunc.log_model(
            name="echo", python_model=Echo(), pip_requirements=["mlflow"]
        )
        mlflow.log_metric("auc", 0.75, step=4, model_id=info.model_id)
        mlflow.register_model(f"models:/{info.model_id}", "echoes")
    client.set_logged_model_tags(info.model_id, {"quality": "fine"})
    unfinished = mlflow.initialize_logged_model(name="unfinished", params={"depth": "3"})
    mlflow.genai.register_prompt(name="greeting", template="Hello {{name}}", tags={"lang": "en"})
    mlflow.genai.register_prompt(name="greeting", template="Hi {{name}}", commit_message="shorter")
    mlflow.genai.set_prompt_alias("greeting", alias="live", version=1)

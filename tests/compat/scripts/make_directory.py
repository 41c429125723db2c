"""Fills an ``mlruns`` directory: python make_directory.py DIRECTORY."""

import sys
from pathlib import Path

from mlflow import MlflowClient

root = Path(sys.argv[1])
client = MlflowClient(root.as_uri(), root.as_uri())
experiment = client.create_experiment("old times", tags={"a": "b"})
run = client.create_run(experiment, run_name="one", tags={"t": "1"})
client.log_param(run.info.run_id, "p", "2")
for step in range(20):
    client.log_metric(run.info.run_id, "m", step / 10, timestamp=1000 + step, step=step)
client.log_metric(run.info.run_id, "n", float("nan"), timestamp=1, step=0)
client.log_text(run.info.run_id, "flavors: {}\n", "model/MLmodel")
client.set_terminated(run.info.run_id)
deleted = client.create_run(experiment).info.run_id
client.delete_run(deleted)
trashed = client.create_experiment("trashed")
client.create_run(trashed)
client.delete_experiment(trashed)
client.create_registered_model("m", description="d")
client.create_model_version("m", f"{run.info.artifact_uri}/model", run.info.run_id)
client.set_registered_model_alias("m", "champion", "1")

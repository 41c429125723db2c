"""Registers what a run made, moves it through stages and aliases; run by tests/compat.

    python registering.py http://127.0.0.1:5000 <model>

Prints as JSON what the client knows, for the test to compare with what the registry says.
"""

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sklearn.dummy import DummyClassifier


def refusal(call, *arguments):
    try:
        call(*arguments)
    except MlflowException as error:
        return [error.error_code, str(error)]
    raise AssertionError(f"accepted: {call.__name__} {arguments}")


def train(name, constant):
    """One run with everything that a run can know, and a version made of it."""
    frame = pd.DataFrame({"tenure": [1.0, 2.0], "charges": [3.0, 4.0]})
    model = DummyClassifier(strategy="constant", constant=constant).fit(frame, [constant, constant])
    dataset = mlflow.data.from_pandas(frame, name="telco")
    with mlflow.start_run() as run:
        mlflow.log_params({"C": 0.5, "constant": constant})
        mlflow.log_metric("auc", 0.7, step=0)
        mlflow.log_metric("auc", 0.8 + constant / 100, step=1)
        mlflow.set_tag("team", "retention")
        mlflow.log_input(dataset, context="training")
        mlflow.sklearn.log_model(
            model,
            artifact_path="model",
            registered_model_name=name,
            signature=mlflow.models.infer_signature(frame, model.predict(frame)),
            pip_requirements=["scikit-learn==1.0.0", "pandas==2.0.0"],
            serialization_format="cloudpickle",
        )
    return {
        "run_id": run.info.run_id,
        "experiment_id": run.info.experiment_id,
        "commit": run.data.tags.get("mlflow.source.git.commit", ""),
        "dataset": dataset.digest,
    }


def digests(path):
    return {
        file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "registered_model_meta"  # the client's own note
    }


def downloaded(client, name, number, folder):
    target = Path(folder) / f"{number}-{len(list(Path(folder).iterdir()))}"
    target.mkdir()
    uri = client.get_model_version_download_uri(name, number)
    return digests(Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(target))))


def overwrite(client, name, number, folder):
    """What an MLflow user can do to the files of a run after registering; the files as they are then."""
    version = client.get_model_version(name, number)
    weights = Path(folder) / "model.pkl"
    weights.write_bytes(b"something else")
    client.log_artifact(version.run_id, str(weights), "model")
    if version.source.startswith("models:/"):
        client.log_model_artifacts(version.source.removeprefix("models:/"), folder)
    back = Path(folder) / "back"
    back.mkdir()
    return digests(Path(mlflow.artifacts.download_artifacts(version.source, dst_path=str(back))))


def main(uri, name):
    os.environ["MLFLOW_TRACKING_USERNAME"] = "ann"
    os.environ["MLFLOW_TRACKING_PASSWORD"] = "unused"
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("churn")
    client = MlflowClient()
    told = {"versions": [train(name, 1), train(name, 2)]}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        before = downloaded(client, name, "1", folder)
        told["overwritten"] = overwrite(client, name, "1", other) != before  # the control
        told["files"] = before
        told["unchanged"] = downloaded(client, name, "1", folder) == before
    client.transition_model_version_stage(name, "1", "Production")
    client.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True)
    client.set_registered_model_alias(name, "champion", "1")
    client.set_registered_model_alias(name, "champion", "2")
    told["refused"] = {
        "version": refusal(client.delete_model_version, name, "2"),
        "model": refusal(client.delete_registered_model, name),
    }
    client.delete_registered_model_alias(name, "champion")
    # Numbers: neither a deleted version's nor a deleted model's are given again.
    source, run_id = f"runs:/{told['versions'][0]['run_id']}/model", told["versions"][0]["run_id"]
    numbers = [client.create_model_version(name, source, run_id).version]
    client.delete_model_version(name, numbers[0])
    numbers.append(client.create_model_version(name, source, run_id).version)
    client.transition_model_version_stage(name, "2", "Archived")
    client.delete_registered_model(name)
    client.create_registered_model(name)
    numbers.append(client.create_model_version(name, source, run_id).version)
    print(json.dumps(told | {"numbers": [int(number) for number in numbers]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

"""Trains a model that multiplies, as the entry point of a project."""

import argparse

import mlflow
import pandas as pd
from mlflow.models import infer_signature


class Times(mlflow.pyfunc.PythonModel):
    def __init__(self, n):
        self.n = n

    def predict(self, context, model_input, params=None):
        return model_input * self.n


parser = argparse.ArgumentParser()
parser.add_argument("--n", type=float)
n = parser.parse_args().n
frame = pd.DataFrame({"x": [1.0, 2.0]})
with mlflow.start_run():
    mlflow.log_metric("n", n)
    keyword = "name" if mlflow.__version__.startswith("3") else "artifact_path"
    mlflow.pyfunc.log_model(
        **{keyword: "model"},
        python_model=Times(n),
        pip_requirements=["cloudpickle"],
        signature=infer_signature(frame, frame),
        registered_model_name="times",
    )
mlflow.MlflowClient().set_registered_model_alias("times", "champion", "1")

"""Everything with a log_ function: tables, figures, images, texts, dictionaries, files, datasets."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd

mlflow.set_experiment("things_logged")

with mlflow.start_run(run_name="things") as run:
    mlflow.log_text("<h1>hello</h1>", "page.html")
    mlflow.log_dict({"a": [1, 2], "ü": None}, "config/a.json")
    mlflow.log_dict({"a": [1, 2]}, "config/a.yaml")
    figure, axes = plt.subplots()
    axes.plot([0, 1], [1, 0])
    mlflow.log_figure(figure, "plots/line.png")
    mlflow.log_image(np.zeros((4, 4, 3), dtype=np.uint8), "image.png")
    for step in range(2):
        mlflow.log_image(np.full((4, 4, 3), step, dtype=np.uint8), key="dogs", step=step)
    table = {"inputs": ["What is MLflow?", "What is Databricks?"], "n": [1, 2]}
    mlflow.log_table(data=table, artifact_file="table.json")
    mlflow.log_table(data=pd.DataFrame({"inputs": ["more"], "n": [3]}), artifact_file="table.json")
    Path("folder/deep/er").mkdir(parents=True)
    Path("folder/deep/er/name with spaces & ünï 100% +.txt").write_text("x", encoding="utf-8")
    Path("folder/empty").write_bytes(b"")
    mlflow.log_artifacts("folder")
    mlflow.log_artifact("folder/empty", artifact_path="again")
    frame = pd.DataFrame({"x": [1.0, 2.0], "s": ["a", None], "y": [0, 1]})
    data = mlflow.data.from_pandas(frame, source="train.csv", name="points", targets="y")
    mlflow.log_input(data, context="training", tags={"split": "1"})
    mlflow.log_input(mlflow.data.from_numpy(np.arange(6.0).reshape(3, 2)), context="testing")

tables = mlflow.load_table("table.json", run_ids=[run.info.run_id])
assert list(tables["n"]) == [1, 2, 3], tables
read = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/page.html")
assert read == "<h1>hello</h1>"
assert mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/config/a.json") == {
    "a": [1, 2],
    "ü": None,
}
assert mlflow.artifacts.load_image(f"runs:/{run.info.run_id}/image.png").size == (4, 4)
back = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path="down"))
assert (back / "deep/er/name with spaces & ünï 100% +.txt").read_text(encoding="utf-8") == "x"
(found,) = mlflow.search_runs(
    filter_string="datasets.name = 'points' and dataset.context = 'training'", output_format="list"
)
source = mlflow.data.get_source(found.inputs.dataset_inputs[0].dataset)
assert source.uri == "train.csv", source
client = mlflow.MlflowClient()
client.log_text(run.info.run_id, "second", "page.html")
assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/page.html") == "second"
assert [
    f.path for f in mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="again")
] == ["again/empty"]

"""Models of one's own, registered in every way there is; stages, aliases, tags, copies, names, searches."""

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import infer_signature

mlflow.set_registry_uri(mlflow.get_tracking_uri())
mlflow.set_experiment("registering_models")
client = MlflowClient()


class Add(mlflow.pyfunc.PythonModel):
    def __init__(self, n):
        self.n = n

    def predict(self, context, model_input, params=None):
        return model_input + self.n


frame = pd.DataFrame({"x": [1.0, 2.0]})
keyword = "name" if mlflow.__version__.startswith("3") else "artifact_path"


def log(n, **options):
    return mlflow.pyfunc.log_model(
        **{keyword: "add"},
        python_model=Add(n),
        signature=infer_signature(frame, frame),
        pip_requirements=["cloudpickle"],
        **options,
    )


MODEL = "registering_models.add"
with mlflow.start_run(run_name="first") as run:
    first = log(1)
version = mlflow.register_model(f"runs:/{run.info.run_id}/add", MODEL, tags={"how": "runs"})
assert version.version in {"1", 1}
with mlflow.start_run(run_name="second"):
    log(2, registered_model_name=MODEL)
third = mlflow.register_model(first.model_uri, MODEL)
if third.run_id:
    assert third.run_id == run.info.run_id

client.update_registered_model(MODEL, description="adds")
client.update_model_version(MODEL, "1", description="adds one")
client.set_registered_model_tag(MODEL, "team", "calculus")
client.set_model_version_tag(MODEL, "2", "checked", "yes")
client.transition_model_version_stage(MODEL, "1", "Production")
client.transition_model_version_stage(MODEL, "2", "Staging")
client.transition_model_version_stage(MODEL, "2", "Production", archive_existing_versions=True)
client.set_registered_model_alias(MODEL, "champion", "1")
client.set_registered_model_alias(MODEL, "challenger", "3")
client.set_registered_model_alias(MODEL, "champion", "2")
client.delete_registered_model_alias(MODEL, "challenger")

for uri, expected in {
    f"models:/{MODEL}/1": 2.0,
    f"models:/{MODEL}@champion": 3.0,
    f"models:/{MODEL}/Production": 3.0,
    f"models:/{MODEL}/latest": 2.0,
    f"runs:/{run.info.run_id}/add": 2.0,
}.items():
    answer = mlflow.pyfunc.load_model(uri).predict(frame)
    assert answer["x"].iloc[0] == expected, (uri, answer)

client.create_registered_model("registering_models.prod", tags={"a": "b"}, description="copies")
copy = client.copy_model_version(f"models:/{MODEL}@champion", "registering_models.prod")
assert (
    mlflow.pyfunc.load_model(f"models:/{copy.name}/{copy.version}").predict(frame)["x"].iloc[0]
    == 3.0
)
client.copy_model_version(f"models:/{MODEL}/1", "registering_models.made-by-copying")

for number in range(30):
    client.create_registered_model(f"registering_models.many-{number:02}")
pages, token = [], None
while True:
    page = client.search_registered_models(
        "name LIKE 'registering\\_models.many-%'"
        if False
        else "name LIKE 'registering_models.many-%'",
        max_results=7,
        order_by=["name DESC"],
        page_token=token,
    )
    pages.append([m.name for m in page])
    if not (token := page.token):
        break
assert [len(p) for p in pages] == [7, 7, 7, 7, 2], pages
assert pages[0][0].endswith("29")
assert pages[-1][-1].endswith("00")
for number in range(1, 30):
    client.delete_registered_model(f"registering_models.many-{number:02}")
client.rename_registered_model("registering_models.many-00", "registering_models.renamed")

versions = client.search_model_versions(f"name = '{MODEL}'", order_by=["version_number ASC"])
assert [int(v.version) for v in versions] == [1, 2, 3]
assert len(client.search_model_versions(f"run_id = '{run.info.run_id}'")) >= 1
assert [
    int(v.version)
    for v in client.search_model_versions(f"name = '{MODEL}' and tags.checked = 'yes'")
] == [2]
latest = {v.current_stage: int(v.version) for v in client.get_latest_versions(MODEL)}
assert latest == {"Archived": 1, "Production": 2, "None": 3}, latest
assert int(client.get_model_version_by_alias(MODEL, "champion").version) == 2
client.delete_model_version_tag(MODEL, "2", "checked")
client.delete_registered_model_tag(MODEL, "team")
client.set_registered_model_alias(MODEL, "champion", "3")
client.delete_model_version(MODEL, "1")

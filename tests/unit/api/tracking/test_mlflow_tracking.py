"""MLflow's calls on tracking, as its clients send them: translation, phrases, codes."""

import re

import pytest

API = "/api/2.0/mlflow"


# --- experiments ----------------------------------------------------------------------------------


def test_an_experiment_as_a_client_sees_it(client):
    made = client.post(
        "/experiments/create", {"name": "churn", "tags": [{"key": "a", "value": "1"}]}
    )
    assert made == {"experiment_id": "1"}
    found = client.get("/experiments/get-by-name", experiment_name="churn")["experiment"]
    assert found == client.get("/experiments/get", experiment_id="1")["experiment"]
    assert found["lifecycle_stage"] == "active"
    assert found["artifact_location"] == "mlflow-artifacts:/1"
    assert found["tags"] == [{"key": "a", "value": "1"}]
    assert isinstance(found["creation_time"], int)
    assert "tags" not in client.get("/experiments/get", experiment_id="0")["experiment"]


def test_an_unknown_name_is_the_404_that_clients_turn_into_none(client):
    status, code, _ = client.refused(
        "GET", f"{API}/experiments/get-by-name", query="experiment_name=nothing"
    )
    assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_taken_name_is_a_400(client):
    status, code, message = client.refused("POST", f"{API}/experiments/create", {"name": "Default"})
    assert (status, code) == (400, "RESOURCE_ALREADY_EXISTS")
    assert "already exists" in message


def test_experiments_are_searched_by_post_and_get(client):
    client.post("/experiments/create", {"name": "other"})
    body = {"max_results": 1, "view_type": 3, "order_by": ["name ASC"]}
    first = client.post("/experiments/search", body)
    assert [e["name"] for e in first["experiments"]] == ["Default"]
    rest = client.post("/experiments/search", body | {"page_token": first["next_page_token"]})
    assert [e["name"] for e in rest["experiments"]] == ["other"]
    assert "next_page_token" not in rest
    assert len(client.get("/experiments/search", max_results=5)["experiments"]) == 2
    status, code, message = client.refused("POST", f"{API}/experiments/search", {})
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "max_results" in message


def test_an_experiments_lifecycle_and_tags(client):
    client.post("/experiments/create", {"name": "x"})
    client.post("/experiments/update", {"experiment_id": "1", "new_name": "y"})
    client.post("/experiments/set-experiment-tag", {"experiment_id": "1", "key": "a", "value": "1"})
    client.post("/experiments/delete-experiment-tag", {"experiment_id": "1", "key": "a"})
    client.post("/experiments/delete", {"experiment_id": "1"})
    assert (
        client.get("/experiments/get", experiment_id="1")["experiment"]["lifecycle_stage"]
        == "deleted"
    )
    client.post("/experiments/restore", {"experiment_id": "1"})
    assert (
        client.get("/experiments/get-by-name", experiment_name="y")["experiment"]["lifecycle_stage"]
        == "active"
    )


# --- runs -----------------------------------------------------------------------------------------


def test_a_new_run_as_a_client_sees_it(client):
    run = client.post(
        "/runs/create",
        {
            "experiment_id": "0",
            "user_id": "ann",
            "run_name": "first",
            "start_time": 1000,
            "tags": [{"key": "a", "value": "1"}],
        },
    )["run"]
    info = run["info"]
    assert info["run_id"] == info["run_uuid"]
    assert re.fullmatch("[0-9a-f]{32}", info["run_id"])
    assert (info["user_id"], info["run_name"], info["status"], info["start_time"]) == (
        "ann",
        "first",
        "RUNNING",
        1000,
    )
    assert "end_time" not in info
    assert run["data"] == {
        "tags": [{"key": "a", "value": "1"}, {"key": "mlflow.runName", "value": "first"}]
    }
    assert run["inputs"] == {}


def test_a_run_comes_back_with_what_was_logged(client, run_id):
    client.post(
        "/runs/log-metric",
        {
            "run_id": run_id,
            "run_uuid": run_id,
            "key": "m",
            "value": 0.25,
            "timestamp": "12",
            "step": 3,
        },
    )
    client.post(
        "/runs/log-metric", {"run_uuid": run_id, "key": "n", "value": "NaN", "timestamp": 1}
    )
    client.post("/runs/log-parameter", {"run_id": run_id, "key": "p", "value": ""})
    client.post("/runs/set-tag", {"run_id": run_id, "key": "t", "value": "u"})
    dataset = {"name": "d", "digest": "1", "source_type": "local", "source": "x"}
    tags = [{"key": "mlflow.data.context", "value": "train"}]
    client.post(
        "/runs/log-inputs",
        {
            "run_id": run_id,
            "datasets": [{"dataset": dataset, "tags": tags}],
            "models": [{"model_id": "m-1"}],
        },
    )
    models = [{"model_id": "m-2", "step": 4}, {"model_id": "m-3"}]
    client.post("/runs/outputs", {"run_id": run_id, "models": models})
    run = client.get("/runs/get", run_id=run_id, run_uuid=run_id)["run"]
    assert run["data"]["metrics"] == [
        {"key": "m", "value": 0.25, "timestamp": 12, "step": 3},
        {"key": "n", "value": "NaN", "timestamp": 1, "step": 0},
    ]
    assert run["data"]["params"] == [{"key": "p", "value": ""}]
    assert {"key": "t", "value": "u"} in run["data"]["tags"]
    assert run["inputs"] == {
        "dataset_inputs": [{"dataset": dataset, "tags": tags}],
        "model_inputs": [{"model_id": "m-1"}],
    }
    assert run["outputs"] == {
        "model_outputs": [{"model_id": "m-2", "step": 4}, {"model_id": "m-3", "step": 0}]
    }
    found = client.post(
        "/runs/search",
        {"experiment_ids": ["0"], "filter": "metrics.m > 0.2", "run_view_type": "ACTIVE_ONLY"},
    )
    assert found == {"runs": [run]}


def test_a_batch(client, run_id):
    point = {"key": "loss", "timestamp": 1}
    client.post(
        "/runs/log-batch",
        {
            "run_id": run_id,
            "metrics": [point | {"value": 0.5, "step": i} for i in range(3)]
            + [point | {"value": "-Infinity", "step": 3}],
            "params": [{"key": "a", "value": "1"}],
            "tags": [{"key": "b", "value": "2"}],
        },
    )
    first = client.get("/metrics/get-history", run_id=run_id, metric_key="loss", max_results=3)
    rest = client.get(
        "/metrics/get-history",
        run_id=run_id,
        metric_key="loss",
        max_results=3,
        page_token=first["next_page_token"],
    )
    assert [m["step"] for m in first["metrics"] + rest["metrics"]] == [0, 1, 2, 3]
    assert rest["metrics"][0]["value"] == "-Infinity"
    assert "next_page_token" not in rest
    assert len(client.get("/metrics/get-history", run_id=run_id, metric_key="loss")["metrics"]) == 4
    assert client.get("/metrics/get-history", run_id=run_id, metric_key="unknown") == {}


def test_a_run_ends(client, run_id):
    info = client.post(
        "/runs/update",
        {"run_id": run_id, "status": "FINISHED", "end_time": "99", "run_name": "done"},
    )["run_info"]
    assert (info["status"], info["end_time"], info["run_name"]) == ("FINISHED", 99, "done")
    assert (
        client.post("/runs/update", {"run_id": run_id, "status": 4})["run_info"]["status"]
        == "FAILED"
    )
    client.post("/runs/delete", {"run_id": run_id})
    assert client.get("/runs/get", run_id=run_id)["run"]["info"]["lifecycle_stage"] == "deleted"
    client.post("/runs/restore", {"run_id": run_id})
    client.post("/runs/delete-tag", {"run_id": run_id, "key": "mlflow.runName"})


REFUSALS = [
    (
        "/runs/get",
        None,
        400,
        "INVALID_PARAMETER_VALUE",
        "Missing value for required parameter 'run_id'",
    ),
    (
        "/runs/log-metric",
        {"key": "a", "value": 1, "timestamp": 1},
        400,
        "INVALID_PARAMETER_VALUE",
        "Missing value for required parameter 'run_id'",
    ),
    (
        "/runs/log-metric",
        {"run_id": "R", "value": 1, "timestamp": 1},
        400,
        "INVALID_PARAMETER_VALUE",
        "Missing value for required parameter 'key'",
    ),
    (
        "/runs/log-metric",
        {"run_id": "R", "key": "a", "timestamp": 1},
        400,
        "INVALID_PARAMETER_VALUE",
        "Missing value for required parameter 'value'",
    ),
    (
        "/runs/log-metric",
        {"run_id": "R", "key": "a", "value": "x", "timestamp": 1},
        400,
        "INVALID_PARAMETER_VALUE",
        "for parameter 'value' supplied",
    ),
    (
        "/runs/log-metric",
        {"run_id": "R", "key": "a", "value": 1, "timestamp": 2**70},
        400,
        "INVALID_PARAMETER_VALUE",
        "timestamp",
    ),
    (
        "/runs/log-metric",
        {"run_id": "R", "key": "a", "value": 1, "timestamp": -1},
        400,
        "INVALID_PARAMETER_VALUE",
        "timestamp",
    ),
    (
        "/runs/log-parameter",
        {"run_id": "R", "key": "a", "value": "2"},
        400,
        "INVALID_PARAMETER_VALUE",
        "Changing param values is not allowed",
    ),
    (
        "/runs/log-parameter",
        {"run_id": "R", "key": "../a", "value": "2"},
        400,
        "INVALID_PARAMETER_VALUE",
        "for parameter 'key' supplied",
    ),
    (
        "/runs/log-batch",
        {"run_id": "R", "params": [{"key": "x", "value": 5}]},
        400,
        "INVALID_PARAMETER_VALUE",
        "params[0].value",
    ),
    ("/runs/log-batch", {"run_id": "R", "metrics": {}}, 400, "INVALID_PARAMETER_VALUE", "metrics"),
    (
        "/runs/update",
        {"run_id": "R", "status": "DONE"},
        400,
        "INVALID_PARAMETER_VALUE",
        "for parameter 'status' supplied",
    ),
    (
        "/runs/create",
        {"experiment_id": "x"},
        400,
        "INVALID_PARAMETER_VALUE",
        "Invalid experiment ID",
    ),
    (
        "/runs/create",
        {"experiment_id": "9"},
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "No Experiment with id=9 exists",
    ),
    (
        "/runs/delete-tag",
        {"run_id": "R", "key": "zz"},
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "No tag with name: zz",
    ),
    (
        "/runs/search",
        {"experiment_ids": ["0"], "max_results": 50_001},
        400,
        "INVALID_PARAMETER_VALUE",
        "max_results",
    ),
    (
        "/runs/search",
        {"experiment_ids": ["0"], "filter": "metrics.a >"},
        400,
        "INVALID_PARAMETER_VALUE",
        "Invalid clause",
    ),
    (
        "/runs/search",
        {"experiment_ids": ["0"], "page_token": "zzz"},
        400,
        "INVALID_PARAMETER_VALUE",
        "Invalid page token",
    ),
    (
        "/runs/outputs",
        {"run_id": "0" * 32, "models": []},
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "Run with id=",
    ),
    (
        "/runs/outputs",
        {"run_id": "R"},
        400,
        "INVALID_PARAMETER_VALUE",
        "Missing value for required parameter 'models'",
    ),
    (
        "/logged-models/search",
        {"experiment_ids": ["0"], "datasets": [{}]},
        400,
        "INVALID_PARAMETER_VALUE",
        "dataset_name",
    ),
    (
        "/logged-models",
        {"experiment_id": "0", "name": "a/b"},
        400,
        "INVALID_PARAMETER_VALUE",
        "Invalid model name",
    ),
]


@pytest.mark.parametrize(("path", "body", "status", "code", "phrase"), REFUSALS)
def test_what_is_refused_and_how(client, run_id, path, body, status, code, phrase):
    client.post("/runs/log-parameter", {"run_id": run_id, "key": "a", "value": "1"})
    method = "GET" if body is None else "POST"
    body = {k: run_id if v == "R" else v for k, v in (body or {}).items()}
    found = client.refused(method, API + path, body)
    assert found[:2] == (status, code)
    assert phrase in found[2]
    assert client.get("/runs/get", run_id=run_id)["run"]["data"]["params"] == [
        {"key": "a", "value": "1"}
    ]


# --- logged models --------------------------------------------------------------------------------


def test_a_logged_model_as_a_client_sees_it(client, run_id):
    body = {
        "experiment_id": "0",
        "name": "model",
        "source_run_id": run_id,
        "params": [{"key": "a", "value": "1"}],
        "tags": [{"key": "b", "value": "2"}],
    }
    made = client.post("/logged-models", body)["model"]
    model_id = made["info"]["model_id"]
    assert re.fullmatch("m-[0-9a-f]{32}", model_id)
    assert made["info"]["status"] == "LOGGED_MODEL_PENDING"
    assert made["data"]["params"] == body["params"]
    path = f"/logged-models/{model_id}"
    assert (
        client.post(path, {"model_id": model_id, "status": 2}, method="PATCH")["model"]["info"][
            "status"
        ]
        == "LOGGED_MODEL_READY"
    )
    point = {
        "key": "auc",
        "value": 0.5,
        "timestamp": 1,
        "model_id": model_id,
        "dataset_name": "d",
        "dataset_digest": "1",
    }
    client.post("/runs/log-batch", {"run_id": run_id, "metrics": [point]})
    client.post(f"{path}/tags", {"tags": [{"key": "c", "value": "3"}]}, method="PATCH")
    client.post(f"{path}/params", {"params": [{"key": "d", "value": "4"}]})
    client.post(f"{path}/tags/c", {}, method="DELETE")
    model = client.get(path)["model"]
    assert model["info"]["tags"] == body["tags"]
    assert model["data"]["metrics"] == [
        {
            "key": "auc",
            "value": 0.5,
            "timestamp": 1,
            "step": 0,
            "model_id": model_id,
            "run_id": run_id,
            "dataset_name": "d",
            "dataset_digest": "1",
        }
    ]
    search = {
        "experiment_ids": ["0"],
        "filter": f"source_run_id = '{run_id}'",
        "order_by": [{"field_name": "metrics.auc", "ascending": False}],
    }
    assert client.post("/logged-models/search", search) == {"models": [model]}
    client.post(path, {}, method="DELETE")
    assert client.refused("GET", API + path)[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    assert client.get(path, allow_deleted="true")["model"]["info"]["model_id"] == model_id

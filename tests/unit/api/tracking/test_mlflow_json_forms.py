"""The forms in which clients that are not written in Python send the same calls: protobuf's JSON."""

import json

import pytest

API = "/api/2.0/mlflow"

RUN = {"experiment_id": "0", "start_time": "1700000000000"}


def test_the_java_clients_forms(client, run_id):
    """Numbers of 64 bits are texts, as protobuf's JsonFormat prints them; infinities and NaN too."""
    point = {"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": "1700000000000"}
    client.post("/runs/log-metric", point | {"step": "3"})
    client.post("/runs/log-metric", point | {"key": "nan", "value": "NaN", "step": "0"})
    client.post("/runs/log-metric", point | {"key": "low", "value": "-Infinity", "step": "0"})
    batch = [{"key": "b", "value": "2.5", "timestamp": "5", "step": "7"}]
    client.post("/runs/log-batch", {"run_id": run_id, "metrics": batch, "params": [], "tags": []})
    client.post(
        "/runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": "1700000009000"}
    )
    found = client.get("/runs/get", run_id=run_id)["run"]
    assert found["info"]["end_time"] == 1700000009000
    metrics = {m["key"]: (m["value"], m["step"]) for m in found["data"]["metrics"]}
    assert metrics == {
        "loss": (0.5, 3),
        "nan": ("NaN", 0),
        "low": ("-Infinity", 0),
        "b": (2.5, 7),
    }


@pytest.mark.parametrize("all_runs", ["ALL", 3, "3"])
def test_an_enumeration_by_name_and_by_number(client, run_id, all_runs):
    client.post("/runs/delete", {"run_id": run_id})
    body = {"experiment_ids": ["0"], "max_results": "5"}
    assert client.post("/runs/search", body) == {}
    assert len(client.post("/runs/search", body | {"run_view_type": all_runs})["runs"]) == 1


@pytest.mark.parametrize("unknown", ["4", 4, "all", "-1"])
def test_an_unknown_enumeration_is_refused(client, unknown):
    body = {"experiment_ids": ["0"], "run_view_type": unknown}
    status, code, message = client.refused("POST", f"{API}/runs/search", body)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "run_view_type" in message


def test_names_in_camel_case_mean_the_same(client):
    made = client.post(
        "/runs/create", {"experimentId": "0", "startTime": "1700000000000", "runName": "camel"}
    )["run"]
    run_id = made["info"]["run_id"]
    assert (made["info"]["run_name"], made["info"]["start_time"]) == ("camel", 1700000000000)
    dataset = {"name": "points", "digest": "x", "sourceType": "local", "source": "train.csv"}
    client.post("/runs/log-inputs", {"runId": run_id, "datasets": [{"dataset": dataset}]})
    # A parameter that is called like a field is no field.
    client.post("/runs/log-parameter", {"runId": run_id, "key": "runName", "value": "startTime"})
    found = client.post(
        "/runs/search",
        {"experimentIds": ["0"], "filter": "params.runName = 'startTime'", "maxResults": 1},
    )["runs"]
    assert [run["info"]["run_id"] for run in found] == [run_id]
    assert found[0]["inputs"]["dataset_inputs"][0]["dataset"]["source_type"] == "local"
    # The control: without such a filter and limit, the other run is found as well.
    client.post("/runs/create", RUN)
    assert len(client.post("/runs/search", {"experimentIds": ["0"]})["runs"]) == 2
    assert len(client.post("/runs/search", {"experimentIds": ["0"], "maxResults": 1})["runs"]) == 1


def test_the_protocols_own_name_wins_where_both_are_sent(client):
    body = {"experiment_id": "0", "run_name": "own", "runName": "camel"}
    assert client.post("/runs/create", body)["run"]["info"]["run_name"] == "own"


def test_json_in_a_json_text_with_nulls_and_unknown_fields(client, run_id):
    """As the R client and old JavaScript ones send it."""
    body = {"run_id": run_id, "run_uuid": None, "key": "a", "value": "b", "more": {"x": [1]}}
    client.post("/runs/set-tag", json.dumps(body))
    tags = client.get("/runs/get", run_id=run_id)["run"]["data"]["tags"]
    assert {"key": "a", "value": "b"} in tags


def test_the_old_name_of_a_runs_id(client, run_id):
    client.post("/runs/set-tag", {"run_uuid": run_id, "key": "a", "value": "b"})
    run = client.get("/runs/get", run_uuid=run_id)["run"]
    assert run["info"]["run_uuid"] == run["info"]["run_id"] == run_id

"""What MLflow's web pages ask about many runs at once, and the small upload they make."""

import json
import math

import pytest

HISTORY = "/metrics/get-history-bulk"
SAMPLED = "/metrics/get-history-bulk-interval"
DATASETS = "/experiments/search-datasets"
UPLOAD = "/ajax-api/2.0/mlflow/upload-artifact"


def point(key, value, step, at=None):
    return {"key": key, "value": value, "step": step, "timestamp": step if at is None else at}


def logged(api, values, *, key="loss"):
    """A run with one point per step."""
    points = [point(key, value, step) for step, value in enumerate(values)]
    return api.run(metrics=points)


def steps_of(answer):
    return [one["step"] for one in answer.get("metrics", [])]


@pytest.mark.parametrize(
    ("points", "wanted", "steps"),
    [
        (5, 10, [0, 1, 2, 3, 4]),
        (5, 5, [0, 1, 2, 3, 4]),
        (
            10,
            4,
            [0, 3, 6, 9],
        ),  # buckets of 3, 3, 2, 2; the last point takes the place of the last first
        (10, 3, [0, 4, 9]),
        (10, 2, [0, 9]),
        (10, 1, [9]),
        (1, 1, [0]),
        (0, 7, []),
    ],
)
def test_a_sample_is_spread_evenly_and_keeps_both_ends(api, points, wanted, steps):
    run = logged(api, range(points))
    asked = {"run_ids": [run], "metric_key": "loss", "max_results": wanted}
    answer = api.call("GET", SAMPLED, asked)
    assert steps_of(answer) == steps
    assert ("metrics" in answer) == bool(steps)
    assert all(one["run_id"] == run for one in answer.get("metrics", []))


def test_points_that_share_a_step_are_sampled_too(api):
    run = api.run(metrics=[point("loss", value, 0, at=value) for value in range(100)])
    answer = api.call("GET", SAMPLED, {"run_ids": [run], "metric_key": "loss", "max_results": 10})
    assert [one["value"] for one in answer["metrics"]] == [*range(0, 90, 10), 99]


def test_a_sample_of_some_steps_of_several_runs_in_the_order_asked_for(api):
    first, second = logged(api, range(10)), logged(api, range(100, 103))
    asked = {"run_ids": [second, first], "metric_key": "loss", "start_step": 1, "end_step": 3}
    answer = api.send("GET", f"/ajax-api/2.0/mlflow{SAMPLED}", params=asked).json()
    assert [(one["run_id"], one["step"]) for one in answer["metrics"]] == [
        *((second, 1), (second, 2)),
        *((first, 1), (first, 2), (first, 3)),
    ]
    assert api.call("GET", SAMPLED, asked) == answer


def test_what_is_no_number_survives_sampling(api):
    run = api.run(metrics=[point("loss", "NaN", 0), point("loss", "Infinity", 1)])
    asked = {"run_ids": [run], "metric_key": "loss", "max_results": 1}
    assert api.call("GET", SAMPLED, asked)["metrics"][0]["value"] == "Infinity"
    asked["max_results"] = 2
    assert math.isnan(float(api.call("GET", SAMPLED, asked)["metrics"][0]["value"]))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"run_ids": []}, "Missing value for required parameter 'run_ids'"),
        ({"run_ids": ["r"] * 101}, "at most 100 run_ids. Received 101"),
        ({"start_step": 1}, "both must be specified"),
        ({"end_step": 1}, "both must be specified"),
        ({"start_step": 2, "end_step": 1}, "end_step must be greater than start_step"),
        ({"start_step": "x", "end_step": 1}, "for parameter 'start_step' supplied"),
        ({"max_results": 0}, "max_results must be between 1 and 2500"),
        ({"max_results": 2501}, "max_results must be between 1 and 2500"),
        ({"metric_key": ""}, "Missing value for required parameter 'metric_key'"),
    ],
)
def test_a_sample_that_cannot_be_right_is_refused(api, asked, said):
    sent = {"run_ids": [api.run()], "metric_key": "loss", **asked}
    status, code, message = api.refused("GET", SAMPLED, sent)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert said in message


def test_a_sample_of_an_unknown_run_is_empty(api):
    run = logged(api, range(2))
    sent = {"run_ids": ["0" * 32, run], "metric_key": "loss"}
    assert [one["run_id"] for one in api.call("GET", SAMPLED, sent)["metrics"]] == [run, run]
    assert api.call("GET", SAMPLED, sent | {"run_ids": ["0" * 32]}) == {}


def test_histories_of_several_runs(api):
    first, second = sorted([logged(api, range(3)), logged(api, range(2))])
    asked = {"run_id": [second, first, "unknown"], "metric_key": "loss"}
    answer = api.send("GET", f"/ajax-api/2.0/mlflow{HISTORY}", params=asked).json()
    runs = [one["run_id"] for one in answer["metrics"]]
    assert runs == sorted(runs)
    assert len(runs) == 5
    assert set(answer["metrics"][0]) == {"key", "value", "timestamp", "step", "run_id"}
    assert len(api.call("GET", HISTORY, asked | {"max_results": 2})["metrics"]) == 2
    for key in ("other", ""):
        assert api.call("GET", HISTORY, asked | {"metric_key": key}) == {"metrics": []}
    assert len(api.call("GET", HISTORY, asked | {"max_results": 10**9})["metrics"]) == 5


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"run_id": []}, "must specify at least one run_id"),
        ({"run_id": ["r"] * 101}, "100 run_ids. Received 101"),
        ({"metric_key": None}, "must specify a metric_key"),
        ({"max_results": "many"}, "for parameter 'max_results' supplied"),
        ({"max_results": -1}, "for parameter 'max_results' supplied"),
    ],
)
def test_histories_that_cannot_be_right_are_refused(api, asked, said):
    sent = {"run_id": ["r"], "metric_key": "loss", **asked}
    sent = {name: value for name, value in sent.items() if value is not None}
    assert said in api.refused("GET", HISTORY, sent)[2]


def test_datasets_of_experiments_once_per_purpose(api):
    dataset = {"name": "churn", "digest": "d1", "source_type": "local", "source": "{}"}
    other = api.call("POST", "/experiments/create", {"name": "other"})["experiment_id"]
    for experiment, context, extra in [
        ("0", "training", "a"),
        ("0", "training", "b"),
        ("0", "evaluation", "a"),
        ("0", None, "a"),
        (other, "training", "a"),
    ]:
        tags = [{"key": "note", "value": extra}]
        if context:
            tags.append({"key": "mlflow.data.context", "value": context})
        run = api.run(experiment=experiment)
        sent = {"run_id": run, "datasets": [{"dataset": dataset, "tags": tags}]}
        api.call("POST", "/runs/log-inputs", sent)
    summary = {"experiment_id": "0", "name": "churn", "digest": "d1"}
    found = api.call("POST", DATASETS, {"experiment_ids": ["0"]})["dataset_summaries"]
    assert sorted(found, key=lambda one: one.get("context", "")) == [
        summary,
        summary | {"context": "evaluation"},
        summary | {"context": "training"},
    ]
    both = {"experiment_ids": ["0", other]}
    assert len(api.call("POST", DATASETS, both)["dataset_summaries"]) == 4
    assert api.call("POST", DATASETS, {"experiment_ids": ["77"]}) == {}


@pytest.mark.parametrize("ids", [[], ["1"] * 21, ["x"]])
def test_datasets_of_no_or_too_many_experiments_are_refused(api, ids):
    assert api.refused("POST", DATASETS, {"experiment_ids": ids})[0] == 400


def test_a_page_uploads_a_small_file(api):
    run = api.run()
    sent = {"run_uuid": run, "path": "notes/a.txt"}
    answer = api.send("POST", UPLOAD, params=sent, content=b"hello")
    assert (answer.status_code, answer.content) == (200, b"")
    shown = api.send("GET", "/get-artifact", params={"run_uuid": run, "path": "notes/a.txt"})
    assert shown.content == b"hello"


@pytest.mark.parametrize(
    ("sent", "body", "said"),
    [
        ({"path": "a"}, b"x", "must specify run_uuid"),
        ({"run_uuid": "{run}"}, b"x", "must specify path"),
        ({"run_uuid": "{run}", "path": "../a"}, b"x", "Invalid path"),
        ({"run_uuid": "{run}", "path": "a"}, b"", "must specify data"),
        ({"run_uuid": "{run}", "path": "a"}, bytes(10 * 2**20 + 1), "Max size is 10MB"),
    ],
)
def test_an_upload_that_cannot_be_right_is_refused(api, sent, body, said):
    run = api.run()
    sent = {key: value.replace("{run}", run) for key, value in sent.items()}
    answer = api.send("POST", UPLOAD, params=sent, content=body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert said in answer.json()["message"]
    assert "files" not in json.dumps(api.call("GET", "/artifacts/list", {"run_id": run}))


def test_an_upload_to_no_run_is_not_found(api):
    answer = api.send("POST", UPLOAD, params={"run_uuid": "0" * 32, "path": "a"}, content=b"x")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")

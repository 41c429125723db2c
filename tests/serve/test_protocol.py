"""The wire: MLflow's scoring protocol, its error table with the documented improvements, our headers."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from directory_feed import DirectoryFeed

from conftest import ROWS, RunningGateway, eventually

MLFLOW2 = Path(__file__).parents[2] / ".venv-mlflow2" / "bin" / "python"


@pytest.fixture(scope="module", params=["current", "mlflow2"])
def signed(request, tmp_path_factory, sklearn_models):
    """A gateway over a model with a signature of two doubles, in both generations of mlflow."""
    options = {}
    if request.param == "mlflow2":
        if not MLFLOW2.exists():
            pytest.skip("the environment with mlflow 2 is not there")
        options["python"] = str(MLFLOW2)
    root = tmp_path_factory.mktemp("signed")
    feed = DirectoryFeed(root / "registry")
    packages = ("mlflow==1.0.0", "no-such-package==3.1", "numpy>=1")
    feed.point(1, feed.add_model(sklearn_models[1], packages=packages), seq=4)
    running = (
        RunningGateway(root, feed, body_bytes_max=100_000, **options)
        .wait_listening()
        .wait_serving(1)
    )
    yield running
    running.close()


@pytest.fixture(scope="module")
def obedient(tmp_path_factory, custom_model):
    """A gateway over a model that does what it is told, with tight limits."""
    root = tmp_path_factory.mktemp("obedient")
    feed = DirectoryFeed(root / "registry")
    feed.point(1, feed.add_model(custom_model("obedient")), seq=1)
    running = RunningGateway(root, feed, request_timeout_s=1.0, in_flight_max=2, worker_threads=2)
    yield running.wait_listening().wait_serving(1)
    running.close()


@pytest.mark.parametrize(
    "payload",
    [
        ROWS,
        {
            "dataframe_split": {
                "columns": ["b", "a", "extra"],
                "data": [[1, 2, "dropped"]],
                "index": [0],
            }
        },
        {"dataframe_records": [{"a": 1.0, "b": 2.0}]},
        {"instances": [{"a": 1.0, "b": 2.0}]},
        {"inputs": {"a": [1.0], "b": [2.0]}},
        {**ROWS, "params": {"unknown": 1}, "ignored": True},
    ],
)
def test_every_json_form_is_answered(signed, payload):
    answer = signed.ask(payload)
    assert (answer.status_code, answer.json()) == (200, {"predictions": [1]})
    assert answer.headers["content-type"] == "application/json"


def test_csv_is_answered(signed):
    answer = signed.client.post(
        "/invocations",
        content="a,b\n1,2\n3,4\n",
        headers={"content-type": "text/csv; charset=utf-8"},
    )
    assert (answer.status_code, answer.json()) == (200, {"predictions": [1, 1]})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "BAD_REQUEST"),
        (b"", "BAD_REQUEST"),
        (b"\xff\xfe", "BAD_REQUEST"),
        (b"[1, 2]", "BAD_REQUEST"),
        (b"3", "BAD_REQUEST"),
        (b"{}", "BAD_REQUEST"),
        (b"[" * 50_000, "BAD_REQUEST"),
        (json.dumps({**ROWS, "inputs": [[1, 2]]}).encode(), "BAD_REQUEST"),
        (b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}}', "BAD_REQUEST"),
        (b'{"dataframe_split": {"columns": ["a", "b"], "data": [["x", 2]]}}', "BAD_REQUEST"),
        (b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', "INVALID_PARAMETER_VALUE"),
        (b'{"dataframe_records": []}', "INVALID_PARAMETER_VALUE"),
    ],
)
def test_bad_input_is_named_and_not_counted_against_the_model(signed, body, code):
    failed = signed.status()["failed"]
    answer = signed.client.post(
        "/invocations", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error_code"] == code
    assert answer.json()["message"]
    assert "stack_trace" not in answer.json()
    assert answer.headers["x-lastgood-version"] == "1"
    assert signed.status()["failed"] == failed


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (None, 400),
        ("application/xml", 415),
        ("application/json; charset=latin-1", 415),
        ("application/json; version=2", 415),
        ("application/json; charset=utf-8", 200),
    ],
)
def test_content_types(signed, content_type, status):
    headers = {} if content_type is None else {"content-type": content_type}
    answer = signed.client.post("/invocations", content=json.dumps(ROWS).encode(), headers=headers)
    assert answer.status_code == status


def test_a_body_beyond_the_limit_is_refused_with_and_without_its_length(signed):
    body = b" " * 100_001
    headers = {"content-type": "application/json"}
    assert signed.client.post("/invocations", content=body, headers=headers).status_code == 413
    assert (
        signed.client.post(
            "/invocations", content=iter([body[:9], body[9:]]), headers=headers
        ).status_code
        == 413
    )
    assert (
        signed.client.post(
            "/invocations", content=json.dumps(ROWS).ljust(100_000), headers=headers
        ).status_code
        == 200
    )


def test_other_methods_and_paths(signed):
    for method, path in (("GET", "/invocations"), ("HEAD", "/ping"), ("POST", "/health")):
        assert signed.client.request(method, path).status_code == 405
    answer = signed.client.get("/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_health_and_version(signed):
    ping = signed.client.get("/ping")
    assert (ping.status_code, ping.text) == (200, "\n")
    health = signed.client.get("/health").json()
    assert (health["version"], health["model"], health["ref"]) == (1, "churn", "production")
    assert re.fullmatch(r"\d+\.\d+\.\d+", signed.client.get("/version").text)
    assert signed.client.get("/version").text == signed.status()["worker_mlflow"]


def test_packages_that_differ_from_the_recorded_ones_are_listed(signed):
    differing = signed.status()["active"]["packages_differ"]
    assert len(differing) == 2
    assert differing[0].startswith("mlflow ")
    assert differing[0].endswith("(recorded: 1.0.0)")
    assert differing[1] == "no-such-package is missing (recorded: 3.1)"
    details = [
        event.detail
        for report in signed.feed.reports()
        for event in report.events
        if event.kind == "loaded"
    ]
    assert "no-such-package is missing" in details[0]
    assert "answered its input example" in details[0]


@pytest.mark.parametrize("path", ["/invocations", "/ping", "/nowhere", "/status"])
def test_every_answer_carries_the_three_headers(signed, path):
    answer = signed.client.get(path, headers={"x-request-id": "my.own-id_7"})
    assert answer.headers["x-lastgood-version"] == "1"
    assert answer.headers["x-lastgood-digest"].startswith("sha256:")
    assert answer.headers["x-lastgood-request-id"] == "my.own-id_7"


@pytest.mark.parametrize("given", ["", "with space", "x" * 65, "slash/", "ümlaut"])
def test_a_request_id_out_of_form_is_replaced(signed, given):
    answer = signed.client.get("/ping", headers=[(b"x-request-id", given.encode())])
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-lastgood-request-id"])


def test_a_model_that_raises_answers_400_without_a_trace_and_counts_as_failed(obedient):
    failed = obedient.status()["failed"]
    answer = obedient.do("raise")
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert "KeyError: 'secret_path'" in answer.json()["message"]
    assert "Traceback" not in answer.text
    assert "stack_trace" not in answer.text
    answer = obedient.do("object")
    assert answer.status_code == 500
    assert obedient.status()["failed"] == failed + 2


def test_slow_requests_end_with_504_and_the_answer_to_them_reaches_nobody_else(obedient):
    answer = obedient.do("sleep:2")
    assert answer.status_code == 504
    assert answer.json()["error_code"] == "DEADLINE_EXCEEDED"
    assert obedient.do("hello").json() == {"predictions": ["obedient"]}
    pid = obedient.status()["active"]["pid"]
    # When all threads hang, the worker is replaced rather than left to hang.

    with ThreadPoolExecutor(2) as pool:
        assert {
            answer.status_code for answer in pool.map(obedient.do, ["sleep:600", "sleep:600"])
        } == {504}

    eventually(
        lambda: obedient.status()["active"]["pid"] not in {None, pid}, "the worker is replaced"
    )
    eventually(lambda: obedient.do("hello").status_code == 200, "it answers again")


def test_more_requests_than_may_wait_are_turned_away(obedient):

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(obedient.do, ["sleep:0.5"] * 6))
    turned_away = [answer for answer in answers if answer.status_code == 503]
    assert turned_away
    assert all(answer.headers["retry-after"] == "1" for answer in turned_away)
    assert any(answer.status_code == 200 for answer in answers)

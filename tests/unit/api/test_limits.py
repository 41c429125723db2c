"""Everything that a request can have too much of is bounded, and says so."""

import json

import pytest

from lastgood.api import limits
from lastgood.api.app import QUERY_FIELDS_MAX
from lastgood.api.mlflow.routes import mlflow_routes

SEARCH = "/api/2.0/mlflow/registered-models/search"
MANY = 30_000


@pytest.mark.parametrize(
    ("path", "headers", "status", "word"),
    [
        ("/api/2.0/mlflow/" + "x" * limits.PATH_LENGTH_MAX, {}, 414, "path"),
        ("/api/v1/models/" + "%61" * limits.PATH_LENGTH_MAX + "/versions", {}, 414, "path"),
        (f"{SEARCH}?filter=" + "x" * limits.QUERY_LENGTH_MAX, {}, 414, "query"),
        ("/api/v1/show?reference=" + "x" * limits.QUERY_LENGTH_MAX, {}, 414, "query"),
        (SEARCH, {"x-large": "x" * limits.HEADERS_LENGTH_MAX}, 431, "headers"),
        ("/docs", {f"x-{n}": "x" * 1000 for n in range(70)}, 431, "headers"),
        ("/health-not", {"x-large": "x" * limits.HEADERS_LENGTH_MAX}, 431, "headers"),
    ],
    ids=["path", "native path", "query", "native query", "header", "headers", "anywhere"],
)
def test_heads_that_are_too_large(api, path, headers, status, word):
    answer = api.send("GET", path, headers=headers)
    assert answer.status_code == status
    assert word in answer.json()["message"]
    assert len(answer.text) < 300


def test_heads_within_the_limits(api):
    """The control."""
    path = "/api/2.0/mlflow-artifacts/artifacts/" + "/".join(["x" * 200] * 8)
    assert api.send("GET", path).status_code == 404
    headers = {"x-large": "x" * (limits.HEADERS_LENGTH_MAX - 1000)}
    assert api.send("GET", SEARCH, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/registered-models/search", "/runs/search", "/experiments/search"]
)
def test_queries_with_too_many_fields(api, path):
    query = "&".join("a" for _ in range(QUERY_FIELDS_MAX + 1))
    answer = api.send("GET", f"/api/2.0/mlflow{path}?{query}")
    assert answer.status_code in {400, 405}  # runs are searched by POST only


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 500_000,
        b'{"a":' * 200_000,
        b'{"reference": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    ],
    ids=["lists", "objects", "closed lists", "closed objects"],
)
def test_json_that_is_nested_too_deeply(api, body):
    headers = {"content-type": "application/json"}
    for path in (
        "/api/2.0/mlflow/registered-models/create",
        "/api/2.0/mlflow/runs/log-batch",
        "/api/v1/promote",
        "/api/v1/register",
        "/api/v1/observations",
    ):
        answer = api.send("POST", path, content=body, headers=headers)
        assert answer.status_code == 400, path
        assert len(answer.text) < 2000


def keys(count):
    return [{"key": f"k{n}", "value": "v"} for n in range(count)]


LISTS = {
    "experiments/create": lambda _run: {"name": "many", "tags": keys(MANY)},
    "runs/create": lambda _run: {"experiment_id": "0", "tags": keys(MANY)},
    "runs/log-batch": lambda run: {"run_id": run, "tags": keys(MANY)},
    "runs/log-inputs": lambda run: {
        "run_id": run,
        "datasets": [{"dataset": {"name": f"n{n}", "digest": "d"}} for n in range(MANY)],
    },
    "runs/log-inputs (models)": lambda run: {
        "run_id": run,
        "models": [{"model_id": f"m-{n}"} for n in range(MANY)],
    },
    "runs/outputs": lambda run: {
        "run_id": run,
        "models": [{"model_id": f"m-{n}", "step": n} for n in range(MANY)],
    },
    "runs/search": lambda _run: {"experiment_ids": [str(n) for n in range(MANY)]},
    "runs/search (orders)": lambda _run: {
        "experiment_ids": ["0"],
        "order_by": [f"metrics.m{n}" for n in range(MANY)],
    },
    "runs/search (filter)": lambda _run: {
        "experiment_ids": ["0"],
        "filter": " AND ".join(f"metrics.m{n} > 0" for n in range(MANY)),
    },
    "runs/search (in)": lambda _run: {
        "experiment_ids": ["0"],
        "filter": "attributes.run_id IN (" + ",".join(f"'{n:032}'" for n in range(MANY)) + ")",
    },
    "logged-models": lambda run: {
        "experiment_id": "0",
        "name": "m",
        "source_run_id": run,
        "params": keys(MANY),
    },
    "logged-models (tags)": lambda _run: {"experiment_id": "0", "name": "m", "tags": keys(MANY)},
    "logged-models/search": lambda _run: {
        "experiment_ids": ["0"],
        "datasets": [{"dataset_name": f"d{n}"} for n in range(MANY)],
    },
    "logged-models/search (orders)": lambda _run: {
        "experiment_ids": ["0"],
        "order_by": [{"field_name": f"metrics.m{n}"} for n in range(MANY)],
    },
    "registered-models/create": lambda _run: {"name": "many", "tags": keys(MANY)},
    "model-versions/create": lambda _run: {
        "name": "churn",
        "source": "s3://bucket/x",
        "tags": keys(MANY),
    },
    "registered-models/get-latest-versions": lambda _run: {
        "name": "churn",
        "stages": [f"s{n}" for n in range(MANY)],
    },
}


@pytest.mark.parametrize("what", LISTS)
def test_lists_without_end_are_refused_by_name(api, what):
    api.model()
    before = len(api.log())
    status, code, message = api.refused(
        "POST", "/" + what.partition(" ")[0], LISTS[what](api.run())
    )
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert len(message) < 1500
    assert len(api.log()) == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/runs/search", {"experiment_ids": ["0"]}),
        ("POST", "/experiments/search", {}),
        ("GET", "/registered-models/search", {}),
        ("GET", "/model-versions/search", {}),
        ("GET", "/metrics/get-history", {"metric_key": "m"}),
    ],
)
@pytest.mark.parametrize("size", [-1, 1_000_000, 2**63 - 1, 2**63])
def test_pages_without_end_are_refused(api, method, path, body, size):
    if path == "/metrics/get-history":
        body = {**body, "run_id": api.run()}
    status, _, message = api.refused(method, path, {**body, "max_results": size})
    assert status == 400
    assert "max_results" in message


def test_of_logged_models_a_page_of_any_size_may_be_asked_for(api):
    """As of MLflow's server: it gives what a page may hold, and a token for the rest."""
    body = {"experiment_ids": ["0"], "max_results": 2**63 - 1}
    assert api.call("POST", "/logged-models/search", body) == {}
    for size in (-1, 2**63):
        status, _, message = api.refused(
            "POST", "/logged-models/search", body | {"max_results": size}
        )
        assert status == 400
        assert "max_results" in message


@pytest.mark.parametrize(
    "body",
    [
        {
            "gateway": "g",
            "host": "h",
            "url": "u",
            "batch": 1,
            "traffic": [],
            "receipts": [],
            "events": [{}] * 10_001,
        },
        {"digests": ["sha256:" + "0" * 64] * 200_001},
    ],
    ids=["observations", "objects/missing"],
)
def test_lists_of_the_native_api(api, body):
    path = "objects/missing" if "digests" in body else "observations"
    answer = api.send("POST", f"/api/v1/{path}", json=body)
    assert answer.status_code in {400, 413}
    assert len(answer.text) < 2000


def test_every_call_survives_lists_and_texts_without_end(api):
    """Whatever the field is called: a mistake, never a failure of the server."""
    api.model()
    run = api.run()
    fields = {
        name
        for what in LISTS.values()
        for name in what(run)
        if name not in {"run_id", "experiment_id"}
    }
    body = dict.fromkeys(fields, ["x"] * MANY) | {"run_id": run}
    text = dict.fromkeys(fields, "x" * 200_000) | {"run_id": run}
    for method, path in sorted(mlflow_routes().paths()):
        if method == "GET" or path.endswith("/delete"):
            continue
        for sent in (body, text):
            headers = {"content-type": "application/json"}
            answer = api.send(method, path, content=json.dumps(sent), headers=headers)
            assert answer.status_code < 500 or answer.status_code == 501, (path, answer.text)
            assert len(answer.text) < 5000, path

"""MLflow's calls on tracking, as its clients send them: translation, phrases, codes."""

import asyncio
import json
import re
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from lastgood.api.mlflow import artifacts, experiments, logged_models, metrics, runs
from lastgood.api.mlflow.wire import MlflowRequest, error_reply
from lastgood.api.services import Services
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.engine.tracking import Tracking
from lastgood.errors import LastgoodError

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


def _routes():
    found = dict(artifacts.ARTIFACT_ROUTES)
    for module in (experiments, runs, metrics, logged_models, artifacts):
        found |= {
            (method, API + path): handler for (method, path), handler in module.ROUTES.items()
        }
    patterns = []
    for (method, path), handler in found.items():
        pattern = path.replace("{path:path}", "(?P<path>.*)")
        patterns.append(
            (method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)), handler)
        )
    return sorted(patterns, key=lambda row: row[1].groups)  # plain paths first


ROUTES = _routes()


class Client:
    """Calls handlers as the server does, but for the socket."""

    def __init__(self, services):
        self._services = services

    def __call__(self, method, path, body=b"", *, query="", headers=(), chunks=None):
        handler, found = next(
            (handler, match)
            for verb, pattern, handler in ROUTES
            if verb == method and (match := pattern.fullmatch(path))
        )
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        messages = [
            {"type": "http.request", "body": c, "more_body": True} for c in chunks or (content,)
        ]
        messages.append({"type": "http.request" if chunks is None else "http.disconnect"})

        async def receive():
            return messages.pop(0)

        request = MlflowRequest(
            services=self._services,
            scope={"method": method, "path": path, "headers": list(headers)},
            receive=receive,
            body=content,
            query=parse_qsl(query, keep_blank_values=True),
            path_params=found.groupdict(),
        )
        return asyncio.run(self._answer(handler, request))

    async def _answer(self, handler, request):
        sent = []

        async def send(message):
            sent.append(message)

        async def never():
            await asyncio.Event().wait()

        try:
            response = await handler(request)
        except LastgoodError as error:
            response = error_reply(error)
        await response(request.scope | {"type": "http"}, never, send)
        headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])

    def post(self, path, body, *, method="POST"):
        status, _, content = self(method, API + path, body)
        assert status == 200, content
        return json.loads(content)

    def get(self, path, /, **query):
        status, _, content = self("GET", API + path, query=urlencode(query, doseq=True))
        assert status == 200, content
        return json.loads(content)

    def refused(self, method, path, body=b"", **options):
        status, _, content = self(method, path, body, **options)
        return status, json.loads(content)["error_code"], json.loads(content)["message"]


@pytest.fixture
def client(tmp_path):
    init_data_directory(tmp_path / "data")
    with open_engine(tmp_path / "data") as engine:
        kernel = engine.kernel
        services = Services(
            kernel=kernel,
            registry=engine.registry,
            tracking=Tracking(kernel),
            artifacts=Artifacts(kernel),
            catalogue=None,
        )
        yield Client(services)


@pytest.fixture
def run_id(client):
    return client.post("/runs/create", {"experiment_id": "0", "start_time": "1000"})["run"]["info"][
        "run_id"
    ]


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
    client.post("/runs/outputs", {"run_id": run_id, "models": [{"model_id": "m-2", "step": 4}]})
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
    assert run["outputs"] == {"model_outputs": [{"model_id": "m-2", "step": 4}]}
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


# --- artifacts ------------------------------------------------------------------------------------


def put(client, path, data, **options):
    return client("PUT", f"{FILES}/{path}", data, **options)


def test_a_file_goes_up_and_comes_down(client, run_id):
    path = f"0/{run_id}/artifacts/d/ü b.txt"
    assert put(client, path, b"0123456789") == (200, {"content-length": "0"}, b"")
    status, headers, body = client("GET", f"{FILES}/{quote(path)}")
    assert (status, body) == (200, b"0123456789")
    assert headers["content-type"].startswith("text/plain")
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%BC%20b.txt"
    assert headers["x-content-type-options"] == "nosniff"
    status, headers, body = client("HEAD", f"{FILES}/{path}")
    assert (status, headers["content-length"], body) == (200, "10", b"")
    listed = client("GET", FILES, query=urlencode({"path": f"0/{run_id}/artifacts/d"}))
    assert json.loads(listed[2]) == {
        "files": [{"path": "ü b.txt", "is_dir": False, "file_size": 10}]
    }
    of_run = client.get("/artifacts/list", run_id=run_id, path="d")
    assert of_run == {
        "root_uri": f"mlflow-artifacts:/0/{run_id}/artifacts",
        "files": [{"path": "d/ü b.txt", "is_dir": False, "file_size": 10}],
    }
    assert client.get("/artifacts/list", run_id=run_id)["files"] == [{"path": "d", "is_dir": True}]
    shown = client("GET", "/get-artifact", query=urlencode({"run_id": run_id, "path": "d/ü b.txt"}))
    assert shown[2] == b"0123456789"
    assert client("DELETE", f"{FILES}/{path}")[::2] == (200, b"{}")
    assert client("DELETE", f"{FILES}/{path}")[0] == 200
    assert client.refused("GET", f"{FILES}/{path}")[:2] == (404, "RESOURCE_DOES_NOT_EXIST")
    assert json.loads(client("GET", FILES, query="path=nothing")[2]) == {}


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=0-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=5-2", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
    ],
)
def test_parts_of_a_file(client, asked, status, body, content_range):
    put(client, "a/b", b"0123456789")
    found = client("GET", f"{FILES}/a/b", headers=[(b"range", asked.encode())])
    assert (found[0], found[2], found[1].get("content-range")) == (status, body, content_range)


def test_a_large_file_is_streamed_whole(client):
    data = bytes(range(256)) * 20_000
    put(client, "a/large", data)
    status, headers, body = client("GET", f"{FILES}/a/large")
    assert (status, int(headers["content-length"]), body == data) == (200, len(data), True)


def test_an_upload_that_ends_early_stores_nothing(client, tmp_path):
    length = [(b"content-length", b"100")]
    assert put(client, "a/b", b"only ten b", headers=length)[0] == 400
    assert (
        put(client, "a/b", b"", headers=length, chunks=[b"x" * 2_000_000])[0] == 400
    )  # the client went away
    assert client.refused("GET", f"{FILES}/a/b")[0] == 404
    assert list((tmp_path / "data/objects/incoming").iterdir()) == []
    assert put(client, "a/b", b"x" * 100, headers=length)[0] == 200


def test_transfers_in_parts_are_answered_so_that_clients_fall_back(client):
    for method, path in (
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/a"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/a"),
        ("POST", f"{API}/artifacts/presigned-upload-url"),
    ):
        assert client.refused(method, path)[:2] == (501, "NOT_IMPLEMENTED")


def test_artifacts_elsewhere_are_not_fetched(client):
    made = client.post("/experiments/create", {"name": "x", "artifact_location": "s3://bucket"})
    run = client.post("/runs/create", made)["run"]["info"]["run_id"]
    assert client.refused("GET", f"{API}/artifacts/list", query=f"run_id={run}")[:2] == (
        400,
        "INVALID_PARAMETER_VALUE",
    )


def test_a_lost_object_is_told_before_the_first_byte(client, tmp_path):
    put(client, "a/b", b"data")
    (stored,) = [p for p in (tmp_path / "data/objects/sha256").rglob("*") if p.is_file()]
    stored.chmod(0o644)
    stored.write_bytes(b"dama")
    assert client.refused("GET", f"{FILES}/a/b")[:2] == (409, "RESOURCE_CONFLICT")
    stored.unlink()
    assert client.refused("GET", f"{FILES}/a/b")[0] == 404


HOSTILE = [
    "../x",
    "a/../../x",
    "%2e%2e/x",
    "%252e%252e/x",
    "..\\x",
    "C:/x",
    "/etc/passwd",
    "//x",
    "a\x00b",
    "a#b",
    "%ff",
    "\uff0e\uff0e/x",
]


@pytest.mark.parametrize("path", HOSTILE)
@pytest.mark.parametrize("form", [str, lambda p: quote(p, safe="", errors="surrogateescape")])
def test_hostile_paths_are_refused_everywhere(client, run_id, path, form):
    path = form(path)
    put(client, f"0/{run_id}/artifacts/a", b"x")
    answers = [
        client("PUT", f"{FILES}/{path}", b"x"),
        client("GET", f"{FILES}/{path}"),
        client("HEAD", f"{FILES}/{path}"),
        client("DELETE", f"{FILES}/{path}"),
        client("GET", FILES, query=urlencode({"path": path}, errors="surrogateescape")),
        client(
            "GET",
            f"{API}/artifacts/list",
            query=urlencode({"run_id": run_id, "path": path}, errors="surrogateescape"),
        ),
        client(
            "GET",
            "/get-artifact",
            query=urlencode({"run_id": run_id, "path": path}, errors="surrogateescape"),
        ),
    ]
    for status, _, body in answers:
        assert status == 400
        assert b"Invalid path" in body or body == b""

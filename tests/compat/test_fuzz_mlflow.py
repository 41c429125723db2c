"""Nasty requests to every endpoint of MLflow's protocol, and bytes that are hardly HTTP.

Whatever comes: never a failure of the server, always an error in the form that clients read, never a
word about the inside; and afterwards the server works and its store is whole.
"""

import importlib
import json
import pkgutil
import socket
import uuid
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import lastgood_server
from lastgood.api import mlflow
from lastgood.api.mlflow.routes import mlflow_routes

EXAMPLES, EXAMPLES_NIGHTLY = 8, 500
RAW_EXAMPLES, RAW_EXAMPLES_NIGHTLY = 60, 3000
PATIENCE_S = 60
LEAKS = (
    "Traceback",
    "sqlalchemy",
    "sqlite3",
    "SELECT ",
    "INSERT ",
    'File "/',
    "msgspec",
    "lastgood/",
)
API = "/api/2.0/mlflow"
UNDER_TEST = sorted(mlflow_routes().paths()) + [
    (method, API + path)
    for method, path in (
        ("GET", "/logged-models/{id}"),
        ("PATCH", "/logged-models/{id}"),
        ("DELETE", "/logged-models/{id}"),
        ("PATCH", "/logged-models/{id}/tags"),
        ("DELETE", "/logged-models/{id}/tags/{id}"),
        ("POST", "/logged-models/{id}/params"),
        ("GET", "-artifacts/artifacts/{id}"),
        ("PUT", "-artifacts/artifacts/{id}"),
        ("DELETE", "-artifacts/artifacts/{id}"),
    )
]


def fields():
    """What the requests of all endpoints call their parts."""
    names = {"page_token", "run_uuid", "filter_string"}
    for found in pkgutil.iter_modules(mlflow.__path__):
        module = importlib.import_module(f"{mlflow.__name__}.{found.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, msgspec.Struct):
                names |= {field.encode_name for field in msgspec.structs.fields(value)}
    return sorted(names)


FIELDS = fields()


def own_fields(method, path):
    """What the requests of this endpoint call their parts: those of the structures that its handler names."""
    found = mlflow_routes().find(method, path.replace("{id}", "x"))
    handler = found[0].handler
    named = [handler.__globals__.get(name) for name in handler.__code__.co_names]
    return sorted(
        field.encode_name
        for value in named
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
        for field in msgspec.structs.fields(value)
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    with lastgood_server(folder) as running:
        yield running
        with httpx.Client(base_url=running.url, timeout=PATIENCE_S) as client:
            assert client.get("/health").text == "OK"
            report = client.post("/api/v1/fsck").raise_for_status().json()
            assert report["problems"] == []
        log = (folder / "log").read_text()
        assert "incident" not in log
        assert "Traceback" not in log


@pytest.fixture
def known(server):
    """Things that exist, so that a request may get further than "there is no such run"; new for each endpoint."""
    name = f"churn-{uuid.uuid4().hex}"
    with httpx.Client(base_url=server.url + API, timeout=PATIENCE_S) as client:

        def made(path, body):
            return client.post(path, json=body).raise_for_status().json()

        experiment_id = made("/experiments/create", {"name": name})["experiment_id"]
        run_id = made("/runs/create", {"experiment_id": experiment_id})["run"]["info"]["run_id"]
        made("/runs/log-metric", {"run_id": run_id, "key": "auc", "value": 0.9, "timestamp": 1})
        made("/registered-models/create", {"name": name})
        made("/model-versions/create", {"name": name, "source": "s3://bucket/model"})
        made("/registered-models/alias", {"name": name, "alias": "champion", "version": "1"})
        logged = made("/logged-models", {"experiment_id": experiment_id, "name": "m"})
    model_id = logged["model"]["info"]["model_id"]
    return {
        **dict.fromkeys(("run_id", "run_uuid", "source_run_id"), run_id),
        "run_ids": [run_id],
        "models": [{"model_id": model_id, "step": 1}],
        "metrics": [{"key": "auc", "value": 0.5, "timestamp": 1, "step": 0}],
        "params": [{"key": "depth", "value": "6"}],
        "datasets": [{"dataset": {"name": "d", "digest": "1", "source_type": "s", "source": "x"}}],
        "status": "FINISHED",
        "timestamp": 1,
        "experiment_id": experiment_id,
        "experiment_ids": [experiment_id],
        "name": name,
        "version": "1",
        "alias": "champion",
        "stage": "Staging",
        "stages": ["Staging"],
        "model_id": model_id,
        "metric_key": "auc",
        "key": "auc",
        "value": "1",
        "source": f"models:/{model_id}",
        "filter": "metrics.auc > 0.5",
        "max_results": 5,
        "order_by": ["metrics.auc DESC"],
        "tags": [{"key": "a", "value": "b"}],
    }


texts = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "",
            " ",
            "\x00",
            "\x7f",
            "..",
            "../../../etc/passwd",
            "%2e%2e%2f",
            "%00",
            "a/b",
            "'; DROP TABLE runs; --",
            '" OR 1=1',
            "' OR '1'='1",
            "metrics.`a` = 'b' AND",
            "attributes.run_id IN (",
            "tags.a LIKE '%" + "%" * 500 + "'",
            "name ILIKE '_%\\",
            "file:///etc/passwd",
            "models:/churn/1",
            "models:/" * 100,
            "runs:/x/../../y",
            "http://127.0.0.1:1/",
            "NaN",
            "-1",
            "1e400",
            "9" * 400,
            "\u202e",
            "\U0001f600" * 50,
            "\ufeff",
            "x" * 70_000,
            "e\u0301" * 200,
        ]
    ),
)
numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**400]),
    st.floats(),
    st.sampled_from([1e308, -0.0, float("inf"), float("nan"), 5e-324]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS) | texts, inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def bodies(draw, known, own):
    """Mostly the right names, most of them with right values: one mistake at a time gets furthest."""
    names = [name for name in own if draw(st.integers(0, 9))]
    names += draw(st.lists(st.sampled_from(FIELDS), max_size=2))
    right = draw(st.sampled_from([1, 4, 12]))
    body = {}
    for name in names:
        body[name] = known[name] if name in known and draw(st.integers(0, right)) else draw(values)
    return body


def address(path, draw, known):
    parts = path.split("{id}")
    filled = parts[0]
    for part in parts[1:]:
        choice = draw(st.sampled_from([known["model_id"], None, None]))
        text = choice or draw(texts.filter(lambda t: 0 < len(t) < 500))
        filled += quote(text, safe=draw(st.sampled_from(["", "/"])), errors="replace") + part
    return filled


def sound(status, content, *, what):
    text = content.decode("utf-8", "replace")
    assert status < 500 or status == 501, (what, status, text)
    assert not [leak for leak in LEAKS if leak in text], (what, text)
    if status >= 400:
        said = json.loads(text)
        assert set(said) == {"error_code", "message"}, (what, text)
        assert said["error_code"].isupper()
        assert len(text) < 10_000, what


def fuzz(server, known, method, path, count):
    own = own_fields(method, path)
    with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:

        @settings(
            max_examples=count,
            deadline=None,
            derandomize=count == EXAMPLES,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def ask(data):
            where = address(path, data.draw, known)
            body = data.draw(bodies(known, own))
            kind = data.draw(
                st.sampled_from(["application/json"] * 6 + ["text/plain", "", "a/b;c"])
            )
            if method == "GET":
                query = [
                    (name, one)
                    for name, value in body.items()
                    for one in (value if isinstance(value, list) else [value])
                ]
                pairs = [
                    f"{quote(name, errors='replace')}={quote(str(value)[:500], errors='replace')}"
                    for name, value in query
                ]
                answer = client.get(f"{where}?{'&'.join(pairs)}")
            else:
                sent = json.dumps(body, ensure_ascii=data.draw(st.booleans()))
                content = sent.encode("utf-8", "surrogatepass")
                if data.draw(st.integers(0, 9)) == 0:
                    content = content[: data.draw(st.integers(0, len(content)))]
                answer = client.request(
                    method, where, content=content, headers={"content-type": kind}
                )
            sound(answer.status_code, answer.content, what=(method, where, body))

        ask()


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), UNDER_TEST)
def test_no_request_fails_inside(server, known, method, path):
    fuzz(server, known, method, path, EXAMPLES)


@pytest.mark.nightly
@pytest.mark.parametrize(("method", "path"), UNDER_TEST)
def test_no_request_of_many_fails_inside(server, known, method, path):
    fuzz(server, known, method, path, EXAMPLES_NIGHTLY)


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (500, b'{"error_code": "INTERNAL_ERROR", "message": "x"}'),
        (400, b"Bad Request"),
        (400, b'{"error_code": "BAD_REQUEST"}'),
        (
            400,
            b'{"error_code": "BAD_REQUEST", "message": "(sqlite3.OperationalError) no such table"}',
        ),
        (200, b'{"run": "Traceback (most recent call last)"}'),
    ],
)
def test_an_answer_that_tells_too_much_would_be_seen(status, content):
    """The control."""
    with pytest.raises((AssertionError, ValueError)):
        sound(status, content, what="")


# --- hardly HTTP ----------------------------------------------------------------------------------

METHODS = [
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "X",
    "get",
]
PATHS = [path for _, path in UNDER_TEST] + [
    "/",
    "//",
    "/%",
    "/%zz",
    "/\xff",
    "/api",
    "/api/2.0/mlflow/",
    "/ajax-api/2.0/mlflow/runs/get",
    "/api/2.0/mlflow-artifacts/artifacts/..%2f..%2fetc%2fpasswd",
    "/api/2.0/mlflow-artifacts/artifacts/%252e%252e/%00",
    "*",
    "http://127.0.0.1/api/2.0/mlflow/runs/get",
    "",
]
HEADERS = [
    "Host: 127.0.0.1",
    "Host: evil.example",
    "Host:",
    "Content-Type: application/json",
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 5, 6",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Expect: 100-continue",
    "Connection: close",
    "Upgrade: websocket",
    "Authorization: Basic " + "A" * 2000,
    "Authorization: Basic \xff\xff",
    "X-MLFLOW-WORKSPACE: x",
    "Range: bytes=5-1,9-",
    "User-Agent: \x01\x02",
    "no colon",
    ": no name",
    " folded",
]
TAILS = [b"", b"{}", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"\x00" * 50, b'{"run_id": "x"}']
raw_requests = st.builds(
    lambda method, path, version, headers, tail: (
        f"{method} {path} {version}\r\n".encode("latin-1", "replace")
        + "".join(f"{header}\r\n" for header in headers).encode("latin-1", "replace")
        + b"\r\n"
        + tail
    ),
    st.sampled_from(METHODS),
    st.sampled_from(PATHS) | st.text(max_size=20).map(lambda text: f"/api/2.0/mlflow/{text}"),
    st.sampled_from(["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/2.0", "HTTP/9", ""]),
    st.lists(st.sampled_from(HEADERS), max_size=5).map(lambda extra: ["Host: 127.0.0.1", *extra])
    | st.lists(st.sampled_from(HEADERS), max_size=5),
    st.sampled_from(TAILS),
)


def exchange(port, request):
    """What comes back until the server closes, or has nothing more to say."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65_536):
                answer += chunk
        except ConnectionError:
            return b""
    return answer


def fuzz_raw(server, count):
    port = int(server.url.rpartition(":")[2])

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=count == RAW_EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(raw_requests)
    def ask(request):
        answer = exchange(port, request)
        if not answer:  # hung up without a word, as one may on what is no HTTP
            return
        head, _, rest = answer.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        assert status < 500 or status == 501, (request, answer)
        text = rest.decode("utf-8", "replace")
        assert not [leak for leak in LEAKS if leak in text], (request, text)

    ask()
    assert httpx.get(f"{server.url}/health", timeout=PATIENCE_S).text == "OK"


@pytest.mark.slow
def test_what_is_hardly_http(server):
    fuzz_raw(server, RAW_EXAMPLES)


@pytest.mark.nightly
def test_much_that_is_hardly_http(server):
    fuzz_raw(server, RAW_EXAMPLES_NIGHTLY)

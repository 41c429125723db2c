"""MLflow's artifact proxy, as its clients use it."""

import hashlib
import json
from urllib.parse import quote, urlencode

import pytest

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


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


def test_artifacts_elsewhere_are_not_fetched(client):
    made = client.post("/experiments/create", {"name": "x", "artifact_location": "s3://bucket"})
    run = client.post("/runs/create", made)["run"]["info"]["run_id"]
    assert client.refused("GET", f"{API}/artifacts/list", query=f"run_id={run}")[:2] == (
        400,
        "INVALID_PARAMETER_VALUE",
    )


def test_a_lost_object_is_told_before_the_first_byte(client, tmp_path):
    put(client, "a/b", b"data")
    digest = hashlib.sha256(b"data").hexdigest()
    stored = tmp_path / "data/objects/sha256" / digest[:2] / digest[2:]
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
    "a#b",
    "%ff",
    "\uff0e\uff0e/x",
]
ENCODED = [quote(path, safe="", errors="surrogateescape") for path in HOSTILE]


@pytest.mark.parametrize("path", [*HOSTILE, *ENCODED, "a\x00b"])
def test_hostile_paths_are_refused_everywhere(client, run_id, path):
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


def test_a_percent_sign_before_digits_is_part_of_a_name(client, run_id):
    """`log_image` of MLflow 2 separates with percent signs; decoded, ``%17`` would be a control character."""
    name = "dogs%step%0%timestamp%1795258975014.png"
    put(client, f"0/{run_id}/artifacts/{quote(name)}", b"x")
    (listed,) = client.get("/artifacts/list", run_id=run_id)["files"]
    assert listed["path"] == name
    assert client("GET", f"{FILES}/0/{run_id}/artifacts/{quote(name)}")[::2] == (200, b"x")

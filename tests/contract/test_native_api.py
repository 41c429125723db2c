"""The native API as somebody without our client meets it: its description, its errors, its limits."""

import re

import httpx
import pytest

REPORT = {"gateway": "g", "host": "h", "url": "u"}


@pytest.fixture
def http(server_url):
    with httpx.Client(base_url=server_url, trust_env=False) as client:
        yield client


def error_of(response):
    assert set(response.json()) == {"error"}, response.text
    assert set(response.json()["error"]) == {"kind", "message", "hint", "exit_code"}
    return response.status_code, response.json()["error"]["kind"]


def test_openapi_describes_every_verb(http):
    document = http.get("/api/v1/openapi.json").json()
    assert document["info"]["title"] == "lastgood"
    verbs = {path.removeprefix("/api/v1/").split("/")[0] for path in document["paths"]}
    assert verbs >= {
        "models", "show", "diff", "log", "live", "why", "fsck", "manifests", "objects",
        "register", "promote", "rollback", "mark", "target", "observations",
        "blame", "lineage", "restore", "revert", "undo", "yank", "import",
    }  # fmt: skip
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            assert described["description"], (method, path)


def test_the_page_about_it_needs_no_other_host(http):
    page = http.get("/docs")
    assert page.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    for source in sources:
        assert source.startswith("/"), source
        assert http.get(source).status_code == 200, source
    assert "http://" not in page.text
    assert "https://" not in page.text


@pytest.mark.parametrize(
    ("method", "path", "options", "expected"),
    [
        ("GET", "/api/v1/nothing", {}, (404, "NotFound")),
        ("DELETE", "/api/v1/models", {}, (405, "InvalidInput")),
        ("GET", "/api/v1/show", {}, (400, "InvalidInput")),
        ("GET", "/api/v1/show?reference=a/b/c", {}, (400, "InvalidReference")),
        ("GET", "/api/v1/show?reference=nobody", {}, (404, "NotFound")),
        ("GET", "/api/v1/log?limit=0", {}, (400, "InvalidInput")),
        ("GET", "/api/v1/log?limit=many", {}, (400, "InvalidInput")),
        ("GET", "/api/v1/live?at=99999999999999999999999999", {}, (400, "InvalidReference")),
        ("GET", "/api/v1/target/m/v3", {}, (400, "InvalidName")),
        ("GET", "/api/v1/target/m/production?wait_s=9999", {}, (400, "InvalidInput")),
        ("GET", "/api/v1/target/m/production?wait_s=nan", {}, (400, "InvalidInput")),
        ("GET", "/api/v1/objects/sha256:12", {}, (400, "InvalidInput")),
        ("GET", "/api/v1/objects/sha256:" + "0" * 64, {}, (404, "NotFound")),
        ("GET", "/api/v1/models/%00/versions", {}, (400, "InvalidName")),
        ("PUT", "/api/v1/objects/sha256:" + "0" * 64, {"content": b"x"}, (409, "IntegrityFailure")),
        ("POST", "/api/v1/promote", {"content": b"{"}, (400, "InvalidInput")),
        ("POST", "/api/v1/promote", {"json": []}, (400, "InvalidInput")),
        ("POST", "/api/v1/promote", {"json": {"reference": 1, "to": []}}, (400, "InvalidInput")),
        ("POST", "/api/v1/promote", {"json": {"reference": "m/1", "to": "a b"}}, (400, "InvalidName")),
        ("POST", "/api/v1/promote", {"json": {"reference": "m/1", "to": "p", "expect_heed": 1}}, (400, "InvalidInput")),
        ("POST", "/api/v1/mark", {"json": {"reference": "m/1", "value": "splendid"}}, (400, "InvalidInput")),
        ("POST", "/api/v1/register", {"json": {"model": "m", "manifest": {"files": []}}}, (400, "InvalidInput")),
        ("POST", "/api/v1/promote", {"content": rb'{"reference": "m/1", "to": "p", "reason": "\ud800"}'}, (400, "InvalidInput")),
        ("POST", "/api/v1/observations", {"json": {**REPORT, "batch": 10**30}}, (400, "InvalidInput")),
        ("POST", "/api/v1/objects/missing", {"json": {"digests": ["x"]}}, (400, "InvalidInput")),
        ("POST", "/api/v1/promote", {"json": {}, "headers": {"idempotency-key": "k" * 201}}, (413, "TooLarge")),
    ],
)  # fmt: skip
def test_bad_requests_are_refused_in_one_shape(http, method, path, options, expected):
    assert error_of(http.request(method, path, **options)) == expected


def test_a_path_in_a_manifest_cannot_leave_the_model(http):
    for path in ("../x", "/etc/passwd", "a//b", "a\\b", "C:x", "a/./b"):
        files = [{"path": path, "digest": "sha256:" + "0" * 64, "size": 1}]
        answer = http.post("/api/v1/register", json={"model": "m", "manifest": {"files": files}})
        assert error_of(answer) == (400, "InvalidInput"), path


def test_a_body_without_an_end_is_cut_off(http):
    def endless():
        while True:
            yield b" " * 2**20

    headers = {"content-type": "application/json"}
    try:
        answer = http.post("/api/v1/promote", content=endless(), headers=headers)
    except (httpx.WriteError, httpx.RemoteProtocolError):
        return  # the server closed the connection while we still sent
    assert answer.status_code == 413


def test_an_upload_that_breaks_off_leaves_nothing(http):
    digest = "sha256:" + "1" * 64

    def broken():
        yield b"x" * 2**20
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        http.put(f"/api/v1/objects/{digest}", content=broken())
    assert http.post("/api/v1/objects/missing", json={"digests": [digest]}).json() == [digest]
    assert http.get("/health").status_code == 200


def test_who_calls_without_saying_so_is_anonymous(http):
    body = b"anonymous"
    digest = "sha256:2f183a4e64493af3f377f745eda502363cd3e7ef6e4d266d444758de0a85fcc8"
    assert http.put(f"/api/v1/objects/{digest}", content=body).status_code == 204
    manifest = {"files": [{"path": "f", "digest": digest, "size": len(body)}]}
    assert (
        http.post("/api/v1/register", json={"model": "anon", "manifest": manifest}).status_code
        == 200
    )
    entry = http.get("/api/v1/log", params={"model": "anon"}).json()[0]
    assert (entry["actor"], entry["origin"]["door"]) == (
        {"name": "anonymous", "verified": False},
        "http",
    )
    assert entry["origin"]["program"].startswith("python-httpx")

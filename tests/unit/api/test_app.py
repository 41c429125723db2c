"""What holds for every request: where it may come from, how large it may be, what errors may tell."""

import asyncio
import json
import logging

import httpx
import pytest

from lastgood.api.app import create_app
from lastgood.api.limits import JSON_BODY_MAX
from lastgood.api.mlflow.left_out import FAMILIES
from lastgood.api.mlflow.routes import Routes, mlflow_routes
from lastgood.api.process import services_of

CREATE = "/api/2.0/mlflow/registered-models/create"


def test_health_version_and_server_info(api):
    assert (api.send("GET", "/health").text, api.send("GET", "/version").text) == ("OK", "3.17.2")
    info = api.send("GET", "/api/3.0/mlflow/server-info").json()
    assert info["multipart_uploads_enabled"] is False


def test_the_native_api_and_its_page_are_there(api):
    assert api.send("GET", "/api/v1/models").json() == []
    assert "/api/v1/models" in api.send("GET", "/api/v1/openapi.json").json()["paths"]
    page = api.send("GET", "/docs")
    assert page.status_code == 200
    assert "https://" not in page.text  # nothing is loaded from elsewhere


def test_the_name_that_web_pages_use_is_the_same_endpoint(api):
    api.model()
    found = api.send("GET", "/ajax-api/2.0/mlflow/registered-models/get", params={"name": "churn"})
    assert found.json()["registered_model"]["name"] == "churn"


@pytest.mark.parametrize(
    "path",
    [
        "/api/2.0/mlflow/nothing",
        "/api/2.0/mlflow/tracesandmore",
        "/api/3.0/mlflow/workspaces",
        "/ajax-api/3.0/mlflow/workspaces/default",
        "/api/9",
        "/api/2.0/mlflow/registered-models/get/",
    ],
)
def test_unknown_endpoints_answer_as_clients_expect(api, path):
    for method in ("GET", "POST"):
        answer = api.send(method, path)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [
        "/api/2.0/mlflow/traces",
        "/api/3.0/mlflow/traces/search",
        "/ajax-api/3.0/mlflow/gateway/endpoints/list",
        "/api/3.0/mlflow/jobs/5",
        "/ajax-api/3.0/jobs",
        "/v1/traces",
        "/graphql",
    ],
)
def test_what_is_left_out_says_so_with_a_status_that_no_client_repeats(api, path):
    for method in ("GET", "POST", "DELETE"):
        answer = api.send(method, path, content=b"\x0a\x00")
        assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED")
        assert answer.json()["message"].startswith("lastgood does not offer MLflow's ")


def test_what_is_left_out_is_really_not_there():
    for family in FAMILIES:
        for path in family.paths:
            assert not mlflow_routes().methods(path), path
            assert not mlflow_routes().methods(f"{path}/x"), path


def test_a_workspace_is_refused_but_where_clients_ask_whether_there_are_any(api):
    named = {"x-mlflow-workspace": "team-a"}
    answer = api.send("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", headers=named)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "FEATURE_DISABLED")
    assert (
        api.send(
            "PUT", "/api/2.0/mlflow-artifacts/artifacts/a/b", content=b"x", headers=named
        ).status_code
        == 400
    )
    for path in ("/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info", "/version"):
        assert api.send("GET", path, headers=named).status_code == 200
    blank = {"x-mlflow-workspace": " "}
    assert api.send(
        "GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", headers=blank
    ).is_success


def test_the_wrong_method_names_the_right_one(api):
    answer = api.send("PUT", CREATE, json={"name": "a"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"{",
        b"[]",
        b"5",
        b"null",
        b'""',
        b'"x"',
        b"\xff\xfe",
        b"{}",
        b'{"name": null}',
        b'{"name": ""}',
    ],
)
def test_what_is_no_request_misses_its_first_parameter(api, body):
    answer = api.send("POST", CREATE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["message"] == "Missing value for required parameter 'name'"


@pytest.mark.parametrize(
    ("body", "phrase"),
    [
        (b'{"name":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deeply"),
        (b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deeply"),
        (b'{"name": "\\ud800"}', "surrogate"),
        (b'{"name": ["a"]}', "Invalid value [\"a\"] for parameter 'name' supplied"),
        (b'{"name": {"a": 1}}', "Invalid value"),
        (b'{"name": true}', "Invalid value true"),
        (b'{"name": NaN}', "Invalid value NaN"),
        (b'{"name": 1e999}', "Invalid value"),
        (b'{"name": "a", "tags": {}}', "for parameter 'tags' supplied"),
        (b'{"name": "a", "tags": [1]}', "for parameter 'tags[0]' supplied"),
        (b'{"name": "a", "tags": [{"value": "x"}]}', "required parameter 'tags[0].key'"),
    ],
)
def test_wrong_types_are_named(api, body, phrase):
    answer = api.send("POST", CREATE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert phrase in answer.json()["message"]


def test_json_inside_a_json_string_is_read(api):
    body = json.dumps(json.dumps({"name": "churn"}))
    assert (
        api.send(
            "POST",
            CREATE,
            content=body,
            headers={"content-type": "application/json; charset=utf-8"},
        ).status_code
        == 200
    )


def test_a_form_is_refused(api):
    for kind in ("application/x-www-form-urlencoded", "text/plain", ""):
        answer = api.send(
            "POST", CREATE, content=b'{"name": "churn"}', headers={"content-type": kind}
        )
        assert answer.status_code == 400
        assert "Content-Type" in answer.json()["message"]


def endless(sent):
    async def chunks():
        for _ in range(1600):
            sent.append(1 << 16)
            yield b" " * (1 << 16)

    return chunks()


def test_a_hundred_megabytes_are_refused_before_they_are_read(api):
    sent = []

    async def exchange(headers):
        transport = httpx.ASGITransport(app=api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.post(
                CREATE,
                content=endless(sent),
                headers={"content-type": "application/json", **headers},
            )

    answer = asyncio.run(exchange({}))
    assert (answer.status_code, answer.json()["error_code"]) == (413, "INVALID_PARAMETER_VALUE")
    assert sum(sent) <= JSON_BODY_MAX + (1 << 17)
    sent.clear()
    answer = asyncio.run(exchange({"content-length": str(100 << 20)}))
    assert answer.status_code == 413
    assert not sent


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0"],
)
def test_other_hosts_are_refused(api, host):
    for path in ("/api/2.0/mlflow/registered-models/search", "/api/v1/models", "/docs"):
        answer = api.send("GET", path, headers={"host": host})
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert api.send("GET", "/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:5000", "localhost:80", "LOCALHOST", "[::1]:5000", "127.0.0.2"]
)
def test_loopback_hosts_are_served(api, host):
    assert (
        api.send(
            "GET", "/api/2.0/mlflow/registered-models/search", headers={"host": host}
        ).status_code
        == 200
    )


def test_pages_of_other_origins_may_not_change_anything(api):
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
    ):
        for path in (CREATE, "/api/v1/promote"):
            assert api.send("POST", path, json={"name": "a"}, headers=headers).status_code == 403
        assert (
            api.send("DELETE", "/api/2.0/mlflow-artifacts/artifacts/x", headers=headers).status_code
            == 403
        )
    # The control: a page of this server may.
    own = {"origin": "http://127.0.0.1:5000", "sec-fetch-site": "same-origin"}
    assert api.send("POST", CREATE, json={"name": "a"}, headers=own).status_code == 200


def test_an_artifact_cannot_run_as_a_page_of_this_server(api):
    api.upload("0/x.html", b"<script>alert(1)</script>")
    answer = api.send("GET", "/api/2.0/mlflow-artifacts/artifacts/0/x.html")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_the_unexpected_tells_nothing_but_a_number_that_the_log_has(api, caplog):
    class Broken:
        def model(self, name):
            raise RuntimeError("SELECT secret FROM models")

    services = services_of(api.engine)
    object.__setattr__(services, "catalogue", Broken())
    api.app = create_app(services)
    with caplog.at_level(logging.ERROR, logger="lastgood.api"):
        answer = api.send("GET", "/api/2.0/mlflow/registered-models/get", params={"name": "churn"})
    assert answer.status_code == 500
    said = answer.json()
    assert said["error_code"] == "INTERNAL_ERROR"
    assert "secret" not in answer.text
    incident = said["message"].rsplit(" ", 1)[1]
    assert incident in caplog.text
    assert "SELECT secret" in caplog.text


def test_the_version_artifact_of_the_user_interface(api):
    api.model()
    api.version()
    query = {"name": "churn", "version": "1", "path": "model.pkl"}
    assert api.send("GET", "/model-versions/get-artifact", params=query).content == b"weights"
    for path in ("../model.pkl", "%2e%2e/x", "/etc/passwd"):
        answer = api.send("GET", "/model-versions/get-artifact", params={**query, "path": path})
        assert answer.status_code == 400


def test_a_query_with_too_many_fields(api):
    query = "&".join("a" for _ in range(10_001))
    assert api.send("GET", f"/api/2.0/mlflow/registered-models/search?{query}").status_code == 400


def test_every_endpoint_survives_nothing_and_nonsense(api):
    nonsense = {
        "name": {"a": []},
        "version": -1,
        "run_id": 5,
        "key": None,
        "max_results": "x",
        "filter": 3,
    }
    for method, path in sorted(mlflow_routes().paths()):
        for body in (
            {},
            nonsense,
            {
                "name": "x",
                "version": "1",
                "key": "k",
                "source": "\x00",
                "alias": "\x00",
                "stage": "",
            },
        ):
            options = (
                {"params": {k: str(v) for k, v in body.items()}}
                if method in {"GET", "HEAD"}
                else {"json": body}
            )
            answer = api.send(method, path, **options)
            assert answer.status_code < 500 or answer.json()["error_code"] == "NOT_IMPLEMENTED", (
                method,
                path,
                body,
                answer.text,
            )


def test_routes_with_parameters():
    async def handler(request):
        return None

    routes = Routes()
    routes.add(
        {
            ("GET", "/a/{id}"): handler,
            ("GET", "/f/{path:path}"): handler,
            ("GET", "/a/fixed"): handler,
        }
    )
    assert routes.find("GET", "/a/7")[1] == {"id": "7"}
    assert routes.find("GET", "/a/fixed")[1] == {}
    assert routes.find("GET", "/f/x/y\nz")[1] == {"path": "x/y\nz"}
    assert routes.find("GET", "/a/7/8") is None
    assert routes.find("POST", "/a/7") is None
    assert routes.methods("/a/7") == ["GET"]

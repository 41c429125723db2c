"""Requests that nobody would write by hand, made from the native API's own description of itself.

None may fail inside the server, and every answer must be what the description says.
"""

import hashlib
from types import SimpleNamespace

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from conftest import lastgood_server
from lastgood.api.native import create_native_app

EXAMPLES, EXAMPLES_NIGHTLY = 8, 400
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
LEAKS = ("Traceback", "sqlalchemy", "sqlite3", "SELECT ", 'File "/')
CONTENT = b"weights"
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


def described():
    """Only described, never called: no engine is needed."""
    importing = SimpleNamespace(tracking=None, registry=None)
    services = SimpleNamespace(
        registry=None, kernel=SimpleNamespace(bell=None), importing=importing
    )
    return create_native_app(services).openapi()


def operations_of(description):
    schema = schemathesis.openapi.from_dict(description)
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


OPERATIONS = operations_of(described())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    with lastgood_server(folder) as running:
        with httpx.Client(base_url=f"{running.url}/api/v1", timeout=60) as client:
            client.put(f"/objects/{DIGEST}", content=CONTENT).raise_for_status()
            file = {"path": "model.pkl", "digest": DIGEST, "size": len(CONTENT)}
            for commit in ("a" * 40, "b" * 40):
                manifest = {"files": [file], "code": {"commit": commit}}
                body = {"model": "churn", "manifest": manifest}
                answer = client.post("/register", json=body)
                assert answer.status_code == 200, answer.text
            body = {"reference": "churn/1", "to": "production"}
            client.post("/promote", json=body).raise_for_status()
        yield running
        with httpx.Client(base_url=f"{running.url}/api/v1", timeout=60) as client:
            report = client.post("/fsck").raise_for_status().json()
            assert report["problems"] == []
        log = (folder / "log").read_text()
        assert "unexpected failure" not in log
        assert "incident" not in log


KNOWN = {
    "model": st.sampled_from(["churn", "churn", "none"]),
    "ref": st.sampled_from(["production", "staging", "champion"]),
    "environment": st.sampled_from(["production", "staging"]),
    "reference": st.sampled_from(["churn/1", "churn@production", "churn", "churn/2", "churn/9"]),
    "a": st.just("churn/1"),
    "b": st.just("churn/2"),
    "to": st.sampled_from(["production", "staging", "champion", "none"]),
    "digest": st.just(DIGEST),
}
"""Values that mean something here; a fuzzer alone would hardly ever get past "there is no such model"."""


def replaced(parameters, data):
    if not isinstance(parameters, dict):
        return parameters
    return {
        name: data.draw(KNOWN[name]) if name in KNOWN and data.draw(st.booleans()) else value
        for name, value in parameters.items()
    }


def fuzz(server, operation, count):
    @settings(
        max_examples=count,
        deadline=None,
        derandomize=count == EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), data=st.data())
    def ask(case, data):
        case.path_parameters = replaced(case.path_parameters, data)
        case.query = replaced(case.query, data)
        case.body = replaced(case.body, data)
        if isinstance(case.query, dict) and "wait_s" in case.query:
            case.query["wait_s"] = 0.01  # it works, and would take a minute each time
        response = case.call(base_url=server.url, timeout=60)
        case.validate_response(response, checks=CHECKS)
        text = response.content.decode("utf-8", "replace")
        assert not [leak for leak in LEAKS if leak in text]

    ask()


@pytest.mark.slow
@pytest.mark.parametrize("label", OPERATIONS)
def test_no_request_fails_inside(server, label):
    fuzz(server, OPERATIONS[label], EXAMPLES)


@pytest.mark.nightly
@pytest.mark.parametrize("label", OPERATIONS)
def test_no_request_of_many_fails_inside(server, label):
    fuzz(server, OPERATIONS[label], EXAMPLES_NIGHTLY)


@pytest.mark.slow
def test_an_answer_that_is_not_as_described_would_be_seen(server):
    """The control."""
    wrong = described()
    answers = wrong["paths"]["/api/v1/models"]["get"]["responses"]
    answers["200"]["content"]["application/json"]["schema"] = {"type": "integer"}
    with pytest.raises(FailureGroup, match="1 distinct failure"):
        fuzz(server, operations_of(wrong)["GET /api/v1/models"], EXAMPLES)

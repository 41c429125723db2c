"""Searches for models and versions: filters, order, pages that neither skip nor repeat."""

import time

import pytest

from lastgood.api.process import services_of
from lastgood.core.commands import Caller
from lastgood.core.operations import Actor
from lastgood.engine.register_source import NewVersion, PreparedVersion
from lastgood.engine.sources import Resolved, SourceClaim


@pytest.fixture
def shelf(api):
    for name, team in (("alpha", "growth"), ("beta", "growth"), ("gamma", "risk")):
        api.model(name, tags=[{"key": "team", "value": team}])
        for number in range(1, 4):
            api.external(name, source=f"s3://bucket/{name}/{number}", run_id=f"{number}" * 32)
    api.call(
        "POST",
        "/model-versions/set-tag",
        {"name": "beta", "version": "2", "key": "validated", "value": "yes"},
    )
    api.alias("champion", 2, name="beta")
    return api


def models(api, text="", **more):
    found = api.call("GET", "/registered-models/search", {"filter": text, **more})
    return [m["name"] for m in found.get("registered_models", [])]


def versions(api, text="", **more):
    found = api.call("GET", "/model-versions/search", {"filter": text, **more})
    return [(v["name"], v["version"]) for v in found.get("model_versions", [])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["alpha", "beta", "gamma"]),
        ("name = 'beta'", ["beta"]),
        ("name != 'beta'", ["alpha", "gamma"]),
        ("name LIKE '%a%'", ["alpha", "beta", "gamma"]),
        ("name LIKE 'B%'", []),
        ("name ILIKE 'B%'", ["beta"]),
        ("name IN ('alpha', 'gamma')", ["alpha", "gamma"]),
        ("tags.team = 'growth'", ["alpha", "beta"]),
        ("tags.team = 'growth' AND name LIKE '%b%'", ["beta"]),
        ("tags.absent != 'x'", []),
        ("tags.absent IS NULL AND name = 'beta'", ["beta"]),
    ],
)
def test_model_filters(shelf, text, expected):
    assert models(shelf, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name = 'beta'", [("beta", "2"), ("beta", "3"), ("beta", "1")]),
        ("version_number >= 3", [("gamma", "3"), ("beta", "3"), ("alpha", "3")]),
        ("name = 'beta' and version_number < 2", [("beta", "1")]),
        (f"run_id = '{'1' * 32}'", [("gamma", "1"), ("beta", "1"), ("alpha", "1")]),
        (f"run_id IN ('{'1' * 32}') AND name = 'alpha'", [("alpha", "1")]),
        ("source_path LIKE '%gamma/2'", [("gamma", "2")]),
        ("tags.validated = 'yes'", [("beta", "2")]),
    ],
)
def test_version_filters(shelf, text, expected):
    # Versions made within one millisecond are in no order of time.
    assert sorted(versions(shelf, text)) == sorted(expected)


def test_the_last_changed_comes_first(shelf):
    time.sleep(0.002)  # times are whole milliseconds
    shelf.stage(2, "Staging", name="beta")
    time.sleep(0.002)
    described = {"name": "alpha", "version": "1", "description": "of the version alone"}
    shelf.call("PATCH", "/model-versions/update", described)
    time.sleep(0.002)
    # Neither tags nor aliases are changes, as with MLflow.
    tag = {"name": "gamma", "key": "k", "value": "v"}
    shelf.call("POST", "/model-versions/set-tag", {**tag, "version": "3"})
    shelf.call("POST", "/registered-models/set-tag", tag)
    shelf.alias("champion", 3, name="gamma")
    shelf.call("DELETE", "/registered-models/alias", {"name": "gamma", "alias": "champion"})
    assert versions(shelf)[:2] == [("alpha", "1"), ("beta", "2")]
    assert models(shelf, order_by=["last_updated_timestamp DESC"])[0] == "beta"


def test_orders(shelf):
    assert models(shelf, order_by=["name DESC"]) == ["gamma", "beta", "alpha"]
    assert versions(shelf, order_by=["name ASC", "version_number ASC"])[:4] == [
        ("alpha", "1"),
        ("alpha", "2"),
        ("alpha", "3"),
        ("beta", "1"),
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/registered-models/search", "version_number = 1"),
        ("/registered-models/search", "metrics.a > 1"),
        ("/registered-models/search", "name > 'a'"),
        ("/registered-models/search", "name = 1"),
        ("/model-versions/search", "version_number = '1'"),
        ("/model-versions/search", "version_number LIKE '1'"),
        ("/model-versions/search", "source_path IN ('a')"),
        ("/model-versions/search", "stage = 'Production'"),
        ("/model-versions/search", "params.a = 'b'"),
        ("/model-versions/search", "name = 'a' OR name = 'b'"),
        ("/model-versions/search", "name = 'a'; DROP TABLE versions"),
    ],
)
def test_filters_that_are_refused(shelf, path, text):
    status, code, message = shelf.refused("GET", path, {"filter": text})
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "Invalid" in message


def test_entities_in_searches_list_aliases_and_tags(shelf):
    (model,) = shelf.call("GET", "/registered-models/search", {"filter": "name = 'beta'"})[
        "registered_models"
    ]
    assert model["aliases"] == [{"alias": "champion", "version": "2"}]
    assert model["tags"] == [{"key": "team", "value": "growth"}]
    assert [v["version"] for v in model["latest_versions"]] == ["3"]
    found = shelf.call(
        "GET", "/model-versions/search", {"filter": "name = 'beta' AND version_number = 2"}
    )
    assert found["model_versions"][0]["aliases"] == ["champion"]
    assert found["model_versions"][0]["tags"] == [{"key": "validated", "value": "yes"}]


def pages(api, path, key, **query):
    token, found = "", []
    for _ in range(100):
        answer = api.call("GET", path, {**query, **({"page_token": token} if token else {})})
        found.append([(v["name"], v.get("version")) for v in answer.get(key, [])])
        token = answer.get("next_page_token", "")
        if not token:
            return found
    raise AssertionError("pages without end")


def test_pages_are_complete_and_without_repetition(shelf):
    found = pages(shelf, "/model-versions/search", "model_versions", max_results=2)
    assert [len(page) for page in found] == [2, 2, 2, 2, 1]
    assert len({v for page in found for v in page}) == 9
    found = pages(shelf, "/registered-models/search", "registered_models", max_results=3)
    assert found == [[("alpha", None), ("beta", None), ("gamma", None)]]


def test_pages_do_not_skip_when_rows_are_added_meanwhile(shelf):
    first = shelf.call("GET", "/registered-models/search", {"max_results": 2})
    shelf.model("aardvark")
    rest = shelf.call(
        "GET",
        "/registered-models/search",
        {"max_results": 2, "page_token": first["next_page_token"]},
    )
    assert [m["name"] for m in rest["registered_models"]] == ["gamma"]


def test_a_token_belongs_to_its_search(shelf):
    first = shelf.call("GET", "/model-versions/search", {"max_results": 2})
    status, code, _ = shelf.refused(
        "GET",
        "/model-versions/search",
        {"filter": "name = 'beta'", "page_token": first["next_page_token"]},
    )
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")


def test_more_versions_than_one_statement_takes(api):
    api.model("many")
    catalogue = services_of(api.engine).catalogue
    caller = Caller(actor=Actor(name="ann"))
    futures = []
    for number in range(1, 901):
        new = NewVersion(
            model="many", claim=SourceClaim(source="s3://b/m"), tags={"n": str(number)}
        )
        futures.append(
            catalogue.register_version(PreparedVersion(new=new, source=Resolved()), caller=caller)
        )
    for future in futures:
        future.result()
    found = api.call(
        "GET", "/model-versions/search", {"filter": "name = 'many'", "max_results": 1000}
    )
    assert len(found["model_versions"]) == 900
    assert all(v["tags"] == [{"key": "n", "value": v["version"]}] for v in found["model_versions"])

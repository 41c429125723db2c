"""Every artifact endpoint against every variant of the corpus: no escape, no 5xx."""

import itertools
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from path_corpus import corpus, reached_by_a_naive_join

API = "/api/2.0/mlflow"
PROXY = "/api/2.0/mlflow-artifacts"
FILES = f"{PROXY}/artifacts"
SPREAD = 9  # in the daily run, each endpoint gets every ninth variant; all of them nightly


def _query(base, **fixed):
    return lambda name: (
        lambda path: (
            "GET",
            f"{base}?{urlencode({**fixed, name: path}, errors='surrogateescape')}",
            None,
        )
    )


def endpoints(run, upload, model_id):
    """Every place where a client names a path: from the path to method, target and body."""
    of_run = f"0/{run}/artifacts"

    def raw(method, prefix, body=None):
        # As it is: encoded once by whoever made the variant, or not at all.
        return lambda path: (method, f"{prefix}/{path}", body)

    def encoded(method, prefix, body=None):
        return lambda path: (method, f"{prefix}/{quote(path, safe='')}", body)

    return {
        "put": raw("PUT", FILES, b"x"),
        "put encoded": encoded("PUT", FILES, b"x"),
        "put in run": raw("PUT", f"{FILES}/{of_run}", b"x"),
        "get": raw("GET", FILES),
        "get encoded": encoded("GET", FILES),
        "get in run": raw("GET", f"{FILES}/{of_run}"),
        "head": raw("HEAD", FILES),
        "delete": raw("DELETE", FILES),
        "delete encoded": encoded("DELETE", FILES),
        "list": _query(FILES)("path"),
        "list of run": _query(f"{API}/artifacts/list", run_id=run)("path"),
        "get of run": _query("/get-artifact", run_id=run)("path"),
        "get of version": _query("/model-versions/get-artifact", name="guarded", version="1")(
            "path"
        ),
        "list of model": _query(f"{API}/logged-models/{model_id}/artifacts/directories")(
            "artifact_directory_path"
        ),
        "get of model": _query(f"{API}/logged-models/{model_id}/artifacts/files")(
            "artifact_file_path"
        ),
        "small upload": lambda path: (
            "POST",
            f"{API}/upload-artifact?{urlencode({'run_uuid': run, 'path': path})}",
            b"x",
        ),
        "parts": raw("POST", f"{PROXY}/mpu/create", {"path": "m", "num_parts": 1}),
        "parts by name": lambda path: (
            "POST",
            f"{PROXY}/mpu/create/{of_run}",
            {"path": path, "num_parts": 1},
        ),
        "a part": raw("PUT", f"{PROXY}/mpu/part/{upload}/1", b"x"),
        "a part of": lambda path: ("PUT", f"{PROXY}/mpu/part/{quote(path, safe='')}/1/m", b"x"),
        "complete": raw(
            "POST", f"{PROXY}/mpu/complete", {"path": "m", "upload_id": upload, "parts": []}
        ),
        "abort by id": lambda path: (
            "POST",
            f"{PROXY}/mpu/abort/{of_run}",
            {"path": "m", "upload_id": path},
        ),
        "address": raw("GET", f"{PROXY}/presigned"),
        "address of run": lambda path: (
            "POST",
            f"{API}/artifacts/presigned-download-url",
            {"run_id": run, "path": path},
        ),
        "object": raw("GET", "/api/v1/objects"),
        "put object": raw("PUT", "/api/v1/objects", b"x"),
        "manifest": raw("GET", "/api/v1/manifests"),
    }


@pytest.fixture(scope="module")
def prepared(site):
    """A run, an upload that goes on, and a logged model."""
    site.version()
    run = site.run()
    site.put(f"0/{run}/artifacts/a/b")
    begun = site.wire("POST", f"{PROXY}/mpu/create/0/r", {"path": "m", "num_parts": 1}).json()
    made = site.wire("POST", f"{API}/logged-models", {"experiment_id": "0", "name": "m"}).json()
    return endpoints(run, begun["upload_id"], made["model"]["info"]["model_id"])


@pytest.mark.slow
@pytest.mark.parametrize("spread", [SPREAD, pytest.param(1, marks=pytest.mark.nightly)])
def test_no_variant_escapes_and_none_breaks_the_server(site, prepared, spread):
    variants = corpus(site.secret)
    assert len(variants) >= 1000
    before = site.outside()
    statuses = set()
    for turn, (name, ask) in enumerate(sorted(prepared.items())):
        for path in itertools.islice(variants, turn % spread, None, spread):
            method, target, body = ask(path)
            answer = site.wire(method, target, body)
            assert answer.status < 500 or (answer.status == 501 and "address" in name), (
                name,
                path,
                answer,
            )
            assert site.content.encode() not in answer.body, (name, path)
            assert b"root:" not in answer.body, (name, path)
            assert "x-injected" not in answer.headers
            statuses.add(answer.status)
    assert {200, 400, 404} <= statuses
    assert site.outside() == before
    assert set(_strangers(site.data)) == set()
    assert site.wire("GET", "/health").status == 200


def _strangers(data):
    """Files under the data directory that no server of ours makes."""
    for file in data.rglob("*"):
        inside = file.relative_to(data)
        known = (
            inside.parts[0] in {"config.toml", "server.lock", "webhook.key"}
            or inside.parts[0].startswith("lastgood.db")
            or inside.parts[:2] in {("objects",), ("objects", "sha256"), ("objects", "incoming")}
        )
        if not known:
            yield str(inside)


def test_the_corpus_would_find_a_naive_join(site):
    """The control: MLflow's old ways of joining, decoding and stripping schemes would hand the secret out."""
    root = site.data.parent.parent / "place" / "artifacts"
    root.mkdir(exist_ok=True)
    found = [p for p in corpus(site.secret) if reached_by_a_naive_join(root, p) == site.content]
    root.rmdir()
    assert len(found) > 50
    assert any("%25" in path for path in found)
    assert any("\\" in path for path in found)
    assert any(path.startswith("file:") for path in found)


SOURCES = (
    "{}",
    "file://{}",
    "file://localhost{}",
    "file:{}",
    "FILE://{}",
    "//{}",
    "mlflow-artifacts:/../..{}",
    "mlflow-artifacts:/%2e%2e/%2e%2e{}",
    "mlflow-artifacts:/0#/../..{}",
    "mlflow-artifacts:/0?/../..{}",
    "mlflow-artifacts://x/../..{}",
    "runs:/../..{}",
    "models:/../..{}",
    "dbfs:/..{}",
    "s3://bucket/..{}",
    "http:///..{}",
    "x://{}",
    ":{}",
)


@pytest.mark.slow
@pytest.mark.parametrize("tags", [[], [{"key": "mlflow.prompt.is_prompt", "value": "true"}]])
def test_no_source_is_opened(site, tags):
    """A version's source is only ever a name: with every form of it, and whatever tags say (CVE-2026-2614)."""
    name = f"sources-{len(tags)}"
    site.wire("POST", f"{API}/registered-models/create", {"name": name})
    folder = str(site.secret.parent)
    for source in [form.format(folder) for form in SOURCES] + [
        p for p in corpus(site.secret)[::SPREAD] if p
    ]:
        body = {"name": name, "source": source, "tags": tags}
        made = site.wire("POST", f"{API}/model-versions/create", body)
        assert made.status in {200, 400, 404}, (source, made)
        if made.status != 200:
            continue
        version = made.json()["model_version"]["version"]
        query = urlencode({"name": name, "version": version, "path": Path(site.secret).name})
        for path in ("/model-versions/get-artifact", f"{API}/model-versions/get-download-uri"):
            shown = site.wire("GET", f"{path}?{query}")
            assert shown.status < 500
            assert site.content.encode() not in shown.body, source


@pytest.mark.slow
def test_no_location_is_opened(site):
    """CVE-2023-6909 and its successors: where an experiment keeps its artifacts is a name, too."""
    before = site.outside()
    for number, form in enumerate(SOURCES):
        body = {"name": f"located-{number}", "artifact_location": form.format(site.secret.parent)}
        made = site.wire("POST", f"{API}/experiments/create", body)
        assert made.status in {200, 400}, made
        if made.status != 200:
            continue
        run = site.wire("POST", f"{API}/runs/create", {**made.json(), "start_time": 1})
        assert run.status in {200, 400}, run
        if run.status != 200:
            continue
        run_id = run.json()["run"]["info"]["run_id"]
        for method, target, sent in (
            ("GET", f"{API}/artifacts/list?run_id={run_id}", None),
            ("GET", f"/get-artifact?run_id={run_id}&path={site.secret.name}", None),
            ("POST", f"{API}/upload-artifact?run_uuid={run_id}&path={site.secret.name}", b"x"),
            ("GET", f"/get-artifact?run_id={run_id}&path=", None),
        ):
            answer = site.wire(method, target, sent)
            assert answer.status < 500, (form, target, answer)
            assert site.content.encode() not in answer.body
            assert site.secret.name.encode() not in answer.body or answer.status >= 400
    assert site.outside() == before


def test_a_link_in_the_data_directory_leads_nowhere(site):
    """Who can plant a link there could otherwise have other files served: their digest is not the name's."""
    run = site.run()
    path = f"0/{run}/artifacts/linked"
    site.put(path, b"linked bytes")
    answer = site.wire("GET", f"{FILES}/{path}")
    assert answer.body == b"linked bytes"
    digest = answer.headers["etag"].strip('"').removeprefix("sha256:")
    place = site.data / "objects/sha256" / digest[:2] / digest[2:]
    place.unlink()
    place.symlink_to(site.secret)
    for headers in ({}, {"Range": "bytes=0-3"}):
        answer = site.wire("GET", f"{FILES}/{path}", **headers)
        assert answer.status == 409
        assert site.content.encode() not in answer.body
    place.unlink()

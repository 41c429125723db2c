"""For each listed deviation a request that shows it, after the prelude."""

from typing import Any

from differential.request import ARTIFACTS, PREFIX, Call

__all__ = ["EXAMPLES"]


def post(path: str, *, twists: tuple[str, ...] = (), **sent: Any) -> Call:
    return Call("POST", PREFIX + path, sent, twists=twists)


def get(path: str, **sent: Any) -> Call:
    return Call("GET", PREFIX + path, sent, in_query=True)


def find_models(text: str) -> Call:
    return get("/registered-models/search", filter=f"name LIKE '⟦p⟧%' AND {text}")


TAG = {"key": "k", "value": "v"}
OF_RUN = {"run_id": "⟦run:0⟧"}
POINT = {**OF_RUN, "key": "k", "timestamp": 1}
OF_VERSION = {"name": "⟦p⟧m", "version": "1"}
DATASET = {"name": "d", "digest": "1", "source": "here", "source_type": "s" * 37}

EXAMPLES: dict[str, list[Call]] = {
    "server errors": [
        post("/experiments/delete", experiment_id="⟦experiment:1⟧"),
        post("/experiments/update", experiment_id="⟦experiment:1⟧", new_name="⟦p⟧x"),
    ],
    "half-read requests": [post("/runs/log-batch", **OF_RUN, tags=[{"key": "k", "value": 5}])],
    "SQL": [
        post("/experiments/update", experiment_id="⟦experiment:1⟧", new_name="⟦p⟧one"),
    ],
    "repeated entries": [post("/experiments/create", name="⟦p⟧x", tags=[TAG, TAG])],
    "errors in JSON": [get("/runs/nope")],
    "doubled slashes": [get("//runs/get", **OF_RUN)],
    "requests without a body": [
        Call("POST", PREFIX + "/runs/search", {"filter": ""}, in_query=True)
    ],
    "content types in any case": [
        Call("POST", PREFIX + "/runs/set-tag", {**OF_RUN, **TAG}, content_type="APPLICATION/JSON")
    ],
    "bare NaN and Infinity": [post("/runs/log-metric", value=float("nan"), **POINT)],
    "kinder types": [
        post(
            "/model-versions/transition-stage",
            **OF_VERSION,
            stage="Staging",
            archive_existing_versions=1,
        )
    ],
    "booleans": [post("/runs/log-metric", **POINT, value=True)],
    "enumerations": [post("/runs/update", **OF_RUN, status="nope")],
    "half characters": [post("/runs/set-tag", **OF_RUN, key="k", value="\ud83d")],
    "version numbers": [get("/model-versions/get", name="⟦p⟧m", version=" 1")],
    "missing tags in the registry": [find_models("tags.k IS NULL")],
    "searches that fail": [
        post("/runs/search", experiment_ids=["⟦experiment:0⟧"], filter=f"created < {10**19}")
    ],
    "kinder filters": [
        post("/experiments/search", max_results=5, filter="name LIKE '⟦p⟧%' AND name NOT IN ('v')")
    ],
    "keys with a hyphen": [
        post("/runs/search", experiment_ids=["⟦experiment:0⟧"], filter="params.a-b NOT IN ('v')")
    ],
    "names as in JSON": [post("/runs/delete", runId="⟦run:0⟧")],
    "names of tags": [
        post("/runs/create", experiment_id="⟦experiment:0⟧", tags=[{"key": "a#b", "value": "v"}])
    ],
    "keywords in any case": [post("/experiments/search", max_results=5, filter="name like '⟦p⟧%'")],
    "strict filters": [
        post(
            "/experiments/search",
            max_results=5,
            filter="name LIKE '⟦p⟧%' AND AND name != 'v'",
        )
    ],
    "addresses of artifacts": [
        post("/experiments/create", name="⟦p⟧x", artifact_location="s3://bucket/a?b=c")
    ],
    "paths of artifacts": [Call("GET", f"{ARTIFACTS}/⟦run:0/folder⟧/a//b")],
    "the model in the path": [
        Call("PATCH", f"{PREFIX}/logged-models/⟦model:0⟧", {"status": "LOGGED_MODEL_READY"})
    ],
    "words for attributes": [get("/registered-models/search", order_by=["attributes.name"])],
    "page tokens": [
        get("/model-versions/search", filter="name LIKE '⟦p⟧%'", max_results=1),
        get(
            "/model-versions/search",
            filter="name = '⟦p⟧m'",
            max_results=1,
            page_token="⟦token model-versions/search:0⟧",
        ),
    ],
    "control characters": [post("/experiments/create", name="⟦p⟧\x00")],
    "sources without a claim": [
        post("/model-versions/create", name="⟦p⟧n", source="models:/⟦model:0⟧")
    ],
    "sources on other hosts": [
        post("/model-versions/create", name="⟦p⟧n", source="https://example.org/a")
    ],
    "pages of nothing": [get("/registered-models/search", max_results=0)],
    "ids in filters": [post("/experiments/search", max_results=5, filter="experiment_id IN ('v')")],
    "lengths": [post("/runs/log-inputs", **OF_RUN, datasets=[{"dataset": DATASET}])],
    "long tags of a new run": [
        post(
            "/runs/create",
            experiment_id="⟦experiment:0⟧",
            start_time=1,
            tags=[{"key": "k", "value": "v" * 8_001}],
        )
    ],
    "changes to the same": [
        Call("PATCH", PREFIX + "/model-versions/update", OF_VERSION),
        get("/model-versions/search", filter="name LIKE '⟦p⟧%'"),
    ],
    "runs without an experiment": [post("/runs/create", start_time=1)],
    "several faults": [post("/runs/set-tag", key="", value="v")],
    "bodies of reads": [
        Call(
            "GET",
            PREFIX + "/metrics/get-history-bulk",
            {"run_id": ["⟦run:0⟧"], "metric_key": "k"},
        )
    ],
    "protected versions": [
        post("/model-versions/transition-stage", **OF_VERSION, stage="Production"),
        Call("DELETE", PREFIX + "/model-versions/delete", OF_VERSION),
    ],
    "frozen bytes": [get("/model-versions/get-download-uri", **OF_VERSION)],
    "creator": [get("/model-versions/get", **OF_VERSION)],
    "aliases in lists": [
        post("/registered-models/alias", **OF_VERSION, alias="champion"),
        get("/model-versions/search", filter="name LIKE '⟦p⟧%'"),
    ],
    "no description": [Call("PATCH", PREFIX + "/model-versions/update", OF_VERSION)],
    "start of a run": [post("/runs/create", experiment_id="⟦experiment:0⟧")],
    "infinities": [
        post("/runs/log-metric", **POINT, value="Infinity"),
        get("/metrics/get-history", **OF_RUN, metric_key="k"),
    ],
}

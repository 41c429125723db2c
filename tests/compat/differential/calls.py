"""Requests to MLflow's protocol, valid and invalid, that refer to what earlier requests made.

Texts may hold placeholders that are filled in when the request is sent, for each server with its own
ids: ``⟦run:0⟧`` is a run that an earlier request made, ``⟦p⟧`` the beginning of every name of the
sequence. Everything else is a plain value, so that a failing sequence shrinks to few short requests.
"""

import re
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from differential import searches, values, webhooks
from differential.request import ARTIFACTS, PREFIX, Call, call, fields, named
from differential.values import KEY, PREFIX_LENGTH, TAGS, TEXT, at_most_one_in

__all__ = ["PRELUDE", "sequences"]

CALLS_MAX = 24
UNKNOWN_RUN = "0" * 32
EXPERIMENT = named("experiment", unknown="98765432101234", others=("", "x"))
RUN = named("run", unknown=UNKNOWN_RUN)
LOGGED_MODEL = named("model", unknown="m-" + UNKNOWN_RUN)
NAME_ENDS = st.sampled_from(["a", "b", "c", "A", "ä", "a b"])
ODD_ENDS = st.sampled_from(
    [
        "/x",
        ":x",
        "💡",
        "é",
        "é",
        "a'b",
        'a"b',
        "a\tb",
        "a%b",
        "\x00",
        "\ud83d",
        " ",
        "..",
        "a\\b",
        "a..b",
        *("n" * (length - PREFIX_LENGTH) for length in (250, 251, 255, 256, 257, 500, 501)),
    ]
)
NAME = at_most_one_in(12, ODD_ENDS, NAME_ENDS).map("⟦p⟧{}".format)
MODEL_NAME = at_most_one_in(
    25, st.sampled_from(["", " ", "⟦p⟧nope", "⟦p⟧/a"]), st.sampled_from(["⟦p⟧m", "⟦p⟧m", "⟦p⟧n"])
)
VERSION = at_most_one_in(
    15, st.sampled_from(["0", "-1", "99", "x", "", "1.0", " 1", "01", "²"]), st.sampled_from("1123")
)
STAGE = at_most_one_in(
    12,
    st.sampled_from(["", "nope", "deleted_internal", "Production "]),
    st.sampled_from(["None", "Staging", "Production", "Archived", "production", "STAGING"]),
)
ALIAS = at_most_one_in(
    6,
    st.sampled_from(
        ["", "latest", "Latest", "v1", "V2", "a b", "a.b", "é", "💡", "a" * 255, "a" * 256, "a\x00"]
    ),
    st.sampled_from(["champion", "Champion", "a-b", "a_b", "7"]),
)
SOURCE = st.sampled_from(
    [
        "⟦run:0/uri⟧/model",
        "⟦run:0/uri⟧/model",
        "models:/⟦model:0⟧",
        "models:/⟦p⟧m/1",
        "s3://bucket/a",
        "s3://bucket/../a",
        "s3://bucket/%2e%2e/a",
        "runs:/⟦run:0⟧/model",
        "/etc/passwd",
        "file:///etc",
        "https://example.org/a",
        "https://example.org/a/../b",
        "dbfs:/a",
        "a/b",
        "mlflow-artifacts:/../x",
        "models:/⟦p⟧nope/1",
        "",
        "s3://b/" + "a" * 600,
    ]
)
LOCATION = st.sampled_from(
    [
        "",
        "s3://bucket/a",
        "s3://bucket/a/",
        "s3://bucket/../a",
        "s3://bucket/a?b=c",
        "s3://bucket/a#b",
        "runs:/a/b",
        "mlflow-artifacts:/somewhere",
        "dbfs:/a",
        "https://example.org/a b",
        "s3://b/%2e%2e/a",
        "s3://" + "l" * 2050,
    ]
)
TIME = at_most_one_in(
    8,
    st.sampled_from([0, -1, 2**63 - 1, 2**63, "17", "x", 1.5, 3.0]),
    st.integers(1, 10_000),
)
STEP = at_most_one_in(
    10, st.sampled_from([-1, 2**63 - 1, -(2**63), 2**63, "3", 1.5, 2.0, "x"]), st.integers(0, 3)
)
METRIC_VALUE = at_most_one_in(
    5,
    st.sampled_from(
        [
            *(float("nan"), float("inf"), float("-inf"), "NaN", "Infinity", "-Infinity", "1.5"),
            *(1e308, 1e-320, -0.0, 2**63, True, "x", "", 10**400),
        ]
    ),
    st.sampled_from([0, 1, -1, 0.5, 0.1, 3]),
)
ITEM_KEY = st.sampled_from(["k", "k2", "loss", "a/b", "é"])


METRIC = fields({"key": KEY, "value": METRIC_VALUE, "timestamp": TIME}, step=STEP)
MODEL_METRIC = fields(
    {"key": ITEM_KEY, "value": METRIC_VALUE, "timestamp": TIME},
    step=STEP,
    model_id=LOGGED_MODEL,
    dataset_name=st.sampled_from(["", "d"]),
    dataset_digest=st.sampled_from(["", "1"]),
)
DATASET = fields(
    {
        "name": st.sampled_from(["d", "e", "d" * 500, "d" * 501]),
        "digest": st.sampled_from(["1", "2", "1" * 36, "1" * 37]),
        "source_type": st.sampled_from(["local", "s" * 37]),
        "source": st.sampled_from(["here", ""]),
    },
    schema=st.sampled_from(["{}", ""]),
    profile=st.sampled_from(["{}", ""]),
)
DATASET_INPUT = fields(
    {"dataset": DATASET},
    tags=st.lists(
        fields(
            {
                "key": st.sampled_from(["mlflow.data.context", "k", "", "k" * 256]),
                "value": st.sampled_from(["train", "", "v" * 501]),
            }
        ),
        max_size=2,
    ),
)
BATCH = fields(
    {"run_id": RUN},
    metrics=st.lists(METRIC, max_size=3),
    params=st.lists(fields({"key": KEY, "value": TEXT}), max_size=3),
    tags=st.lists(fields({"key": KEY, "value": TEXT}), max_size=3),
)
MODEL_JSON = st.sampled_from(
    [
        '{"artifact_path": "model", "flavors": {"f": {"a": 1, "config": {}}}, "utc_time_created": "t", "run_id": "⟦run:0⟧"}',
        '{"artifact_path": "model"}',
        "[]",
        "x",
        "",
        '{"artifact_path": "m", "flavors": 5, "utc_time_created": "t", "run_id": "r"}',
    ]
)


def tagged(path: str, owner: dict[str, st.SearchStrategy]) -> list[st.SearchStrategy]:
    return [call("POST", f"{path}", fields({**owner, "key": KEY, "value": TEXT}))]


EXPERIMENT_CALLS = [
    call("POST", "/experiments/create", fields({"name": NAME}, artifact_location=LOCATION)),
    call("POST", "/experiments/create", fields({"name": NAME}, tags=TAGS)),
    call("GET", "/experiments/get", fields({"experiment_id": EXPERIMENT})),
    call("GET", "/experiments/get-by-name", fields({"experiment_name": NAME})),
    call("POST", "/experiments/update", fields({"experiment_id": EXPERIMENT, "new_name": NAME})),
    call("POST", "/experiments/delete", fields({"experiment_id": EXPERIMENT})),
    call("POST", "/experiments/restore", fields({"experiment_id": EXPERIMENT})),
    *tagged("/experiments/set-experiment-tag", {"experiment_id": EXPERIMENT}),
    call(
        "POST",
        "/experiments/delete-experiment-tag",
        fields({"experiment_id": EXPERIMENT, "key": KEY}),
    ),
]
RUN_CALLS = [
    call(
        "POST",
        "/runs/create",
        fields(
            {"experiment_id": EXPERIMENT, "start_time": TIME},
            user_id=st.sampled_from(["", "ann", "u" * 257]),
            run_name=st.sampled_from(["", "one", "ünï 💡", "r" * 250, "r" * 251]),
            tags=TAGS,
        ),
    ),
    call("POST", "/runs/create", fields({"experiment_id": EXPERIMENT}, tags=TAGS)),
    call("GET", "/runs/get", fields({"run_id": RUN})),
    call("GET", "/runs/get", fields({"run_id": RUN})),
    call("GET", "/runs/get", fields({"run_uuid": RUN})),
    call(
        "POST",
        "/runs/update",
        fields(
            {"run_id": RUN},
            status=st.sampled_from(["FINISHED", "FAILED", "RUNNING", 3, 1, 9, "nope"]),
            end_time=TIME,
            run_name=st.sampled_from(["", "two", "r" * 251]),
        ),
    ),
    call("POST", "/runs/delete", fields({"run_id": RUN})),
    call("POST", "/runs/restore", fields({"run_id": RUN})),
    *[
        call(
            "POST",
            "/runs/log-metric",
            METRIC.flatmap(lambda m: fields({"run_id": RUN}).map(m.__or__)),
        )
    ]
    * 3,
    call(
        "POST",
        "/runs/log-metric",
        MODEL_METRIC.flatmap(lambda m: fields({"run_id": RUN}).map(m.__or__)),
    ),
    *tagged("/runs/log-parameter", {"run_id": RUN}) * 2,
    *tagged("/runs/set-tag", {"run_id": RUN}) * 2,
    call("POST", "/runs/delete-tag", fields({"run_id": RUN, "key": KEY})),
    *[call("POST", "/runs/log-batch", BATCH)] * 3,
    call("POST", "/runs/log-model", fields({"run_id": RUN, "model_json": MODEL_JSON})),
    call(
        "POST",
        "/runs/log-inputs",
        fields(
            {"run_id": RUN, "datasets": st.lists(DATASET_INPUT, max_size=2)},
            models=st.lists(fields({"model_id": LOGGED_MODEL}), max_size=2),
        ),
    ),
    call(
        "POST",
        "/runs/outputs",
        fields(
            {
                "run_id": RUN,
                "models": st.lists(fields({"model_id": LOGGED_MODEL, "step": STEP}), max_size=2),
            }
        ),
    ),
    call(
        "GET",
        "/metrics/get-history",
        fields(
            {"run_id": RUN, "metric_key": KEY},
            max_results=values.RESULTS,
            page_token=values.token("metrics/get-history"),
        ),
    ),
]
RUNS = st.lists(RUN, max_size=3)
CHART_CALLS = [
    call(
        "GET",
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
        fields({"run_id": RUNS, "metric_key": KEY}, max_results=values.RESULTS),
    ),
    call(
        "GET",
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
        fields(
            {"run_ids": RUNS, "metric_key": KEY},
            start_step=STEP,
            end_step=STEP,
            max_results=values.RESULTS,
        ),
    ),
    call(
        "POST",
        "/ajax-api/2.0/mlflow/experiments/search-datasets",
        fields({"experiment_ids": st.lists(EXPERIMENT, max_size=2)}),
    ),
]
LOGGED = PREFIX + "/logged-models"
LOGGED_MODEL_CALLS = [
    call(
        "POST",
        "/logged-models",
        fields(
            {"experiment_id": EXPERIMENT},
            name=st.sampled_from(["lm", "lm2", "", "a/b", "a:b", "a.b", "a%b", "é", "l" * 501]),
            model_type=st.sampled_from(["", "t", "t" * 501]),
            source_run_id=RUN,
            params=TAGS,
            tags=TAGS,
        ),
    ),
    call("GET", f"{LOGGED}/⟦model:0⟧", fields({})),
    call("GET", f"{LOGGED}/⟦model:1⟧", fields({}, allow_deleted=st.sampled_from(["true", "x"]))),
    call("GET", f"{LOGGED}/m-{UNKNOWN_RUN}", fields({})),
    call(
        "PATCH",
        f"{LOGGED}/⟦model:0⟧",
        fields(
            {
                "model_id": st.just("⟦model:0⟧"),
                "status": st.sampled_from(
                    ["LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED", 2, 0, 9, "nope", "READY"]
                ),
            }
        ),
    ),
    call(
        "PATCH",
        f"{LOGGED}/⟦model:0⟧/tags",
        fields({"model_id": st.just("⟦model:0⟧"), "tags": TAGS}),
    ),
    call("DELETE", f"{LOGGED}/⟦model:1⟧/tags/k", fields({})),
    call("DELETE", f"{LOGGED}/⟦model:0⟧/tags/a%2Fb", fields({})),
    call(
        "POST",
        f"{LOGGED}/⟦model:0⟧/params",
        fields({"model_id": st.just("⟦model:0⟧"), "params": TAGS}),
    ),
    call("DELETE", f"{LOGGED}/⟦model:1⟧", fields({})),
]
OF_MODEL = {"name": MODEL_NAME}
OF_VERSION = {"name": MODEL_NAME, "version": VERSION}
REGISTRY_CALLS = [
    call("POST", "/registered-models/create", fields({"name": NAME}, tags=TAGS, description=TEXT)),
    *[call("GET", "/registered-models/get", fields(OF_MODEL))] * 2,
    call("PATCH", "/registered-models/update", fields(OF_MODEL, description=TEXT)),
    call("POST", "/registered-models/rename", fields({**OF_MODEL, "new_name": NAME})),
    call("DELETE", "/registered-models/delete", fields(OF_MODEL)),
    call("POST", "/registered-models/get-latest-versions", fields(OF_MODEL)),
    call(
        "POST",
        "/registered-models/get-latest-versions",
        fields({**OF_MODEL, "stages": st.lists(STAGE, max_size=3)}),
    ),
    call("GET", "/registered-models/get-latest-versions", fields(OF_MODEL)),
    *tagged("/registered-models/set-tag", OF_MODEL),
    call("DELETE", "/registered-models/delete-tag", fields({**OF_MODEL, "key": KEY})),
    *[call("POST", "/registered-models/alias", fields({**OF_VERSION, "alias": ALIAS}))] * 3,
    *[call("GET", "/registered-models/alias", fields({**OF_MODEL, "alias": ALIAS}))] * 2,
    call("DELETE", "/registered-models/alias", fields({**OF_MODEL, "alias": ALIAS})),
    *[
        call(
            "POST",
            "/model-versions/create",
            fields(
                {**OF_MODEL, "source": SOURCE},
                run_id=RUN,
                model_id=at_most_one_in(2, st.just(""), LOGGED_MODEL),
                run_link=st.sampled_from(["", "http://a/b", "l" * 501]),
                description=TEXT,
                tags=TAGS,
            ),
        ),
        call(
            "POST",
            "/model-versions/create",
            fields(
                {"name": st.sampled_from(["⟦p⟧m", "⟦p⟧n"]), "source": st.just("⟦run:0/uri⟧/model")},
                run_id=st.just("⟦run:0⟧"),
            ),
        ),
    ]
    * 2,
    call("GET", "/model-versions/get", fields(OF_VERSION)),
    call("PATCH", "/model-versions/update", fields(OF_VERSION, description=TEXT)),
    call("DELETE", "/model-versions/delete", fields(OF_VERSION)),
    *[
        call(
            "POST",
            "/model-versions/transition-stage",
            fields(
                {**OF_VERSION, "stage": STAGE},
                archive_existing_versions=st.sampled_from([True, False, True, "true", "x", 1]),
            ),
        )
    ]
    * 3,
    call("GET", "/model-versions/get-download-uri", fields(OF_VERSION)),
    *tagged("/model-versions/set-tag", OF_VERSION),
    call("DELETE", "/model-versions/delete-tag", fields({**OF_VERSION, "key": KEY})),
]
INNER = st.sampled_from(
    [
        "model",
        "model/f.txt",
        "model/nope",
        "",
        "a b/ü.txt",
        "new",
        "../x",
        "%2e%2e/x",
        "a/../b",
        "a//b",
    ]
)
UPLOAD = INNER.map(
    lambda path: Call(
        "PUT", f"{ARTIFACTS}/⟦run:1/folder⟧/{path}", raw="text", content_type="text/plain"
    )
)
ARTIFACT_CALLS = [
    UPLOAD,
    INNER.map(lambda path: Call("GET", f"{ARTIFACTS}/⟦run:1/folder⟧/{path}")),
    INNER.map(lambda path: Call("DELETE", f"{ARTIFACTS}/⟦run:1/folder⟧/{path}")),
    call("GET", ARTIFACTS, fields({"path": INNER.map("⟦run:1/folder⟧/{}".format)})),
    call("GET", "/artifacts/list", fields({"run_id": RUN}, path=INNER)),
]
ODD_CALLS = [
    st.builds(
        Call,
        st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
        st.sampled_from(
            [
                *(PREFIX, f"{PREFIX}/", f"{PREFIX}/runs", f"{PREFIX}/runs/nope", "/api/2.0/nope"),
                *("/api/9.9/mlflow/runs/get", f"{PREFIX}/runs/get/", f"{PREFIX}/RUNS/get"),
                *(f"{PREFIX}//runs/get", "/api", f"{PREFIX}/runs/create", f"{PREFIX}/runs/get"),
                *(f"{PREFIX}/model-versions/get", f"{PREFIX}/registered-models/alias"),
            ]
        ),
    )
]


TWISTS = (
    "junk",
    "junk",
    "junk",
    "dropped",
    "unknown field",
    "ajax",
    "camel",
    "query",
    "kind",
    "raw",
    "twice",
)


def camel(value: Any) -> Any:
    """The same with names as protobuf's JSON form has them."""
    if isinstance(value, dict):
        return {
            re.sub("_([a-z0-9])", lambda found: found[1].upper(), key): camel(item)
            for key, item in value.items()
        }
    return [camel(item) for item in value] if isinstance(value, list) else value


def can_have(one: Call, twist: str) -> bool:
    if ARTIFACTS in one.path or not one.fields or one.raw is not None:
        return False
    return not (one.in_query and twist in {"kind", "raw", "twice", "camel"})


def twisted(one: Call, twist: str, which: int, junk: Any) -> Call:
    """The call with one thing about it that is unusual."""
    if not can_have(one, twist):
        return one
    known = sorted(one.fields)
    chosen = known[which % len(known)]
    changed: dict[str, Any] = {}
    match twist:
        case "ajax":
            changed["path"] = one.path.replace("/api/", "/ajax-api/")
        case "query":
            changed["in_query"] = not one.in_query
        case "kind":
            changed["content_type"] = values.CONTENT_TYPES[which % len(values.CONTENT_TYPES)]
        case "raw":
            changed["raw"] = values.BODIES[which % len(values.BODIES)]
        case "twice":
            changed["doubled"] = (chosen, junk)
        case _:
            changed["fields"] = twisted_fields(one.fields, twist, chosen, junk)
    return replace(one, twists=(f"{twist} {chosen}",), **changed)


def twisted_fields(fields: dict[str, Any], twist: str, chosen: str, junk: Any) -> dict[str, Any]:
    match twist:
        case "camel":
            return camel(fields)
        case "junk":
            return {**fields, chosen: junk}
        case "dropped":
            return {k: v for k, v in fields.items() if k != chosen}
    return {**fields, "no_such_field": junk}


PLAIN = st.one_of(
    *EXPERIMENT_CALLS,
    *RUN_CALLS * 2,
    *LOGGED_MODEL_CALLS,
    *REGISTRY_CALLS,
    *REGISTRY_CALLS,
    *(call(*one) for one in searches.SEARCHES),
    *CHART_CALLS,
    *webhooks.WEBHOOK_CALLS,
    *ARTIFACT_CALLS,
    *ODD_CALLS,
)
TWISTED = st.builds(
    twisted, PLAIN, st.sampled_from(TWISTS), st.integers(0, 20), st.sampled_from(values.JUNK)
)


def sequences(*, calls_max: int = CALLS_MAX) -> st.SearchStrategy[list[Call]]:
    """Sequences of requests, to be played after the prelude."""
    return st.lists(at_most_one_in(4, TWISTED, PLAIN), min_size=calls_max // 2, max_size=calls_max)


def _prelude() -> list[Call]:
    def post(path: str, **sent: Any) -> Call:
        return Call("POST", PREFIX + path, sent)

    def put(where: str) -> Call:
        return Call("PUT", f"{ARTIFACTS}/{where}", raw="text", content_type="text/plain")

    return [
        post("/experiments/create", name="⟦p⟧one"),
        post("/experiments/create", name="⟦p⟧two", tags=[{"key": "k", "value": "v"}]),
        post("/runs/create", experiment_id="⟦experiment:0⟧", start_time=11, run_name="first"),
        post("/runs/create", experiment_id="⟦experiment:0⟧", start_time=12, run_name="second"),
        post("/logged-models", experiment_id="⟦experiment:0⟧", name="lm", source_run_id="⟦run:0⟧"),
        put("⟦run:0/folder⟧/model/f.txt"),
        put("⟦model:0/folder⟧/f.txt"),
        post("/registered-models/create", name="⟦p⟧m"),
        post("/registered-models/create", name="⟦p⟧n", tags=[{"key": "k", "value": "v"}]),
        post("/model-versions/create", name="⟦p⟧m", source="⟦run:0/uri⟧/model", run_id="⟦run:0⟧"),
        post(
            "/model-versions/create", name="⟦p⟧m", source="models:/⟦model:0⟧", model_id="⟦model:0⟧"
        ),
    ]


PRELUDE = _prelude()
"""What every sequence begins with, so that there is something to refer to."""

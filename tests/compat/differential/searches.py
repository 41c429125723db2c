"""Searches: filters from MLflow's grammar and from just outside it, orders, page tokens."""

from hypothesis import strategies as st

from differential.values import RESULTS, at_most_one_in, token

__all__ = ["SEARCHES"]

NUMBERS = st.sampled_from(["0", "1", "0.5", "-1", "1e3", ".5", "1.", "+1", "11"])
ODD_NUMBERS = st.sampled_from(["'1'", "NaN", "0x1", "1_000", "--1", "9999999999999999999", "1e400"])
STRINGS = st.sampled_from(
    ["'v'", '"v"', "'%'", "'V'", "'v%'", "'_'", "''", "'é'", "'first'", "'it''s'", "'FINISHED'"]
)
ODD_STRINGS = st.sampled_from(["v", "1", "'v", "`v`", "('v')", "null", "'a' 'b'", "'\x00'", "'💡'"])
LISTS = st.sampled_from(["('v')", "('v', 'w')", "('⟦run:0⟧')", '("v", "w")', "('v',)"])
ODD_LISTS = st.sampled_from(
    ["()", "(v)", "'v'", "(1)", "(1, 2)", "('v'", "('v' 'w')", "('v',,'w')"]
)
NUMERIC = st.sampled_from([">", ">=", "<", "<=", "=", "!="])
TEXTUAL = st.sampled_from(["=", "!=", "LIKE", "ILIKE", "like", "ilike"])
LISTED = st.sampled_from(["IN", "NOT IN", "in", "not in", "NOT  IN"])
ODD_OPERATORS = st.sampled_from(
    ["==", "<>", "!", "~", "IS", "BETWEEN", "", "LIKEX", "=>", "NOT LIKE", "IS NULL", "IS NOT NULL"]
)
KEYS = st.sampled_from(["k", "k2", "loss", "`a/b`", '"a.b c"', "`a.b c`", "é", "`k`", "a.b"])
ODD_KEYS = st.sampled_from(["", "a/b", "a b", "'k'", "k'", "`k", "``", "a-b", "1", "k.", ".k", "*"])


def clause(
    left: st.SearchStrategy[str],
    *kinds: str,
) -> st.SearchStrategy[str]:
    """A comparison with `left` by operators of these kinds; now and then one that cannot be."""
    forms = {
        "number": st.tuples(NUMERIC, at_most_one_in(8, ODD_NUMBERS, NUMBERS)),
        "text": st.tuples(TEXTUAL, at_most_one_in(8, ODD_STRINGS, STRINGS)),
        "list": st.tuples(LISTED, at_most_one_in(5, ODD_LISTS, LISTS)),
        "null": st.sampled_from([("IS NULL", ""), ("IS NOT NULL", ""), ("is not null", "")]),
    }
    right = st.one_of(*(forms[kind] for kind in kinds))
    odd = st.tuples(
        at_most_one_in(3, ODD_OPERATORS, st.one_of(NUMERIC, TEXTUAL, LISTED)),
        st.one_of(STRINGS, NUMBERS, LISTS, ODD_STRINGS, ODD_LISTS),
    )
    return st.tuples(left, at_most_one_in(8, odd, right)).map(
        lambda found: f"{found[0]} {found[1][0]} {found[1][1]}".rstrip()
    )


def of(*targets: str) -> st.SearchStrategy[str]:
    key = at_most_one_in(10, ODD_KEYS, KEYS)
    return st.tuples(st.sampled_from(targets), key).map(".".join)


def names(*found: str) -> st.SearchStrategy[str]:
    return st.sampled_from(found)


def filters(*clauses: st.SearchStrategy[str], within: str = "") -> st.SearchStrategy[str]:
    joint = at_most_one_in(
        12, st.sampled_from([" OR ", " ", ", ", " and\n", " AND AND "]), st.just(" AND ")
    )
    joined = st.tuples(st.one_of(*clauses), joint, st.one_of(*clauses)).map("".join)
    around = st.sampled_from(["({})", "{};", "{} AND", "AND {}", "{})", "NOT {}", " {} ", "{} --x"])
    text = at_most_one_in(3, joined, st.one_of(*clauses))
    odd = st.tuples(around, text).map(lambda found: found[0].format(found[1]))
    whole = at_most_one_in(12, odd, text)
    if not within:
        return st.one_of(st.just(""), whole, whole, whole)
    # All sequences share the servers: a search of everything looks only at what is its own.
    return st.one_of(st.just(within), whole.map(f"{within} AND {{}}".format))


def orders(*keys: str) -> st.SearchStrategy[list[str]]:
    key = at_most_one_in(
        10,
        st.sampled_from(["nope", "", "metrics", "a b", "tags", "'k'", "1"]),
        st.sampled_from(keys),
    )
    way = at_most_one_in(
        12, st.sampled_from([" up", " ASC DESC"]), names("", " ASC", " desc", " DESC")
    )
    return st.lists(st.tuples(key, way).map("".join), max_size=2)


def search(
    path: str, found: st.SearchStrategy[str], by: st.SearchStrategy, **more: st.SearchStrategy
):
    fixed = {"filter": found, **{k: v for k, v in more.items() if k != "view"}}
    optional = {"order_by": by, "page_token": token(path.strip("/"))}
    if "max_results" not in fixed:
        optional["max_results"] = RESULTS
    return st.fixed_dictionaries(fixed, optional=optional)


RUN_FILTERS = filters(
    clause(of("metrics", "metric", "Metrics"), "number"),
    clause(of("params", "param", "parameters"), "text", "null"),
    clause(of("tags", "tag"), "text", "null"),
    clause(
        names(
            *("status", "attributes.status", "run_name", "attr.run_name", "run.user_id", "user_id"),
            *("attributes.`run_name`", '"run name"', "artifact_uri", "attributes.lifecycle_stage"),
        ),
        "text",
    ),
    clause(names("start_time", "attributes.start_time", "end_time", "created"), "number"),
    clause(names("run_id", "attributes.run_id", "attribute.run_id", "runs.run_id"), "text", "list"),
    clause(
        names("dataset.name", "datasets.digest", "dataset.context", "dataset.x"), "text", "list"
    ),
)
RUN_ORDERS = orders(
    *("start_time", "attributes.start_time", "run_name", "attributes.status", "end_time"),
    *("metrics.k", "metrics.`loss`", "params.k", "tags.k", 'tags."a.b c"', "params.`a/b`"),
    # Not by artifact_uri, nor by run_id: both servers make random ids.
    *("created", "Run Name", "metrics.k2", "user_id"),
)
EXPERIMENT_IDS = at_most_one_in(
    12,
    st.sampled_from([[], ["x"], ["98765432101234"], [""], ["⟦experiment:0⟧", "⟦experiment:0⟧"]]),
    st.sampled_from([["⟦experiment:0⟧"], ["⟦experiment:0⟧", "⟦experiment:1⟧"]]),
)
VIEWS = at_most_one_in(
    10, st.sampled_from(["nope", 1, 3, 9, ""]), names("ACTIVE_ONLY", "DELETED_ONLY", "ALL")
)
OWN = "name LIKE '⟦p⟧%'"
RUNS = search(
    "/runs/search", RUN_FILTERS, RUN_ORDERS, experiment_ids=EXPERIMENT_IDS, run_view_type=VIEWS
)
EXPERIMENTS = search(
    "/experiments/search",
    filters(
        clause(names("name", "attributes.name", "attr.name", "`name`"), "text", "list"),
        clause(names("creation_time", "last_update_time", "attribute.creation_time"), "number"),
        clause(names("experiment_id", "attributes.experiment_id"), "text", "list"),
        clause(of("tags", "tag"), "text", "null"),
        clause(names("metrics.k", "nope", "lifecycle_stage"), "text"),
        within=OWN,
    ),
    orders("name", "experiment_id", "creation_time", "last_update_time", "attributes.name"),
    max_results=RESULTS,
    view_type=VIEWS,
)
MODELS = search(
    "/registered-models/search",
    filters(
        clause(names("name", "attributes.name", "attribute.name"), "text", "list"),
        clause(of("tags", "tag"), "text", "null"),
        clause(names("tags.`mlflow.prompt.is_prompt`"), "text"),
        clause(names("nope", "params.k", "creation_timestamp"), "text", "number"),
        within=OWN,
    ),
    orders("name", "timestamp", "last_updated_timestamp", "attributes.name", "creation_timestamp"),
)
VERSIONS = search(
    "/model-versions/search",
    filters(
        clause(names("name", "attributes.name"), "text", "list"),
        clause(names("version_number", "attribute.version_number"), "number"),
        clause(names("run_id", "source_path", "run_id"), "text", "list"),
        clause(of("tags", "tag"), "text", "null"),
        clause(names("nope", "version", "current_stage", "metrics.k"), "text"),
        within=OWN,
    ),
    orders(
        *("name", "version_number", "creation_timestamp", "last_updated_timestamp"),
        *("attributes.version_number", "run_id"),
    ),
)
LOGGED_MODEL_ORDERS = st.lists(
    st.fixed_dictionaries(
        {
            "field_name": st.sampled_from(
                ["name", "creation_timestamp", "creation_time", "metrics.k", "params.k", "nope", ""]
            )
        },
        optional={
            "ascending": st.booleans(),
            "dataset_name": st.sampled_from(["d", ""]),
            "dataset_digest": st.sampled_from(["1", ""]),
        },
    ),
    max_size=2,
)
LOGGED_MODELS = search(
    "/logged-models/search",
    filters(
        clause(
            names("name", "attributes.name", "model_type", "status", "source_run_id"),
            "text",
            "list",
        ),
        clause(names("model_id", "attributes.model_id"), "text", "list"),
        clause(names("creation_timestamp", "creation_time", "last_updated_timestamp"), "number"),
        clause(of("metrics", "metric"), "number"),
        clause(of("params", "tags"), "text", "list"),
        clause(names("nope", "experiment_id"), "text"),
    ),
    LOGGED_MODEL_ORDERS,
    experiment_ids=EXPERIMENT_IDS,
    datasets=at_most_one_in(
        4,
        st.sampled_from(
            [[{"dataset_name": "d"}], [{"dataset_name": "d", "dataset_digest": "1"}], [{}]]
        ),
        st.just([]),
    ),
)
SEARCHES = [
    *[("POST", "/runs/search", RUNS)] * 6,
    *[("POST", "/experiments/search", EXPERIMENTS)] * 2,
    ("GET", "/experiments/search", EXPERIMENTS),
    *[("GET", "/registered-models/search", MODELS)] * 3,
    *[("GET", "/model-versions/search", VERSIONS)] * 3,
    *[("POST", "/logged-models/search", LOGGED_MODELS)] * 3,
]
"""Method, path and fields; repeated where more of them are wanted."""

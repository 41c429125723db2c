"""Searching runs: filters, orders, pages."""

import json
import math
import random

import pytest

from lastgood.core.tracking import Dataset, DatasetInput, ModelLink, RunFacts
from lastgood.engine.tracking.searches import Query, RunDocuments
from lastgood.errors import InvalidInput


@pytest.fixture
def three(desk):
    """a: auc 0.9, depth 2; b: auc NaN, depth 10; c: nothing."""
    a = desk.run(
        metrics=[("auc", 0.9, 1)],
        params=[("depth", "2")],
        tags=[("git.commit", "abc"), ("mlflow.runName", "first")],
    )
    b = desk.run(
        metrics=[("auc", math.nan, 1)],
        params=[("depth", "10")],
        tags=[("mlflow.runName", "Second")],
    )
    c = desk.run(tags=[("mlflow.runName", "third")])
    return {"a": a, "b": b, "c": c}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cba"),
        ("metrics.auc > 0.5", "a"),
        ("metrics.auc <= 0.9", "a"),
        ("metrics.auc != 0.9", "b"),
        ("metrics.auc != 0.1", "ba"),
        ("metrics.auc = 0.9", "a"),
        ("metrics.auc < 0", ""),
        ("params.depth = '10'", "b"),
        ("params.depth != '10'", "a"),
        ("params.depth LIKE '1%'", "b"),
        ("params.depth IS NULL", "c"),
        ("params.depth IS NOT NULL", "ba"),
        ("tags.`git.commit` = 'abc'", "a"),
        ("tags.\"git.commit\" ILIKE 'A%'", "a"),
        ("tags.\"git.commit\" LIKE 'A%'", ""),
        ("attributes.run_name = 'first'", "a"),
        ("run_name ILIKE 'SECOND'", "b"),
        ("`run name` = 'third'", "c"),
        ("status = 'RUNNING' AND metrics.auc >= 0.9 AND params.depth = '2'", "a"),
        ("start_time >= 0", "cba"),
        ("created < 5", ""),
        ("user_id = ''", "cba"),
        ("artifact_uri LIKE 'mlflow-artifacts:/0/%'", "cba"),
        ("params.depth = 'x'' OR 1=1 --'", ""),
    ],
)
def test_filters(desk, three, text, expected):
    assert desk.found(text) == [three[name] for name in expected]


def test_ids(desk, three):
    assert set(desk.found(f"run_id IN ('{three['a']}', '{three['c']}')")) == {
        three["a"],
        three["c"],
    }
    assert desk.found(f"attributes.run_id NOT IN ('{three['a']}', '{three['c']}')") == [three["b"]]


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        (["metrics.auc ASC"], "abc"),
        (["metrics.auc DESC"], "abc"),
        (["params.depth ASC"], "bac"),
        (["params.depth DESC"], "abc"),
        (["tags.`git.commit` DESC"], "acb"),
        (["start_time ASC"], "abc"),
        (["run_name"], "bac"),
        (["attributes.end_time DESC"], "cba"),
        ([], "cba"),
    ],
)
def test_orders(desk, three, order_by, expected):
    assert desk.found(order_by=order_by) == [three[name] for name in expected]


@pytest.mark.parametrize("key", ["run_id", "attributes.artifact_uri"])
def test_orders_by_what_is_random(desk, three, key):
    by_id = sorted(three.values())
    assert desk.found(order_by=[f"{key} ASC"]) == by_id
    assert desk.found(order_by=[f"{key} DESC"]) == by_id[::-1]


@pytest.mark.parametrize(
    "options",
    [
        {"filter_text": "metrics.auc > '0.5'"},
        {"filter_text": "metrics.auc LIKE 1"},
        {"filter_text": "params.depth > '1'"},
        {"filter_text": "params.depth = 1"},
        {"filter_text": "start_time = 'x'"},
        {"filter_text": "dataset.source = 'x'"},
        {"filter_text": "attributes.color = 'red'"},
        {"filter_text": "lifecycle_stage = 'deleted'"},
        {"filter_text": "metrics.auc > 1 OR metrics.auc < 1"},
        {"filter_text": " AND ".join(["metrics.a > 1"] * 101)},
        {"filter_text": f"params.a LIKE '{'%' * 60_000}'"},
        {"order_by": ["attributes.color"]},
        {"order_by": ["start_time ASC", "start_time DESC"]},
        {"order_by": [f"metrics.m{i}" for i in range(30)]},
        {"view": "SOME"},
        {"most": 0},
        {"most": 50_001},
        {"experiments": ["x"]},
        {"experiments": [], "filter_text": "dataset.color = 'a'"},
    ],
)
def test_searches_that_cannot_be_right(desk, three, options):
    with pytest.raises(InvalidInput):
        desk.found(**options)


def test_numbers_beyond_64_bits_are_compared_not_refused(desk, three):
    assert desk.found(f"metrics.auc < {10**30}") == [three["a"]]
    assert desk.found(f"start_time < {10**30}") == desk.found()


def test_experiments_limit_the_search(desk, three):
    assert desk.found(experiments=[]) == []
    assert desk.found(experiments=["5"]) == []
    other = desk.tracking.experiments.create("other", tags={}).result()
    elsewhere = desk.run(experiment=str(other.id))
    assert desk.found(experiments=["0", str(other.id)])[0] == elsewhere


@pytest.mark.parametrize(
    "order_by",
    [
        [],
        ["metrics.m ASC"],
        ["metrics.m DESC", "params.p ASC"],
        ["tags.t DESC"],
        ["status", "end_time ASC"],
    ],
)
def test_pages_show_every_run_once_while_runs_are_added(desk, order_by):
    generator = random.Random(3)
    for i in range(40):
        desk.time[0] -= 1000 * generator.randrange(2)  # some start at the same moment
        metrics = (
            [("m", generator.choice([0.0, 1.5, math.nan, math.inf]), 1)]
            if generator.random() < 0.7
            else []
        )
        params = [("p", generator.choice("xyz"))] if generator.random() < 0.5 else []
        desk.run(metrics=metrics, params=params, tags=[("t", str(i % 3))])
    everything = desk.found(order_by=order_by)
    seen, token = [], ""
    while True:
        query = Query(order_by=order_by, results_max=7, token=token)
        page = desk.page(query)
        seen += [item.decode() for item in page.items]
        if not (token := page.token):
            break
        desk.time[0] += 1_000_000
        desk.run()  # the newest: in front of the first page in the default order
    assert [run_id for run_id in seen if run_id in everything] == everything
    assert len(seen) == len(set(seen))


def test_a_token_belongs_to_its_search(desk, three):
    token = desk.page(Query(results_max=1)).token
    for query in (
        Query(results_max=1, token=token, order_by=["run_id"]),
        Query(results_max=1, token=token, filter="status = 'RUNNING'"),
        Query(results_max=1, token="x"),
        Query(results_max=1, token="eyJhZnRlciI6IFsxXX0="),
    ):
        with pytest.raises(InvalidInput, match="page token"):
            desk.page(query)
    assert len(desk.page(Query(results_max=2, token=token)).items) == 2


ODD = "quotes \" ' \\ / \b\f\n\r\t \x01\x1f\x7f \u2028 ünïcode \U0001f600 </b> \\u0041 [] {} null"


def test_a_search_shows_what_get_shows(desk, three):
    desk.log(
        three["a"],
        params=[(f"odd {i}", ODD[i:]) for i in range(3)],
        tags=[("odd", ODD), ("empty", "")],
    )
    desk.log(
        three["a"],
        metrics=[
            ("third", 1 / 3, 1),
            ("nan", math.nan, 1),
            ("low", -math.inf, 1),
            ("tiny", 5e-324, 1),
        ],
    )
    given = DatasetInput(
        dataset=Dataset(name="d", digest="1", source_type="t", source="s"), tags={"of": ODD}
    )
    desk.tracking.evidence.log_inputs(
        three["a"], datasets=[given], models=[ModelLink("m-1")]
    ).result()
    desk.tracking.evidence.log_outputs(three["a"], [ModelLink("m-2", 7)]).result()
    shown = []
    documents = RunDocuments(lambda found: shown.append(found) or b"")
    desk.tracking.searches.runs(["0"], Query(results_max=10), documents)
    assert len(shown) == 3
    for found in shown:
        assert as_got(found) == as_text(desk.tracking.runs.get(found.run.run_id))


def as_got(found):
    """A run that was found, as `get` gives it."""
    params, tags = (
        {p["key"]: p["value"] for p in json.loads(text)} for text in (found.params, found.tags)
    )
    links = (found.model_inputs, found.model_outputs)
    return as_text((found.run, RunFacts(params, found.metrics, tags, found.datasets, *links)))


def as_text(got):
    run, facts = got
    facts.metrics.sort(key=lambda metric: metric.key)
    return repr((run, facts))  # in which NaN is like NaN

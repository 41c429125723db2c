"""Runs and what is logged to them."""

import json
import math
import random

import pytest

from lastgood.core.tracking import Dataset, DatasetInput, Metric, ModelLink
from lastgood.engine.tracking.runs import NewRun, RunUpdate
from lastgood.errors import InvalidInput, NotFound


def make(desk, **options):
    return desk.tracking.runs.create(
        NewRun(**({"experiment_id": "0", "tags": {}} | options))
    ).result()[0]


def test_a_run_without_a_name_gets_one(desk):
    run = make(desk)
    adjective, noun, number = run.name.split("-")
    assert adjective
    assert noun
    assert number.isdecimal()
    assert desk.facts(run.run_id).tags == {"mlflow.runName": run.name}
    assert run.artifact_uri == f"mlflow-artifacts:/0/{run.run_id}/artifacts"
    assert run.start_ms == desk.time[0]


def test_name_and_tag_must_agree(desk):
    assert make(desk, tags={"mlflow.runName": "x"}).name == "x"
    assert make(desk, name="x", tags={"mlflow.runName": "x"}).name == "x"
    with pytest.raises(InvalidInput, match=r"Both 'run_name' argument and 'mlflow\.runName' tag"):
        make(desk, name="x", tags={"mlflow.runName": "y"})


def test_a_run_in_an_unknown_experiment(desk):
    with pytest.raises(NotFound, match="No Experiment with id=77 exists"):
        make(desk, experiment_id="77")


def test_update_changes_only_what_is_given(desk):
    run = make(desk, name="before")
    update = desk.tracking.runs.update
    update(run.run_id, RunUpdate(status="FINISHED", end_ms=5)).result()
    update(run.run_id, RunUpdate(name="after")).result()
    found, facts = desk.tracking.runs.get(run.run_id)
    assert (found.status, found.end_ms, found.name) == ("FINISHED", 5, "after")
    assert facts.tags["mlflow.runName"] == "after"
    with pytest.raises(InvalidInput, match="status"):
        update(run.run_id, RunUpdate(status="DONE"))


def test_a_deleted_run_is_readable_and_nothing_else(desk):
    run_id = desk.run(params=[("a", "1")])
    desk.tracking.runs.delete(run_id).result()
    desk.tracking.runs.delete(run_id).result()
    run, facts = desk.tracking.runs.get(run_id)
    assert run.lifecycle == "deleted"
    assert facts.params == {"a": "1"}
    evidence = desk.tracking.evidence
    writes = [
        lambda: evidence.log_metric(run_id, Metric("m", 1.0, 1)),
        lambda: evidence.log_param(run_id, "b", "1"),
        lambda: evidence.set_tag(run_id, "b", "1"),
        lambda: evidence.log_inputs(run_id),
        lambda: evidence.log_outputs(run_id, [ModelLink("m-1")]),
        lambda: desk.tracking.runs.update(run_id, RunUpdate(status="FAILED")),
        lambda: desk.tracking.runs.delete_tag(run_id, "mlflow.runName"),
    ]
    for write in writes:
        with pytest.raises(InvalidInput, match="must be in the 'active' state"):
            write().result()
    assert desk.found() == []
    assert desk.found(view="DELETED_ONLY") == [run_id]
    desk.tracking.runs.restore(run_id).result()
    desk.tracking.runs.restore(run_id).result()
    assert desk.found() == [run_id]


def test_an_unknown_run(desk):
    nothing = "0" * 32
    calls = [
        lambda: desk.tracking.runs.get(nothing),
        lambda: desk.tracking.runs.delete(nothing).result(),
        lambda: desk.log(nothing, metrics=[("a", 1.0, 1)]),
    ]
    for call in calls:
        with pytest.raises(NotFound, match=f"Run with id={nothing} not found"):
            call()
    assert desk.tracking.searches.history(nothing, "a").items == []


def test_parameters_keep_their_value(desk):
    run_id = desk.run(params=[("depth", "6")])
    log_param = desk.tracking.evidence.log_param
    log_param(run_id, "depth", "6").result()
    log_param(run_id, "empty", "").result()
    with pytest.raises(InvalidInput, match="Changing param values is not allowed"):
        log_param(run_id, "depth", "7").result()
    assert desk.facts(run_id).params == {"depth": "6", "empty": ""}


def test_long_values_are_cut(desk):
    run_id = desk.run(params=[("p", "x" * 7000)], tags=[("t", "y" * 9000)])
    facts = desk.facts(run_id)
    assert len(facts.params["p"]) == 6000
    assert len(facts.tags["t"]) == 8000
    desk.log(run_id, params=[("p", "x" * 6500)])  # the same once cut


def test_a_batch_is_all_or_nothing(desk):
    run_id = desk.run(params=[("depth", "6")])
    before = desk.facts(run_id)
    with pytest.raises(InvalidInput, match="Changing param values"):
        desk.log(
            run_id,
            metrics=[("auc", 0.9, 1)],
            params=[("new", "1"), ("depth", "7")],
            tags=[("t", "1")],
        )
    assert desk.facts(run_id) == before
    desk.log(
        run_id, metrics=[("auc", 0.9, 1)], params=[("new", "1"), ("depth", "6")], tags=[("t", "1")]
    )
    after = desk.facts(run_id)
    assert after.params == {"depth": "6", "new": "1"}
    assert after.metrics == [Metric("auc", 0.9, 1)]
    assert after.tags["t"] == "1"


@pytest.mark.parametrize(
    ("batch", "phrase"),
    [
        (
            {"metrics": [("m", 1.0, i) for i in range(1001)]},
            "at most 1000 metrics. Got 1001 metrics",
        ),
        ({"params": [(f"p{i}", "") for i in range(101)]}, "at most 100 params"),
        ({"tags": [(f"t{i}", "") for i in range(101)]}, "at most 100 tags"),
        (
            {
                "metrics": [("m", 1.0, i) for i in range(901)],
                "params": [(f"p{i}", "") for i in range(100)],
            },
            "at most 1000 metrics, params, and tags",
        ),
        ({"params": [("a", "1"), ("a", "1")]}, "Duplicate parameter keys have been submitted"),
        (
            {"metrics": [("a", 1.0, -1)]},
            r"Invalid value -1 for parameter 'metrics\[0\].timestamp' supplied",
        ),
        (
            {"metrics": [("a", 1.0, 1), ("../b", 1.0, 1)]},
            r"for parameter 'metrics\[1\].name' supplied",
        ),
        ({"metrics": [("a", 1.0, 2**63)]}, "timestamp"),
        ({"metrics": [("a", 1.0, 1, -(2**63) - 1)]}, "64-bit"),
    ],
)
def test_batches_that_are_refused(desk, batch, phrase):
    run_id = desk.run()
    with pytest.raises(InvalidInput, match=phrase):
        desk.log(run_id, **batch)
    assert desk.facts(run_id).metrics == []


@pytest.mark.parametrize("name", ["a", "a/b", "a.b", "a b", "a:b", "a-b_c", "äöü", "x" * 250])
def test_names_that_may_be_used(desk, name):
    run_id = desk.run(metrics=[(name, 1.0, 1)], params=[(name, "1")], tags=[(name, "1")])
    facts = desk.facts(run_id)
    assert facts.metrics[0].key == name
    assert facts.params == {name: "1"}
    assert facts.tags[name] == "1"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "/a",
        "a//b",
        "a/",
        "a/../b",
        "./a",
        "a\nb",
        "a\x00",
        "a$",
        "a;b",
        "x" * 251,
        "a\n",
    ],
)
def test_names_that_are_refused(desk, name):
    run_id = desk.run()
    evidence = desk.tracking.evidence
    for call in (
        lambda: evidence.log_metric(run_id, Metric(name, 1.0, 1)),
        lambda: evidence.log_param(run_id, name, "1"),
        lambda: evidence.set_tag(run_id, name, "1"),
    ):
        with pytest.raises(InvalidInput):
            call()


def test_the_latest_metric_is_the_greatest_step_then_time_then_value(desk):
    generator = random.Random(7)
    for _ in range(20):
        points = [
            Metric(
                "m",
                float(generator.randrange(4)),
                generator.randrange(4),
                generator.randrange(-2, 3),
            )
            for _ in range(12)
        ]
        run_id = desk.run()
        for start in range(0, 12, 4):
            desk.log(run_id, metrics=points[start : start + 4])
        best = max(points, key=lambda p: (p.step, p.at_ms, p.value))
        assert desk.latest(run_id)["m"] == best


def test_the_same_point_again_is_the_same_fact(desk):
    run_id = desk.run()
    for value in (0.5, math.nan):
        for _ in range(3):
            desk.tracking.evidence.log_metric(run_id, Metric("m", value, 10, 1)).result()
    assert len(desk.tracking.searches.history(run_id, "m").items) == 2


def test_zero_has_no_sign_wherever_it_is_read(desk):
    run_id = desk.run()
    desk.log(run_id, metrics=[Metric("zero", -0.0, 1, 0)])
    for _ in ("while it waits", "merged into its history"):
        found = [
            desk.latest(run_id)["zero"],
            *desk.tracking.searches.history(run_id, "zero").items,
        ]
        assert [math.copysign(1, metric.value) for metric in found] == [1, 1]
        desk.found("metrics.zero = 0")  # which merges what waits


def test_nan_and_infinities_come_back(desk):
    run_id = desk.run(
        metrics=[
            ("nan", math.nan, 1),
            ("up", math.inf, 1),
            ("down", -math.inf, 1),
            ("zero", 0.0, 1),
        ]
    )
    latest = desk.latest(run_id)
    assert math.isnan(latest["nan"].value)
    assert (latest["up"].value, latest["down"].value, latest["zero"].value) == (
        math.inf,
        -math.inf,
        0.0,
    )
    assert math.isnan(desk.tracking.searches.history(run_id, "nan").items[0].value)


def test_history_is_paged_without_gaps_while_points_arrive(desk):
    points = [Metric("m", float(i % 7), 100 + i // 3, i % 2) for i in range(50)]
    run_id = desk.run(metrics=random.Random(1).sample(points, 50))
    history = desk.tracking.searches.history
    seen, token = [], ""
    while True:
        page = history(run_id, "m", results_max=7, token=token)
        assert len(page.items) <= 7
        seen += page.items
        desk.log(
            run_id, metrics=[Metric("m", -1.0, 1, len(seen))]
        )  # earlier than all: in no later page
        if not (token := page.token):
            break
    assert seen == sorted(points, key=lambda p: (p.at_ms, p.step, p.value))
    assert history(run_id, "unknown").items == []
    with pytest.raises(InvalidInput, match="max_results"):
        history(run_id, "m", results_max=0)
    first = history(run_id, "m", results_max=7).token
    with pytest.raises(InvalidInput, match="page token"):
        history(run_id, "other", results_max=7, token=first)


def test_tags_replace_and_rename(desk):
    run_id = desk.run(tags=[("a", "1"), ("a", "2")])
    desk.tracking.evidence.set_tag(run_id, "mlflow.runName", "named by tag").result()
    run, facts = desk.tracking.runs.get(run_id)
    assert facts.tags["a"] == "2"
    assert run.name == "named by tag"
    desk.tracking.runs.delete_tag(run_id, "a").result()
    with pytest.raises(NotFound, match="No tag with name: a"):
        desk.tracking.runs.delete_tag(run_id, "a").result()


def test_datasets_are_known_by_name_and_digest(desk):
    def dataset(source):
        return Dataset(name="churn", digest="ab12", source_type="local", source=source, schema="{}")

    first, second = desk.run(), desk.run()
    log_inputs = desk.tracking.evidence.log_inputs
    log_inputs(
        first,
        datasets=[DatasetInput(dataset=dataset("a.csv"), tags={"mlflow.data.context": "train"})],
    ).result()
    log_inputs(
        second, datasets=[DatasetInput(dataset=dataset("b.csv"))], models=[ModelLink("m-1")]
    ).result()
    assert [d.dataset.source for d in desk.facts(second).datasets] == ["a.csv"]
    assert desk.facts(first).datasets[0].tags == {"mlflow.data.context": "train"}
    assert desk.facts(second).model_inputs == [ModelLink("m-1")]
    assert desk.found("dataset.context = 'train'") == [first]
    assert set(desk.found("datasets.name = 'churn' AND dataset.digest IN ('ab12', 'x')")) == {
        first,
        second,
    }
    too_long = Dataset(name="x" * 501, digest="d", source_type="s", source="s")
    with pytest.raises(InvalidInput, match="exceeds the maximum length of 500 characters"):
        log_inputs(first, datasets=[DatasetInput(dataset=too_long)])


def test_outputs(desk):
    run_id = desk.run()
    for _ in range(2):
        desk.tracking.evidence.log_outputs(run_id, [ModelLink("m-1", 3), ModelLink("m-2")]).result()
    assert desk.facts(run_id).model_outputs == [ModelLink("m-1", 3), ModelLink("m-2")]


def test_the_models_that_version_2_clients_record(desk):
    run_id = desk.run()
    record = desk.tracking.evidence.record_model
    description = {
        "run_id": run_id,
        "artifact_path": "model",
        "utc_time_created": "2026-01-01",
        "flavors": {"sklearn": {"code": None, "config": {"a": 1}}},
    }
    for path in ("model", "model2"):
        record(run_id, json.dumps(description | {"artifact_path": path})).result()
    known = json.loads(desk.facts(run_id).tags["mlflow.log-model.history"])
    assert [one["artifact_path"] for one in known] == ["model", "model2"]
    assert known[0]["flavors"] == {"sklearn": {"code": None}}
    for wrong in ("{", "[]", json.dumps({"artifact_path": "model"})):
        with pytest.raises(InvalidInput):
            record(run_id, wrong)

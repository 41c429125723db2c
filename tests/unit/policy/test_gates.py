"""Each gate: what passes, what fails, and above all what must be unknown."""

import json
import math
import random
from dataclasses import replace

import pytest

from lastgood.core.gates import (
    AllOfSpec,
    AnyOfSpec,
    BetterThanLiveSpec,
    BudgetSpec,
    CameThroughSpec,
    CommandSpec,
    EvidenceSpec,
    GoldenSpec,
    MetricSpec,
    ReproducibleSpec,
    SignatureSpec,
    TagsSpec,
)
from lastgood.core.manifest import Code, DataInput, Environment, FileEntry, Manifest
from lastgood.core.policy import EnvironmentPolicy
from lastgood.core.verdicts import blocking
from lastgood.policy.evidence import Certificate, Evidence, Stay, VersionFacts
from lastgood.policy.judging import judge, judge_gates

TEST_SET = DataInput(name="holdout", digest="d1", context="test")
FILE = FileEntry(path="m", digest="sha256:" + "0" * 64, size=1)


def version(number, *, metrics=None, data=(TEST_SET,), signature="", external=False, **facts):
    manifest = Manifest(files=(FILE,), metrics=metrics or {}, data=data, signature=signature)
    return VersionFacts(
        model="churn",
        version=number,
        digest=None if external else FILE.digest,
        manifest=None if external else manifest,
        **facts,
    )


def evidence(candidate, live=None, **more):
    return Evidence(candidate=candidate, live=live, environment="production", **more)


def said(spec, candidate, live=None, **more):
    return judge(spec, evidence(candidate, live, **more)).outcome


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (0.8, "pass"),
        (0.79, "fail"),
        ("NaN", "unknown"),
        ("Infinity", "unknown"),
        (math.nan, "unknown"),
        (None, "unknown"),
    ],
)
def test_a_metric_has_to_be_there_and_within_its_bounds(value, outcome):
    metrics = {} if value is None else {"auc": value}
    assert said(MetricSpec(metric="auc", min=0.8), version(1, metrics=metrics)) == outcome


def test_a_metric_may_have_an_upper_bound():
    spec = MetricSpec(metric="loss", max=0.3)
    assert said(spec, version(1, metrics={"loss": 0.3})) == "pass"
    assert said(spec, version(1, metrics={"loss": 0.31})) == "fail"
    assert said(spec, version(1, external=True)) == "unknown"


BETTER = BetterThanLiveSpec(metric="auc", margin=0.01)


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        (0.90, 0.85, "pass"),
        (0.855, 0.85, "fail"),
        (0.85, 0.85, "fail"),
        (0.80, 0.85, "fail"),
        ("NaN", 0.85, "unknown"),
        (0.9, "NaN", "unknown"),
        (None, 0.85, "unknown"),
        (0.9, None, "unknown"),
    ],
)
def test_better_than_live_by_a_margin_and_never_by_a_missing_value(ours, theirs, outcome):
    made = [
        version(n, metrics={} if v is None else {"auc": v}) for n, v in ((2, ours), (1, theirs))
    ]
    assert said(BETTER, *made) == outcome


def test_equal_is_not_better():
    spec = BetterThanLiveSpec(metric="auc")
    assert said(spec, version(2, metrics={"auc": 0.8}), version(1, metrics={"auc": 0.8})) == "fail"


def test_lower_may_be_better():
    spec = BetterThanLiveSpec(metric="loss", higher_is_better=False)
    assert said(spec, version(2, metrics={"loss": 1}), version(1, metrics={"loss": 2})) == "pass"
    assert said(spec, version(2, metrics={"loss": 2}), version(1, metrics={"loss": 1})) == "fail"


@pytest.mark.parametrize(
    "data",
    [
        (),
        (DataInput(name="holdout", digest="d2", context="test"),),
        (DataInput(name="holdout", digest="", context="test"),),
    ],
)
def test_metrics_of_other_data_are_not_compared(data):
    ours, theirs = version(2, metrics={"auc": 0.9}, data=data), version(1, metrics={"auc": 0.5})
    assert said(BETTER, ours, theirs) == "unknown"


def test_other_training_data_does_not_matter_when_the_test_data_is_the_same():
    train = [DataInput(name="train", digest=d, context="training") for d in ("a", "b")]
    ours = version(2, metrics={"auc": 0.9}, data=(TEST_SET, train[0]))
    theirs = version(1, metrics={"auc": 0.5}, data=(TEST_SET, train[1]))
    assert said(BETTER, ours, theirs) == "pass"
    named = BetterThanLiveSpec(metric="auc", data="train")
    assert said(named, ours, theirs) == "unknown"


def rows_file(values):
    return "\n".join(["id,correct", *(f"{i},{v}" for i, v in enumerate(values))]).encode()


def compared(ours, theirs, **spec):
    made = BetterThanLiveSpec(metric="auc", rows="rows.csv", **spec)
    candidate = version(2, metrics={"auc": 0.9}, rows={"rows.csv": ours} if ours else {})
    live = version(1, metrics={"auc": 0.8}, rows={"rows.csv": theirs} if theirs else {})
    return judge(made, evidence(candidate, live))


def test_results_per_row_tell_a_gain_from_chance():
    drawn = random.Random(7)
    live = [int(drawn.random() < 0.8) for _ in range(500)]
    better = [1 if drawn.random() < 0.6 else v for v in live]
    lucky = [1 - v if i < 3 else v for i, v in enumerate(sorted(live))]
    sure = compared(rows_file(better), rows_file(live))
    assert sure.outcome == "pass"
    assert sure.figures["low"] > 0
    assert sure.figures["p"] < 0.001
    chance = compared(rows_file(lucky[:40]), rows_file(sorted(live)[:40]), confidence=0.99)
    assert chance.outcome == "fail"
    assert "not certain" in chance.message


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (None, rows_file([1] * 50)),
        (rows_file([1] * 50), None),
        (rows_file([1] * 50), rows_file([1] * 49)),
        (rows_file([1] * 5), rows_file([0] * 5)),
        (rows_file(["nan"] * 50), rows_file([0] * 50)),
        (b"id,other\n1,1\n", rows_file([0] * 50)),
        (b"\xff\xfe", rows_file([0] * 50)),
    ],
)
def test_results_that_cannot_be_paired_are_unknown(ours, theirs):
    assert compared(ours, theirs).outcome == "unknown"


def signed(*columns):
    return json.dumps(
        {"inputs": [{"name": n, "type": t, "required": r} for n, t, r in columns], "outputs": []}
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ([("a", "double", True)], [("a", "double", True)], "pass"),
        ([("a", "double", True)], [("a", "double", True), ("b", "long", True)], "pass"),
        ([("a", "double", True), ("b", "long", False)], [("a", "double", True)], "pass"),
        ([("a", "double", True), ("b", "long", True)], [("a", "double", True)], "fail"),
        ([("a", "double", True)], [("a", "float", True)], "pass"),
        ([("a", "integer", True)], [("a", "double", True)], "fail"),
        ([("a", "double", True)], [("a", "string", True)], "fail"),
        ([("a", "double", True)], [("a", "double", False)], "fail"),
    ],
)
def test_callers_of_the_live_version_are_still_answered(ours, theirs, outcome):
    made = [version(n, signature=signed(*c)) for n, c in ((2, ours), (1, theirs))]
    assert said(SignatureSpec(), *made) == outcome


def test_tensors_and_what_cannot_be_read():
    def tensor(dtype, shape):
        spec = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
        return json.dumps({"inputs": [spec]})

    def outcome(ours, theirs):
        return said(SignatureSpec(), version(2, signature=ours), version(1, signature=theirs))

    assert outcome(tensor("float64", [-1, 4]), tensor("float64", [-1, 4])) == "pass"
    assert outcome(tensor("float64", [-1, 5]), tensor("float64", [-1, 4])) == "fail"
    assert outcome(tensor("float32", [-1, 4]), tensor("float64", [-1, 4])) == "fail"
    assert outcome("", signed(("a", "long", True))) == "unknown"
    assert outcome(signed(("a", "long", True)), "") == "unknown"
    assert outcome(signed(("a", "long", True)), "[") == "unknown"


def test_nothing_live_means_nothing_to_compare_with_unless_the_policy_is_strict():
    for spec in (BETTER, SignatureSpec()):
        assert said(spec, version(1, metrics={"auc": 0.1})) == "pass"
        assert said(spec, version(1, metrics={"auc": 0.1}), first_strict=True) == "unknown"


def test_recorded_evidence_tags_and_budgets():
    tested = Certificate(outcome="pass", figures={"predict_ms": 12.0, "odd": "NaN"})
    made = version(1, certificates={"load_test": tested}, tags={"team": "crm"})
    assert said(EvidenceSpec(evidence="load_test"), made) == "pass"
    assert said(EvidenceSpec(evidence="reproduced"), made) == "unknown"
    failed = version(1, certificates={"load_test": Certificate(outcome="fail")})
    assert said(EvidenceSpec(evidence="load_test"), failed) == "fail"
    assert said(BudgetSpec(figure="predict_ms", max=12), made) == "pass"
    assert said(BudgetSpec(figure="predict_ms", max=11), made) == "fail"
    assert said(BudgetSpec(figure="memory", max=11), made) == "unknown"
    assert said(BudgetSpec(figure="odd", max=11), made) == "unknown"
    assert said(BudgetSpec(figure="predict_ms", max=12), version(1)) == "unknown"
    assert said(TagsSpec(required=("team",)), made) == "pass"
    assert said(TagsSpec(required=("owner",)), made) == "fail"
    assert said(TagsSpec(equal={"team": "crm"}), made) == "pass"
    assert said(TagsSpec(equal={"team": "ops"}), made) == "fail"
    smoke = CommandSpec(name="smoke", command=("true",))
    assert judge(smoke, evidence(made)).next_step.startswith("run it")
    assert said(smoke, made) == "unknown"
    refused = version(1, certificates={"gate:smoke": Certificate(outcome="fail")})
    assert judge(smoke, evidence(refused)).next_step.startswith("it takes another version")


def test_it_came_through_the_environment_before_and_stayed_there():
    spec = CameThroughSpec(stayed="1h", requests=100)
    stays = {"staging": (Stay(seconds=7200, requests=10), Stay(seconds=3600, requests=100))}
    assert said(spec, version(1), previous="staging", stays=stays) == "pass"
    # Two short stays do not make a long one, nor one with many requests another that was long.
    short = {"staging": (Stay(seconds=7200, requests=10), Stay(seconds=60, requests=100))}
    assert said(spec, version(1), previous="staging", stays=short) == "fail"
    assert said(spec, version(1), previous="staging") == "fail"
    assert said(spec, version(1)) == "unknown"


PASS, FAIL, OPEN = (
    MetricSpec(metric="auc", min=0.5),
    MetricSpec(metric="auc", min=0.95),
    MetricSpec(metric="other", min=0.5),
)


@pytest.mark.parametrize(
    ("parts", "all_of", "any_of"),
    [
        ((PASS, PASS), "pass", "pass"),
        ((PASS, FAIL), "fail", "pass"),
        ((PASS, OPEN), "unknown", "pass"),
        ((OPEN, FAIL), "fail", "unknown"),
        ((FAIL, FAIL), "fail", "fail"),
        ((OPEN, OPEN), "unknown", "unknown"),
    ],
)
def test_all_of_and_any_of(parts, all_of, any_of):
    made = version(1, metrics={"auc": 0.9})
    assert said(AllOfSpec(gates=parts), made) == all_of
    assert said(AnyOfSpec(gates=parts), made) == any_of


def test_bake_time_of_the_environment_before_and_the_first_version():
    rules, before = EnvironmentPolicy(gates=(FAIL,)), EnvironmentPolicy(bake="1h")
    known = evidence(version(2, metrics={"auc": 0.9}), version(1), previous="staging")
    verdicts = judge_gates(rules, known, before=before)
    assert [(v.gate, v.outcome) for v in verdicts] == [
        ("baked in staging", "fail"),
        ("metric auc", "fail"),
    ]
    free = EnvironmentPolicy(gates=(FAIL,), first_promotion="free")
    first = judge_gates(free, evidence(version(1), None), before=None)
    assert [v.outcome for v in first] == ["pass"]


def test_unknown_blocks_unless_the_policy_says_otherwise():
    verdicts = judge_gates(
        EnvironmentPolicy(gates=(PASS, OPEN)),
        evidence(version(1, metrics={"auc": 0.9})),
        before=None,
    )
    assert [v.gate for v in blocking(verdicts, unknown_blocks=True)] == ["metric other"]
    assert blocking(verdicts, unknown_blocks=False) == ()


# --- reproducible ---------------------------------------------------------------------------------

WHOLE = Manifest(
    files=(FILE,),
    code=Code(commit="c0ffee", entry_point="train.py"),
    data=(TEST_SET,),
    environment=Environment(python="3.11.7", installed=("a==1",), settings={"seed": "1"}),
    input_example="input_example.json",
)
LOADED = {"load_test": Certificate(outcome="pass")}


def made(manifest, certificates=LOADED):
    digest = FILE.digest if manifest is not None else None
    return VersionFacts(
        model="churn", version=1, digest=digest, manifest=manifest, certificates=certificates
    )


def test_everything_that_reproducing_takes_may_be_required():
    verdict = judge(ReproducibleSpec(), evidence(made(WHOLE)))
    assert (verdict.outcome, verdict.figures) == ("pass", {"there": 12, "required": 12})
    poor = replace(WHOLE, code=Code(entry_point="train.py", dirty=True), input_example="")
    verdict = judge(ReproducibleSpec(), evidence(made(poor)))
    assert verdict.outcome == "fail"
    assert verdict.message == (
        "no Git commit (commit); the tree was dirty and its patch is not kept (patch); "
        "the model has no input example (input_example)"
    )
    assert "register it again" in verdict.next_step
    assert not verdict.may_pass_later


@pytest.mark.parametrize(
    ("items", "outcome"),
    [(("commit", "data_digests"), "pass"), (("seed",), "fail"), (("commit", "seed"), "fail")],
)
def test_only_the_items_that_are_named_are_required(items, outcome):
    unseeded = replace(WHOLE, environment=Environment(python="3.11.7", installed=("a==1",)))
    assert said(ReproducibleSpec(items=items), made(unseeded)) == outcome


def test_a_load_test_may_still_come_and_of_external_versions_nothing_is_known():
    verdict = judge(ReproducibleSpec(), evidence(made(WHOLE, {})))
    assert (verdict.message, verdict.may_pass_later) == ("no load test (load_test)", True)
    assert said(ReproducibleSpec(), made(None)) == "unknown"


def test_reproducible_is_put_together_with_others():
    poor = made(replace(WHOLE, code=Code(entry_point="train.py")))
    either = AnyOfSpec(
        gates=(ReproducibleSpec(items=("commit",)), ReproducibleSpec(items=("data",)))
    )
    assert said(either, poor) == "pass"
    assert said(AllOfSpec(gates=either.gates), poor) == "fail"


def test_a_load_test_is_no_second_look_at_the_golden_answers():
    assert said(GoldenSpec(), made(WHOLE)) == "unknown"
    for outcome in ("pass", "fail", "unknown"):
        found = made(WHOLE, LOADED | {"golden": Certificate(outcome=outcome)})
        assert said(GoldenSpec(), found) == outcome
    verdict = judge(GoldenSpec(), evidence(made(WHOLE)))
    assert (verdict.gate, verdict.may_pass_later) == ("golden answers", True)
    assert verdict.next_step.endswith("lastgood check churn/1 --to production --run")

"""What the registry answers, read into values."""

from dataclasses import replace

import pytest

from lastgood.core.ids import Digest, ModelName, OperationId, RefName
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.operations import Actor, Origin
from lastgood.core.views import HoldView, LogEntry, MarkView, VersionView
from lastgood.demo.reading import proof_of_good, read_held, read_metrics, read_switches
from lastgood.errors import LastgoodError

DIGEST = Digest("sha256:" + "ab" * 32)
MODEL = ModelName("churn")


def _version(number=1, **changes):
    manifest = Manifest(files=(FileEntry(path="MLmodel", digest=DIGEST, size=1),))
    shown = VersionView(
        model=MODEL,
        version=number,
        digest=DIGEST,
        registered_ms=0,
        registered_by="",
        operation=OperationId("op-1"),
        stage="None",
        refs=(),
        description="",
        tags={},
        source="",
        run_id="",
        size=1,
        verified=True,
        manifest=manifest,
    )
    return replace(shown, **changes)


def _entry(kind, after, *, ref="production", seq=1):
    moved = {"kind": "ref_moved", "model": MODEL, "ref": ref, "before": None, "after": after}
    stage = {
        "kind": "stage_changed",
        "model": MODEL,
        "version": 1,
        "before": "None",
        "after": "Production",
    }
    return LogEntry(
        seq=seq,
        operation=OperationId(f"op-{seq}"),
        at_ms=1000 * seq,
        kind=kind,
        model=MODEL,
        actor=Actor(name="release-job"),
        origin=Origin(),
        reason="why not",
        summary="",
        changes=(stage, moved),
        hash=DIGEST,
        previous=DIGEST,
    )


def _mark(environment):
    return MarkView(
        environment=RefName(environment), value="good", source="earned", because="it served"
    )


def _hold(environment):
    return HoldView(
        version=1,
        environment=RefName(environment),
        operation=OperationId("op-1"),
        actor="",
        reason="",
        since_ms=0,
    )


def test_switches_are_the_moves_of_production_oldest_first():
    log = [
        _entry("rollback", 1, seq=4),
        _entry("promote", 2, seq=3),
        _entry("set_alias", 2, ref="champion", seq=2),
        _entry("promote", 1, seq=1),
    ]
    assert [(s.kind, s.version, s.at_ms) for s in read_switches(log)] == [
        ("promote", 1, 1000),
        ("promote", 2, 3000),
        ("rollback", 1, 4000),
    ]


def test_an_environment_that_was_unset_is_no_switch():
    assert read_switches([_entry("transition_stage", None)]) == ()


def test_good_elsewhere_is_not_good_in_production():
    assert proof_of_good(_version(marks=(_mark("staging"),))) == ""
    assert proof_of_good(_version(marks=(_mark("staging"), _mark("production")))) == "it served"


def test_bad_is_not_good():
    assert proof_of_good(_version(marks=(replace(_mark("production"), value="bad"),))) == ""


def test_held_versions_are_those_held_in_production():
    shown = [
        _version(1),
        _version(2, holds=(_hold("staging"),)),
        _version(3, holds=(_hold("production"),)),
    ]
    assert read_held(shown) == (3,)


def test_the_metric_is_read_from_the_manifest():
    version = _version()
    shown = replace(version, manifest=replace(version.manifest, metrics={"roc_auc": 0.86}))
    assert read_metrics(shown).roc_auc == 0.86


@pytest.mark.parametrize("metrics", [{}, {"roc_auc": "NaN"}])
def test_a_metric_that_is_not_there_is_not_made_up(metrics):
    version = _version()
    with pytest.raises(LastgoodError, match="roc_auc"):
        read_metrics(replace(version, manifest=replace(version.manifest, metrics=metrics)))

"""What commands print with --json, read into values."""

import pytest

from lastgood.demo.reading import read_held, read_is_good, read_metrics, read_switches
from lastgood.errors import LastgoodError


def _entry(kind, after, *, ref="production", seq=1):
    return {
        "at_ms": 1000 * seq,
        "operation": f"op-{seq}",
        "kind": kind,
        "actor": {"name": "release-job", "verified": False},
        "reason": "why not",
        "changes": [
            {"kind": "stage_changed", "version": 1, "before": "None", "after": "Production"},
            {"kind": "ref_moved", "ref": ref, "before": None, "after": after},
        ],
    }


def test_switches_are_the_moves_of_production_oldest_first():
    log = [
        _entry("rollback", 1, seq=4),
        _entry("promote", 2, seq=3),
        _entry("set_alias", 2, ref="champion", seq=2),
        _entry("promote", 1, seq=1),
    ]
    switches = read_switches({"operations": log})
    assert [(s.kind, s.version, s.at_ms) for s in switches] == [
        ("promote", 1, 1000),
        ("promote", 2, 3000),
        ("rollback", 1, 4000),
    ]


def test_an_environment_that_was_unset_is_no_switch():
    assert read_switches({"operations": [_entry("transition_stage", None)]}) == ()


def test_good_elsewhere_is_not_good_in_production():
    mark = {"environment": "staging", "value": "good", "source": "earned", "because": ""}
    assert not read_is_good({"marks": [mark]})
    assert read_is_good({"marks": [mark, mark | {"environment": "production"}]})


def test_held_versions_are_those_held_in_production():
    shown = [
        {"version": 1, "holds": []},
        {"version": 2, "holds": [{"environment": "staging"}]},
        {"version": 3, "holds": [{"environment": "production"}]},
    ]
    assert read_held(shown) == (3,)


@pytest.mark.parametrize("manifest", [None, {"metrics": {}}, {"metrics": {"roc_auc": "NaN"}}])
def test_a_metric_that_is_not_there_is_not_made_up(manifest):
    with pytest.raises(LastgoodError, match="roc_auc"):
        read_metrics({"version": 2, "digest": "sha256:00", "manifest": manifest})

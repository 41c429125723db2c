"""The rules of taking back, on operations made by hand."""

import pytest

from lastgood.core.changes import (
    DescriptionSet,
    HoldPlaced,
    HoldReleased,
    MarkSet,
    RefMoved,
    StageChanged,
    TagSet,
    VerdictsRecorded,
    VersionDeleted,
)
from lastgood.core.moves import RefFact
from lastgood.core.operations import GENESIS, Actor, Operation, Origin
from lastgood.core.stages import Stage
from lastgood.core.undoing import Thing, restored, reverted, to_redo, to_undo
from lastgood.errors import Irreversible, NotFound

M = "churn"
P, A, N = Stage.PRODUCTION, Stage.ARCHIVED, Stage.NONE


def operation(*changes, kind="promote", restores=None, seq=1):
    return Operation(
        seq=seq,
        at_ms=seq,
        kind=kind,
        model=M,
        streams=(),
        actor=Actor(name="ana"),
        origin=Origin(),
        reason="",
        summary="",
        changes=changes,
        restores=restores,
        idempotency_key="",
        previous=GENESIS,
        hash=f"sha256:{seq:016x}",
    )


def moved(before, after, ref="champion", *, alias=True):
    return RefMoved(model=M, ref=ref, before=before, after=after, alias=alias)


@pytest.mark.parametrize(
    ("change", "thing", "now", "inverse"),
    [
        (moved(1, 2), Thing("ref", "champion"), 2, moved(2, 1)),
        (moved(None, 2), Thing("ref", "champion"), 2, moved(2, None, alias=False)),
        (moved(2, None, alias=False), Thing("ref", "champion"), None, moved(None, 2)),
        (
            moved(1, 1, "production", alias=True),
            Thing("ref", "production"),
            1,
            moved(1, 1, "production", alias=False),
        ),
        (
            StageChanged(model=M, version=2, before=N, after=P),
            Thing("stage", version=2),
            P,
            StageChanged(model=M, version=2, before=P, after=N),
        ),
        (
            HoldPlaced(model=M, version=2, environment="production"),
            Thing("hold", "production", 2),
            True,
            HoldReleased(model=M, version=2, environment="production"),
        ),
        (
            MarkSet(model=M, version=2, environment="e", before="none", after="bad"),
            Thing("mark", "e", 2),
            "bad",
            MarkSet(model=M, version=2, environment="e", before="bad", after="none"),
        ),
        (
            TagSet(model=M, key="k", before=None, after="v", version=2),
            Thing("tag", "k", 2),
            "v",
            TagSet(model=M, key="k", before="v", after=None, version=2),
        ),
        (
            DescriptionSet(model=M, before="a", after="b"),
            Thing("description"),
            "b",
            DescriptionSet(model=M, before="b", after="a"),
        ),
    ],
)
def test_each_kind_of_change_has_its_inverse_and_needs_its_outcome(change, thing, now, inverse):
    act = operation(change)
    assert reverted(act, model=M, state={thing: now}, versions={1, 2}) == (inverse,)
    with pytest.raises(Irreversible, match="now"):
        reverted(act, model=M, state={thing: "something else"}, versions={1, 2})


def test_what_is_reverted_is_of_the_model_by_its_name_today():
    (change,) = reverted(
        operation(moved(1, 2)), model="renamed", state={Thing("ref", "champion"): 2}, versions={1}
    )
    assert change.model == "renamed"


def test_nothing_is_pointed_back_at_a_deleted_version():
    with pytest.raises(Irreversible, match="version 1 of churn was deleted"):
        reverted(operation(moved(1, 2)), model=M, state={Thing("ref", "champion"): 2}, versions={2})


def test_what_the_gates_said_is_not_in_the_way():
    said = VerdictsRecorded(
        model=M, version=2, environment="champion", digest=None, policy=None, allowed=True
    )
    act = operation(moved(1, 2), said)
    assert reverted(act, model=M, state={Thing("ref", "champion"): 2}, versions={1, 2}) == (
        moved(2, 1),
    )


def test_what_is_gone_stays_gone():
    with pytest.raises(Irreversible, match="deleted a version"):
        reverted(operation(VersionDeleted(model=M, version=1)), model=M, state={}, versions={2})


def test_restoring_moves_only_what_differs_and_carries_labels_from_ref_to_ref():
    changes = restored(
        M,
        wanted={"production": 1, "staging": 2, "same": 2},
        refs={
            "production": RefFact("production", 2, alias=False),
            "same": RefFact("same", 2, alias=True),
            "extra": RefFact("extra", 1, alias=True),
        },
        stages={1: A, 2: P},
    )
    assert [c.ref for c in changes if isinstance(c, RefMoved)] == [
        "extra",
        "production",
        "staging",
    ]
    last = {c.version: c.after for c in changes if isinstance(c, StageChanged)}
    assert last == {1: P, 2: Stage.STAGING}


def test_restoring_what_was_deleted_is_refused():
    with pytest.raises(NotFound, match="deleted since"):
        restored(M, wanted={"production": 7}, refs={}, stages={1: N})


def history(*kinds):
    """Oldest first: "a" an act, "u<n>"/"r<n>" an undo or redo of operation n; newest first comes back."""
    found = []
    for seq, kind in enumerate(kinds, 1):
        target = f"op-{int(kind[1:]):016x}" if kind[1:] else None
        name = {"a": "promote", "u": "undo", "r": "redo"}[kind[0]]
        found.append(operation(moved(seq, seq + 1), kind=name, restores=target, seq=seq))
    return found[::-1]


@pytest.mark.parametrize(
    ("kinds", "undone", "redone"),
    [
        ([], None, None),
        (["a"], 1, None),
        (["a", "u1"], None, 2),
        (["a", "a", "u2"], 1, 3),
        (["a", "a", "u2", "u1"], None, 4),
        (["a", "a", "u2", "u1", "r4"], 1, 3),
        (["a", "a", "u2", "u1", "r4", "r3"], 2, None),
        (["a", "u1", "a"], 3, None),
    ],
)
def test_undo_and_redo_are_a_stack(kinds, undone, redone):
    newest_first = history(*kinds)
    found = to_undo(newest_first), to_redo(newest_first)
    assert tuple(o and o.seq for o in found) == (undone, redone)

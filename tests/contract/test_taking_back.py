"""The contract of `core.ports_time.TimeTravel`, over both doors."""

import time
import uuid
from dataclasses import replace

import pytest

from contract.registry_doors import ANA
from lastgood.core.commands import (
    MarkVersion,
    PlaceHold,
    Promote,
    ReleaseHold,
    Restore,
    Revert,
    Rollback,
    Undo,
    Yank,
)
from lastgood.core.operations import Actor
from lastgood.errors import (
    Conflict,
    Held,
    IntegrityFailure,
    InvalidReference,
    Irreversible,
    NotFound,
    NothingGood,
    Yanked,
)

BEN = replace(ANA, actor=Actor(name="Ben"))


def refs(door):
    """Where each ref points, and every version's stage, holds and marks."""
    state = {view.ref: view.version for view in door.registry.live(door.model)}
    for view in door.registry.versions(door.model):
        judged = {(m.environment, m.value) for m in view.marks if m.source == "person"}
        state[view.version] = (view.stage, {h.environment for h in view.holds}, judged)
    return {key: value for key, value in state.items() if value is not None}


def restore(door, at, caller=ANA, **more):
    return door.registry.restore(Restore(model=door.model, at=at, **more), caller=caller)


def revert(door, operation, caller=ANA, **more):
    return door.registry.revert(Revert(operation=operation, **more), caller=caller)


def undo(door, caller=ANA, **more):
    return door.registry.undo(Undo(model=door.model, **more), caller=caller)


# --- restore --------------------------------------------------------------------------------------


def test_restore_points_all_refs_where_they_pointed_in_one_operation(door):
    door.versions(3)
    door.promote(1)
    then = door.promote(2, to="champion")
    before = refs(door)
    door.promote(2)
    door.promote(3, to="champion")
    door.promote(3, to="shadow")
    outcome = restore(door, then.operation, reason="the evening of the incident")
    assert {k: v for k, v in refs(door).items() if isinstance(k, str)} == {
        "production": 1,
        "champion": 2,
    }
    assert {k: v[0] for k, v in refs(door).items() if isinstance(k, int)} == {
        1: "Production",
        2: "Archived",
        3: "None",
    }
    entry = door.registry.log(model=door.model)[0]
    assert (entry.kind, entry.reason, len(entry.changes)) == (
        "restore",
        "the evening of the incident",
        5,
    )
    assert before["production"] == 1
    revert(door, outcome.operation)
    assert refs(door)["shadow"] == 3


def test_restore_takes_a_moment_by_the_clock(door):
    door.versions(2)
    at = door.promote(1).at_ms
    door.promote(2, to="champion")
    plan = door.registry.plan_restore(Restore(model=door.model, at=at))
    assert plan.operation is not None
    if not plan.already:  # both within one millisecond: then nothing has to change
        assert plan.effects == ("champion: version 2 -> nothing",)


def test_restoring_what_is_so_already_records_nothing(door):
    door.versions(1)
    outcome = restore(door, door.promote(1).operation)
    assert (outcome.already, outcome.operation) == (True, None)


def test_restore_before_the_model_existed_is_refused(door):
    door.versions(1)
    with pytest.raises(Irreversible, match="did not exist"):
        restore(door, 1)
    with pytest.raises(NotFound):
        restore(door, "op-0000000000000000")


def test_restore_to_a_held_version_needs_a_word(door):
    door.versions(2)
    then = door.promote(2)
    door.registry.rollback(
        Rollback(model=door.model, to=f"{door.model}/1", reason="bad"), caller=ANA
    )
    with pytest.raises(Held):
        restore(door, then.operation)
    restore(door, then.operation, release_hold=True)
    assert refs(door)["production"] == 2
    assert refs(door)[2][1] == set()


def test_restore_is_refused_when_the_model_moved_since_it_was_planned(door):
    door.versions(2)
    then = door.promote(1)
    door.promote(2)
    plan = door.registry.plan_restore(Restore(model=door.model, at=then.operation))
    door.promote(2, to="champion")
    with pytest.raises(Conflict):
        restore(door, then.operation, expect_head=plan.head)


def test_restore_to_damaged_bytes_is_refused_and_nothing_moves(door):
    door.versions(2)
    then = door.promote(1)
    door.promote(2)
    digest = door.registry.show(f"{door.model}/1").manifest.files[0].digest
    with door.damaged(digest), pytest.raises(IntegrityFailure):
        restore(door, then.operation)
    assert refs(door)["production"] == 2
    restore(door, then.operation)  # the control: undamaged it is done
    assert refs(door)["production"] == 1


# --- revert ---------------------------------------------------------------------------------------


def test_revert_puts_back_refs_stages_holds_and_marks(door):
    door.versions(2)
    door.promote(1)
    for act in (
        lambda: door.promote(2),
        lambda: door.registry.mark(
            MarkVersion(reference=f"{door.model}/2", value="good"), caller=ANA
        ),
        lambda: door.registry.rollback(
            Rollback(model=door.model, to=f"{door.model}/1", reason="bad"), caller=ANA
        ),
        lambda: door.registry.yank(Yank(reference=f"{door.model}/1", reason="leak"), caller=ANA),
    ):
        before = refs(door)
        outcome = act()
        after = refs(door)
        assert after != before
        back = revert(door, outcome.operation)
        assert refs(door) == before
        assert back.undo == f"lastgood revert {back.operation}"
        revert(door, back.operation)  # a revert is an operation like any other
        assert refs(door) == after
        revert(door, door.registry.log(model=door.model)[0].operation)
        act()


def test_revert_is_refused_when_the_same_thing_changed_since(door):
    door.versions(3)
    first = door.promote(1)
    door.promote(2)
    with pytest.raises(Irreversible, match="cannot be taken back"):
        revert(door, first.operation)
    assert refs(door)["production"] == 2


def test_revert_does_not_mind_what_happened_elsewhere(door):
    door.versions(2)
    first = door.promote(1, to="champion")
    door.promote(2)
    revert(door, first.operation)
    assert "champion" not in refs(door)


def test_a_registration_cannot_be_reverted(door):
    door.versions(1)
    made = door.register("x")
    with pytest.raises(Irreversible, match="lastgood yank"):
        revert(door, made.operation)
    with pytest.raises(InvalidReference):
        revert(door, "7")


def test_a_repeated_revert_with_its_key_is_one_act(door):
    door.versions(2)
    door.promote(1)
    moved = door.promote(2)
    caller = replace(ANA, idempotency_key=uuid.uuid4().hex)
    first, again = revert(door, moved.operation, caller), revert(door, moved.operation, caller)
    assert first.operation == again.operation
    assert refs(door)["production"] == 1


# --- undo and redo --------------------------------------------------------------------------------


def test_undo_walks_back_through_ones_own_acts_and_redo_walks_forward(door):
    door.versions(3)
    for number in (1, 2, 3):
        door.promote(number)
    door.promote(1, to="champion", caller=BEN)
    assert undo(door).undo.startswith("lastgood redo")
    assert refs(door)["production"] == 2
    undo(door)
    assert refs(door)["production"] == 1
    undo(door, redo=True)
    assert refs(door)["production"] == 2
    undo(door, redo=True)
    assert refs(door)["production"] == 3
    with pytest.raises(NotFound):
        undo(door, redo=True)
    for _ in range(3):
        undo(door)
    assert refs(door).get("production") is None
    assert refs(door)["champion"] == 1  # Ben's act is Ben's to undo
    with pytest.raises(NotFound):
        undo(door)


def test_redo_after_another_act_is_refused(door):
    door.versions(3)
    door.promote(1)
    door.promote(2)
    undo(door)
    door.promote(3)
    with pytest.raises(NotFound, match="no undo"):
        undo(door, redo=True)


def test_undo_is_refused_when_somebody_moved_the_ref_since(door):
    door.versions(2)
    door.promote(1)
    door.promote(2, caller=BEN)
    with pytest.raises(Irreversible):
        undo(door)
    plan = door.registry.plan_undo(Undo(model=door.model), caller=BEN)
    assert plan.effects[0] == "production: version 2 -> version 1"


# --- yank -----------------------------------------------------------------------------------------


def test_a_yanked_version_is_not_promoted_unless_said_so(door):
    door.versions(2)
    door.promote(1)
    outcome = door.registry.yank(Yank(reference=f"{door.model}/2", reason="leaks"), caller=ANA)
    assert outcome.summary == f"{door.model}/2 yanked"
    for environment in ("production", "somewhere-new"):
        with pytest.raises(Yanked, match="leaks"):
            door.promote(2, to=environment)
    door.promote(2, allow_yanked=True)
    assert door.registry.yank(Yank(reference=f"{door.model}/2", reason="again"), caller=ANA).already
    revert(door, outcome.operation)
    door.promote(2, to="somewhere-new")


def test_yanking_what_is_live_leaves_it_there_and_says_so(door):
    door.versions(1)
    door.promote(1)
    outcome = door.registry.yank(Yank(reference=door.model, reason="leaks"), caller=ANA)
    assert any("lastgood rollback" in note for note in outcome.notes)
    assert refs(door)["production"] == 1


def test_no_rollback_returns_to_a_yanked_version(door):
    door.versions(2)
    door.promote(1)
    door.serve()
    door.promote(2)
    assert door.registry.plan_rollback(Rollback(model=door.model)).after == 1
    door.registry.yank(Yank(reference=f"{door.model}/1", reason="leaks"), caller=ANA)
    with pytest.raises(NothingGood, match="yanked"):
        door.registry.plan_rollback(Rollback(model=door.model))


def test_yanked_in_one_environment_only(door):
    door.versions(1)
    door.registry.yank(
        Yank(reference=f"{door.model}/1", environment="production", reason="x"), caller=ANA
    )
    with pytest.raises(Yanked):
        door.promote(1)
    door.registry.promote(
        Promote(reference=f"{door.model}/1", to="staging", reason="fine there"), caller=ANA
    )


# --- holds with owner and expiry --------------------------------------------------------------------


def held(door, number, lasts_s):
    command = PlaceHold(reference=f"{door.model}/{number}", reason="odd", lasts_s=lasts_s)
    return door.registry.hold(command, caller=ANA)


def test_a_hold_that_expired_is_not_in_the_way_of_an_undo(door):
    door.versions(2)
    door.promote(1)
    held(door, 2, None)
    door.promote(2, release_hold=True)
    held(door, 2, 3600)
    with pytest.raises(Irreversible, match="hold of version 2"):
        undo(door)  # the control: one that still counts is a change since
    door.registry.release(ReleaseHold(reference=f"{door.model}/2", reason="x"), caller=ANA)
    held(door, 2, 1)
    time.sleep(1.2)
    undo(door)
    assert door.registry.target(door.model, "production").version == 1
    (hold,) = door.registry.show(f"{door.model}/2").holds
    assert (hold.environment, hold.expires_ms) == ("production", None)  # as it was before
    door.registry.undo(Undo(model=door.model, redo=True), caller=ANA)
    assert door.registry.target(door.model, "production").version == 2
    assert not door.registry.fsck().problems


def test_a_hold_that_expired_is_not_in_the_way_of_a_restore(door):
    door.versions(2)
    first = door.promote(1)
    door.promote(2)
    held(door, 1, 1)
    with pytest.raises(Held):
        restore(door, first.operation)
    time.sleep(1.2)
    restore(door, first.operation)
    assert door.registry.target(door.model, "production").version == 1


def test_a_hold_that_comes_back_is_the_hold_it_was(door):
    door.versions(1)
    door.registry.hold(
        PlaceHold(
            reference=f"{door.model}/1",
            environment="staging",
            owner="Bob",
            reason="under review",
            lasts_s=3600,
        ),
        caller=ANA,
    )
    (before,) = door.registry.show(f"{door.model}/1").holds
    freed = door.registry.release(
        ReleaseHold(reference=f"{door.model}/1", environment="staging", reason="x"), caller=ANA
    )
    assert door.registry.show(f"{door.model}/1").holds == ()
    revert(door, freed.operation)
    (after,) = door.registry.show(f"{door.model}/1").holds
    assert (after.owner, after.expires_ms) == (before.owner, before.expires_ms)

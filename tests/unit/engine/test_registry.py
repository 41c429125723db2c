import io
import threading

import pytest

from lastgood.core.commands import Caller, MarkVersion, Promote, Register, Rollback
from lastgood.core.ids import Digest
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.operations import Actor
from lastgood.errors import (
    AlreadyExists,
    Conflict,
    Held,
    IntegrityFailure,
    InvalidName,
    NotFound,
    NothingGood,
)
from lastgood.store.token import token_of


def stages(world):
    return {v.version: v.stage for v in world.registry.versions("churn")}


def test_registering_gives_numbers_and_the_same_bytes_give_the_same_version(world):
    first, second, again = world.register(b"a"), world.register(b"b"), world.register(b"a")
    assert (first.version, second.version) == (1, 2)
    assert again.already
    assert again.version == 1
    assert "already" in again.summary
    assert again.operation is None
    assert len(world.registry.log()) == 2


def test_a_version_whose_files_are_not_stored_is_refused(world):
    files = (FileEntry(path="model.pkl", digest=Digest("sha256:" + "0" * 64), size=1),)
    with pytest.raises(IntegrityFailure, match=r"model\.pkl is missing"):
        world.registry.register(
            Register(model="churn", manifest=Manifest(files=files)), caller=world.caller
        )
    assert world.registry.models() == []


def test_names_that_differ_only_by_case_are_refused(world):
    world.register(b"a", model="churn")
    with pytest.raises(AlreadyExists, match="churn"):
        world.register(b"b", model="Churn")


@pytest.mark.parametrize("name", ["a/b", "x" * 300, "a\x00", ""])
def test_bad_names_are_refused(world, name):
    with pytest.raises(InvalidName):
        world.register(b"a", model=name)


def test_promote_moves_ref_and_stage_and_says_how_to_undo(three):
    assert stages(three) == {1: "Archived", 2: "Archived", 3: "Production"}
    entry = three.registry.log()[0]
    assert (entry.kind, entry.summary) == ("promote", "churn@production: version 2 -> version 3")
    assert entry.actor.name == "ann"
    assert entry.origin.host == "desk"
    assert entry.reason == "release 3"


def test_rollback_returns_to_the_last_good_version_in_one_operation(three):
    before = len(three.registry.log())
    outcome = three.rollback(reason="wrong answers")
    assert outcome.version == 2
    assert stages(three) == {1: "Archived", 2: "Production", 3: "Archived"}
    assert [h.version for v in three.registry.versions("churn") for h in v.holds] == [3]
    entry = three.registry.log()[0]
    assert len(three.registry.log()) == before + 1
    assert {c["kind"] for c in entry.changes} == {"ref_moved", "stage_changed", "hold_placed"}
    assert "200 requests" in outcome.plan.because


def test_rollback_goes_forward_and_can_be_rolled_back(three):
    outcome = three.rollback()
    assert "--release-hold" in outcome.undo
    three.promote(3, release_hold=True, reason="it was the data")
    assert three.registry.show("churn@production").version == 3
    assert [v.holds for v in three.registry.versions("churn")] == [(), (), ()]
    assert [e.kind for e in three.registry.log(environment="production")] == [
        "promote",
        "rollback",
        "promote",
        "promote",
        "promote",
    ]


def test_a_second_rollback_goes_further_back(three):
    three.rollback()
    assert three.rollback().version == 1
    with pytest.raises(NothingGood) as refusal:
        three.rollback()
    assert refusal.value.exit_code == 3
    assert "--to" in refusal.value.hint


def test_a_plan_changes_nothing_and_is_what_happens(three):
    head = three.registry.log()[0].operation
    plan = three.registry.plan_rollback(Rollback(model="churn"))
    assert three.registry.log()[0].operation == head
    outcome = three.rollback(expect_head=plan.head)
    assert outcome.plan.effects == plan.effects
    assert (plan.before, plan.after) == (3, 2)


def test_two_promoters_who_decided_on_the_same_state_cannot_both_win(three):
    command = Promote(reference="churn/1", to="production")
    head = three.registry.plan_promote(command, caller=three.caller).head
    three.promote(1, expect_head=head)
    with pytest.raises(Conflict) as refusal:
        three.promote(2, expect_head=head)
    assert refusal.value.exit_code == 5
    assert three.registry.show("churn@production").version == 1
    three.promote(2)  # the control: without the state it was decided on, the later one wins


def test_what_a_rollback_removed_is_on_hold(three):
    three.rollback(reason="wrong answers")
    with pytest.raises(Held, match="wrong answers"):
        three.promote(3)
    three.promote(3, to="staging")  # the hold is of production only


def test_marks_overrule_evidence(three):
    three.registry.mark(
        MarkVersion(reference="churn/2", value="bad", reason="leaks"), caller=three.caller
    )
    assert three.registry.plan_rollback(Rollback(model="churn")).after == 1
    assert (
        "churn/2: it is marked bad"
        in three.registry.plan_rollback(Rollback(model="churn")).passed_over
    )
    outcome = three.registry.mark(
        MarkVersion(reference="churn/2", value="none"), caller=three.caller
    )
    assert "mark bad churn/2" in outcome.undo
    assert three.registry.plan_rollback(Rollback(model="churn")).after == 2


def test_an_environment_can_be_emptied_and_gets_back(world):
    world.register()
    outcome = world.promote(1)
    assert "--to none" in outcome.undo
    world.rollback(to="none")
    assert world.registry.target("churn", "production").version is None
    with pytest.raises(NotFound, match="points nowhere"):
        world.registry.show("churn@production")
    world.promote(1)
    assert world.registry.show("churn@production").version == 1


def test_a_rollback_notes_other_refs_that_still_name_the_bad_version(three):
    three.promote(3, to="champion")
    outcome = three.rollback()
    assert any("churn@champion still names version 3" in note for note in outcome.notes)


def test_damaged_bytes_are_refused_by_name(three):
    three.damage(2)
    with pytest.raises(
        IntegrityFailure, match=r"churn/2: the file model\.pkl is damaged"
    ) as refusal:
        three.rollback()
    assert refusal.value.exit_code == 6
    assert "--to churn/1" in refusal.value.hint, "the next good version is named"
    with pytest.raises(IntegrityFailure, match=r"model\.pkl"):
        three.promote(2)
    assert three.registry.show("churn@production").version == 3
    problems = three.registry.fsck().problems
    assert [p.where for p in problems] == ["object"]
    assert "model.pkl of churn/2" in problems[0].what


def of_the_store(world):
    """With PostgreSQL one object says which database the objects belong to."""
    token = world.engine.kernel.database.peek(token_of)
    return {token} if token else set()


def test_an_untouched_store_has_no_problems(three):
    """The control of the test above."""
    report = three.registry.fsck()
    assert report.problems == ()
    assert report.operations == 6
    assert report.objects == 6 + len(of_the_store(three))


def test_a_repeated_request_is_one_act(three):
    caller = Caller(actor=Actor(name="ann"), idempotency_key="k1")
    first = three.registry.rollback(Rollback(model="churn"), caller=caller)
    again = three.registry.rollback(Rollback(model="churn"), caller=caller)
    assert (again.operation, again.version, again.already) == (first.operation, 2, True)
    with pytest.raises(Conflict, match="idempotency key"):
        three.registry.promote(Promote(reference="churn/1", to="production"), caller=caller)
    other = Caller(actor=Actor(name="ann"), idempotency_key="k2")
    assert (
        three.registry.rollback(Rollback(model="churn"), caller=other).operation != first.operation
    )


def test_live_answers_ordered_and_observed_and_marks_disagreement(three):
    (view,) = three.registry.live("churn")
    assert (view.version, view.agrees, view.last_good) == (3, True, 2)
    three.rollback(reason="x")
    (view,) = three.registry.live("churn")
    assert (view.version, view.agrees) == (2, False), "the gateway has not followed yet"
    assert view.observed[0].version == 3
    three.serve()
    (view,) = three.registry.live("churn")
    assert view.agrees


def test_live_at_a_moment_in_the_past(three):
    moment = three.time[0] - 1000
    three.time[0] += 60_000
    three.rollback()
    three.serve()
    (then,) = three.registry.live("churn", at=moment)
    (now,) = three.registry.live("churn")
    assert (then.version, now.version) == (3, 2)
    assert three.registry.live("churn", at=1) == []
    assert three.registry.show("churn@production~1").version == 3
    assert three.registry.show("churn@production~2").version == 2


def test_a_silent_gateway_is_shown_as_silent(three):
    three.time[0] += 60_000
    (view,) = three.registry.live("churn")
    assert view.observed[0].state == "silent"
    assert not view.agrees


def test_why_walks_from_request_to_registration(three):
    request = three.serve()
    found = three.registry.why(request)
    assert found.receipt.version == 3
    assert found.ordered_by.reason == "release 3"
    assert found.registered_by.kind == "register"
    assert found.version.digest == found.receipt.digest
    with pytest.raises(NotFound, match="nope"):
        three.registry.why("nope")


def test_a_report_is_stored_once(three):
    before = three.registry.show("churn/3").marks
    three.batch -= 1
    three.serve(requests=10_000)
    assert three.registry.show("churn/3").marks == before


def test_diff_shows_only_what_differs(three):
    found = {(d.section, d.name) for d in three.registry.diff("churn/1", "churn/2").differences}
    assert found == {("metrics", "auc"), ("files", "model.pkl")}
    assert three.registry.diff("churn/2", "churn@production~1").differences == ()


def test_a_follower_is_woken_by_a_move(three):
    seen = three.registry.target("churn", "production")
    woken = []
    thread = threading.Thread(
        target=lambda: woken.append(
            three.registry.target("churn", "production", after_seq=seen.seq, wait_s=20)
        )
    )
    thread.start()
    three.rollback()
    thread.join(10)
    assert woken[0].version == 2


def test_what_does_not_exist(three):
    for reference in (
        "nope",
        "churn/9",
        "churn@nope",
        "churn@sha256:0000",
        "models:/churn/Staging",
        "runs:/abc/model",
    ):
        with pytest.raises(NotFound):
            three.registry.show(reference)
    with pytest.raises(NotFound) as refusal:
        three.registry.versions("Churn")
    assert "churn" in refusal.value.hint
    with pytest.raises(NotFound):
        three.registry.log(model="nope")


def test_an_upload_with_another_digest_is_refused_and_leaves_nothing(world):
    with pytest.raises(IntegrityFailure):
        world.registry.put_object(io.BytesIO(b"x"), digest=Digest("sha256:" + "0" * 64))
    assert set(world.engine.kernel.objects.digests()) == of_the_store(world)

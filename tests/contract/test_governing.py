"""Policies, gates and refusals: the same tests over the registry in process and over HTTP."""

import time
import uuid
from dataclasses import replace

import pytest

from contract.registry_doors import ANA
from lastgood.core.commands import (
    Approve,
    CheckGates,
    MarkVersion,
    PauseEnvironment,
    PlaceHold,
    Promote,
    RecordEvidence,
    Register,
    ReleaseHold,
    Restore,
    Revert,
    Rollback,
    SetPolicy,
    Undo,
)
from lastgood.core.evidence import Evidence
from lastgood.core.manifest import DataInput
from lastgood.core.operations import Actor
from lastgood.errors import Blocked, Conflict, Held, InvalidInput, Irreversible, NotFound, Refused

BOB = replace(ANA, actor=Actor(name="Bob"))
EVE = replace(ANA, actor=Actor(name="Eve"))

POLICY = """
[environments.staging]

[environments.production]
promote = ["Ana Müller"]
rollback = ["Ana Müller", "Bob"]
gates = [
  { type = "metric", metric = "auc", min = 0.8 },
  { type = "came_through" },
]
"""


@pytest.fixture
def govern(door):
    """Put a policy in force for one test."""

    def set_policy(text):
        return door.registry.set_policy(SetPolicy(text=text, reason="rules"), caller=ANA)

    yield set_policy
    set_policy(None)


def register(door, number, auc):
    manifest = door.stored_manifest(
        {"model.bin": f"{door.model} {number}".encode()},
        metrics={} if auc is None else {"auc": auc},
    )
    command = Register(model=door.model, manifest=manifest)
    assert door.registry.register(command, caller=ANA).version == number


def check(door, number, caller=ANA, to="production"):
    return door.registry.check(CheckGates(reference=f"{door.model}/{number}", to=to), caller=caller)


def live(door, ref="production"):
    return door.registry.target(door.model, ref).version


def test_a_policy_is_kept_with_who_put_it_in_force_and_when(door, govern):
    first = govern(POLICY)
    assert (first.model, first.version) == ("", None)
    view = door.registry.policy()
    assert (view.text, view.actor, view.reason) == (POLICY, "Ana Müller", "rules")
    assert view.operation == first.operation
    assert govern(POLICY).already
    govern(POLICY + "\n# changed\n")
    assert door.registry.policy().digest != first.digest
    assert door.registry.policy(at=view.at_ms).text.startswith(POLICY)
    assert door.registry.policy(at=1).digest is None
    entry = next(e for e in door.registry.log() if e.operation == first.operation)
    assert (entry.kind, entry.model) == ("policy", "")
    assert not door.registry.fsck().problems
    with pytest.raises(Irreversible, match="the registry as a whole"):
        door.registry.revert(Revert(operation=first.operation), caller=ANA)


def test_a_policy_that_cannot_be_right_changes_nothing(door, govern):
    govern(POLICY)
    with pytest.raises(InvalidInput, match="did you mean `gates`"):
        govern(POLICY.replace("gates =", "gate ="))
    assert door.registry.policy().text == POLICY


def test_gates_are_asked_and_their_verdicts_kept(door, govern):
    register(door, 1, 0.85)
    govern(POLICY)
    assert check(door, 1).blocking == ("came through",)
    door.promote(1, to="staging")
    view = check(door, 1)
    assert view.allowed
    assert [v.outcome for v in view.verdicts] == ["pass", "pass"]
    door.promote(1)
    assert live(door) == 1
    changes = door.registry.log(model=door.model)[0].changes
    recorded = next(c for c in changes if c["kind"] == "verdicts_recorded")
    assert recorded["allowed"] is True
    assert recorded["policy"] == door.registry.policy().digest
    assert recorded["verdicts"][0]["figures"] == {"auc": 0.85, "min": 0.8}


@pytest.mark.parametrize("auc", [0.7, None])
def test_a_refusal_names_the_gate_and_stays_in_history_and_moves_nothing(door, govern, auc):
    register(door, 1, 0.85)
    register(door, 2, auc)
    door.promote(1)
    govern(POLICY)
    door.promote(2, to="staging")
    with pytest.raises(Blocked, match="metric auc"):
        door.promote(2)
    assert live(door) == 1
    entry = door.registry.log(model=door.model)[0]
    assert (entry.kind, entry.reason) == ("refuse", "a reason")
    assert [c["kind"] for c in entry.changes] == ["verdicts_recorded"]
    assert entry.changes[0]["allowed"] is False
    # The control: without the policy the same act is done.
    govern(None)
    door.promote(2)
    assert live(door) == 2


def test_the_same_refused_request_again_is_the_same_refusal(door, govern):
    register(door, 1, 0.1)
    govern(POLICY)
    keyed = replace(ANA, idempotency_key=uuid.uuid4().hex)
    for _ in range(2):
        with pytest.raises(Blocked, match="metric auc"):
            door.promote(1, caller=keyed)
    assert [e.kind for e in door.registry.log(model=door.model)] == ["refuse", "register"]


def test_promoting_and_rolling_back_are_two_rights(door, govern):
    for number in (1, 2):
        register(door, number, 0.9)
        door.promote(number, to="staging")
    govern(POLICY)
    assert not check(door, 1, caller=BOB).allowed
    with pytest.raises(Blocked, match="Bob may not promote to production"):
        door.promote(1, caller=BOB)
    door.promote(1)
    door.promote(2, to="staging")
    door.promote(2)
    door.registry.mark(MarkVersion(reference=f"{door.model}/1", value="good"), caller=ANA)
    door.registry.rollback(Rollback(model=door.model, reason="bad"), caller=BOB)
    assert live(door) == 1
    eve = replace(ANA, actor=Actor(name="Eve"))
    with pytest.raises(Blocked, match="Eve may not roll back production"):
        door.registry.rollback(
            Rollback(model=door.model, to=f"{door.model}/2", reason="x"), caller=eve
        )


def test_who_decides_on_a_state_that_is_gone_is_told_so_also_by_gates(door, govern):
    register(door, 1, 0.9)
    govern("[environments.production]")
    head = door.registry.plan_promote(
        Promote(reference=f"{door.model}/1", to="production"), caller=ANA
    ).head
    door.promote(1, to="staging")
    with pytest.raises(Conflict):
        door.promote(1, expect_head=head)


def test_a_plan_shows_every_verdict_for_the_caller_and_records_nothing(door, govern):
    register(door, 1, 0.7)
    govern(POLICY)
    before = door.registry.log(model=door.model)

    def plan(caller):
        command = Promote(reference=f"{door.model}/1", to="production")
        return door.registry.plan_promote(command, caller=caller)

    mine = plan(ANA)
    assert (mine.allowed, mine.blocking) == (False, ("metric auc", "came through"))
    assert mine.verdicts == check(door, 1).verdicts
    assert mine.effects
    assert plan(BOB).blocking[0] == "right to promote to production"
    assert list(door.registry.log(model=door.model)) == list(before)
    # The control: without the policy the same plan is let in.
    govern(None)
    assert (plan(ANA).allowed, plan(ANA).verdicts) == (True, ())


NAMED = 'apply = ["Ana Müller", "Bob"]\n[environments.production]\n'


def apply(door, text, caller, **more):
    return door.registry.set_policy(SetPolicy(text=text, reason="mine", **more), caller=caller)


def test_only_who_the_policy_in_force_names_may_change_it(door, govern):
    govern(NAMED)
    mine = NAMED.replace('"Bob"', '"Eve"')
    for text in (mine, None):
        with pytest.raises(Blocked, match="Eve may not change the policy; the policy names") as no:
            apply(door, text, EVE)
        entry = door.registry.log(limit=1)[0]
        assert (entry.kind, entry.model, entry.actor.name) == ("refuse", "", "Eve")
        assert entry.operation in no.value.message
        assert entry.changes[0]["kind"] == "policy_refused"
        assert door.registry.policy().text == NAMED
    keyed = replace(EVE, idempotency_key=uuid.uuid4().hex)
    for _ in range(2):  # the same request again is the same refusal
        with pytest.raises(Blocked, match="may not change the policy"):
            apply(door, mine, keyed)
    # The control: one who is named may, and then what the new policy says counts.
    apply(door, mine, BOB, hand_over=True)
    with pytest.raises(Blocked, match="Bob may not change"):
        apply(door, NAMED, BOB)
    apply(door, NAMED.replace('"Bob"', '"Bob", "Eve"'), EVE)
    assert not door.registry.fsck().problems


def test_nobody_locks_themselves_out_by_a_slip(door, govern):
    govern("[environments.production]")
    before = door.registry.log(limit=1)[0].operation
    for text in (NAMED.replace('"Ana Müller", ', ""), "apply = []\n[environments.production]\n"):
        with pytest.raises(Refused, match="may not change it any more") as slip:
            apply(door, text, ANA)
        assert "--hand-over" in slip.value.hint
    assert door.registry.log(limit=1)[0].operation == before
    apply(door, NAMED.replace('"Ana Müller", ', ""), ANA, hand_over=True)  # the control: meant
    with pytest.raises(Blocked):
        apply(door, NAMED, ANA)
    apply(door, NAMED, BOB)


def test_evidence_recorded_by_hand_opens_its_gate(door, govern):
    register(door, 1, 0.9)
    govern('[environments.production]\ngates = [{ type = "evidence", evidence = "bias" }]')
    with pytest.raises(Blocked, match="is unknown"):
        door.promote(1)
    found = Evidence(name="bias", outcome="pass", summary="reviewed")
    door.registry.record_evidence(
        RecordEvidence(reference=f"{door.model}/1", evidence=(found,)), caller=ANA
    )
    door.promote(1)
    assert live(door) == 1


def test_unknown_may_be_allowed_and_models_may_have_rules_of_their_own(door, govern):
    register(door, 1, None)
    rules = '[environments.production]\ngates = [{ type = "metric", metric = "auc", min = 0.8 }]\n'
    govern(rules)
    assert not check(door, 1).allowed
    govern(f'{rules}[models."{door.model}".environments.production]\nunknown = "allow"\n')
    assert check(door, 1).allowed


def test_a_freeze_refuses_promotions_and_never_a_rollback(door, govern):
    register(door, 1, 0.9)
    register(door, 2, 0.9)
    door.promote(1)
    door.promote(2)
    govern('[environments.production]\nfreeze = [{ from = "2020-01-01T00:00", to = "2999-01-01T00:00", reason = "audit" }]')  # fmt: skip
    door.registry.rollback(
        Rollback(model=door.model, to=f"{door.model}/1", reason="bad"), caller=ANA
    )
    assert live(door) == 1
    with pytest.raises(Blocked, match=r"is frozen: .*audit"):
        door.promote(2, release_hold=True)


# --- approvals ------------------------------------------------------------------------------------

FOUR_EYES = '[environments.production]\napprovals = [{ meaning = "approved", count = 1 }]'


def say(door, number, caller, word="approve", **command):
    return door.registry.approve(
        Approve(reference=f"{door.model}/{number}", to="production", word=word, **command),
        caller=caller,
    )


def test_somebody_else_has_to_approve(door, govern):
    register(door, 1, 0.9)
    govern(FOUR_EYES)
    with pytest.raises(Blocked, match="1 more must say 'approved'"):
        door.promote(1)
    with pytest.raises(Refused, match="four eyes"):
        say(door, 1, ANA)
    outcome = say(door, 1, BOB, reason="looks right")
    assert (outcome.version, outcome.model) == (1, door.model)
    with pytest.raises(Blocked, match="does not count"):
        door.promote(1, caller=BOB)  # who approves does not promote
    door.promote(1)
    assert live(door) == 1
    recorded = door.registry.log(model=door.model)[0].changes[-1]
    assert recorded["verdicts"][0]["message"] == "approved by Bob"


def test_one_rejection_keeps_it_out_until_it_is_taken_back(door, govern):
    register(door, 1, 0.9)
    govern(FOUR_EYES)
    say(door, 1, BOB)
    say(door, 1, EVE, word="reject", reason="biased")
    with pytest.raises(Blocked, match="rejected by Eve"):
        door.promote(1)
    say(door, 1, EVE)
    door.promote(1)
    assert live(door) == 1


def test_an_approval_is_of_one_version_and_ends(door, govern):
    register(door, 1, 0.9)
    register(door, 2, 0.91)
    govern(FOUR_EYES)
    say(door, 1, BOB, lasts_s=3600)
    assert check(door, 1).allowed
    assert not check(door, 2).allowed
    say(door, 1, BOB, lasts_s=1)
    time.sleep(1.2)
    assert not check(door, 1).allowed
    with pytest.raises(InvalidInput):
        say(door, 1, BOB, lasts_s=-1)


def test_show_lists_the_words_that_count_and_what_the_gates_said_last(door, govern):
    register(door, 1, 0.9)
    register(door, 2, 0.9)
    govern(FOUR_EYES)
    say(door, 1, BOB, lasts_s=3600, reason="looks right")
    say(door, 1, EVE, word="reject", meaning="reviewed", reason="biased")
    with pytest.raises(Blocked):
        door.promote(1)
    refusal = door.registry.log(model=door.model)[0]
    shown = door.registry.show(f"{door.model}/1")
    bob, eve = shown.approvals
    assert (bob.actor, bob.word, bob.meaning, bob.environment, bob.reason) == (
        "Bob", "approve", "approved", "production", "looks right"
    )  # fmt: skip
    assert bob.expires_ms > bob.at_ms
    assert (eve.actor, eve.word, eve.meaning, eve.expires_ms) == ("Eve", "reject", "reviewed", None)
    (asked,) = shown.verdicts
    assert (asked.environment, asked.allowed, asked.operation) == (
        "production", False, refusal.operation
    )  # fmt: skip
    assert asked.verdicts[0].message == f"{door.model}/1 was rejected by Eve"
    other = door.registry.show(f"{door.model}/2")
    assert (other.approvals, other.verdicts) == ((), ())
    # Whoever takes a rejection back says another word; the newest verdicts replace the earlier ones.
    say(door, 1, EVE, meaning="reviewed")
    door.promote(1)
    shown = door.registry.show(f"{door.model}/1")
    assert {one.word for one in shown.approvals} == {"approve"}
    assert [one.allowed for one in shown.verdicts] == [True]
    then = door.registry.show(f"{door.model}/1", at=refusal.operation)
    assert [one.word for one in then.approvals] == ["approve", "reject"]
    assert [one.allowed for one in then.verdicts] == [False]
    assert not door.registry.fsck().problems


def test_a_word_that_expired_is_not_listed(door, govern):
    register(door, 1, 0.9)
    given = say(door, 1, BOB, lasts_s=1)
    assert len(door.registry.show(f"{door.model}/1").approvals) == 1
    time.sleep(1.2)
    assert door.registry.show(f"{door.model}/1").approvals == ()
    at = door.registry.show(f"{door.model}/1", at=given.operation)
    assert len(at.approvals) == 1  # as of then it counted


def test_a_policy_may_do_without_four_eyes(door, govern):
    register(door, 1, 0.9)
    govern(FOUR_EYES + "\nfour_eyes = false")
    say(door, 1, ANA)
    door.promote(1)
    assert live(door) == 1


def test_taking_back_needs_the_right_to_roll_back_and_no_gate(door, govern):
    for number in (1, 2):
        register(door, number, 0.9)
        door.promote(number)
    govern('[environments.production]\nrollback = ["Ana Müller"]\ngates = [{ type = "metric", metric = "x", min = 1 }]')  # fmt: skip
    with pytest.raises(Blocked, match="may not roll back"):
        door.registry.restore(
            Restore(model=door.model, at=door.registry.log(model=door.model)[2].operation),
            caller=EVE,
        )
    door.registry.undo(Undo(model=door.model), caller=ANA)
    assert live(door) == 1


# --- pauses and holds -----------------------------------------------------------------------------


def pause(door, *, paused=True, model=None, environment="production"):
    command = PauseEnvironment(
        environment=environment, model=model, paused=paused, reason="audit week"
    )
    return door.registry.pause(command, caller=ANA)


def test_a_paused_environment_takes_no_promotions_and_still_rolls_back(door):
    for number in (1, 2, 3):
        register(door, number, 0.9)
    door.promote(1)
    door.promote(2)
    assert pause(door, model=door.model).operation
    assert pause(door, model=door.model).already
    with pytest.raises(Blocked, match="production was paused by Ana Müller: audit week"):
        door.promote(3)
    assert check(door, 3).blocking == ("paused",)
    door.promote(3, to="staging")  # the control: elsewhere nothing is paused
    door.registry.rollback(
        Rollback(model=door.model, to=f"{door.model}/1", reason="bad"), caller=ANA
    )
    assert live(door) == 1
    pause(door, paused=False, model=door.model)
    door.promote(3)
    assert live(door) == 3


def test_an_environment_may_be_paused_for_all_models(door):
    register(door, 1, 0.9)
    ref = f"env-{uuid.uuid4().hex[:8]}"
    assert pause(door, environment=ref).model == ""
    with pytest.raises(Blocked, match="paused"):
        door.promote(1, to=ref)
    pause(door, environment=ref, paused=False)
    door.promote(1, to=ref)


def hold(door, number, **command):
    command = PlaceHold(reference=f"{door.model}/{number}", reason="looks odd", **command)
    return door.registry.hold(command, caller=ANA)


def test_a_hold_keeps_a_version_out_until_it_is_released(door):
    register(door, 1, 0.9)
    assert hold(door, 1, owner="Bob").version == 1
    with pytest.raises(Held, match="placed by Bob: looks odd"):
        door.promote(1)
    with pytest.raises(Conflict, match="on hold in production already, by Bob"):
        hold(door, 1)
    shown = door.registry.show(f"{door.model}/1").holds[0]
    assert (shown.actor, shown.owner, shown.expires_ms) == ("Ana Müller", "Bob", None)
    free = ReleaseHold(reference=f"{door.model}/1", reason="explained")
    door.registry.release(free, caller=ANA)
    door.promote(1)
    with pytest.raises(NotFound):
        door.registry.release(free, caller=ANA)


def test_a_hold_may_end_by_itself(door):
    register(door, 1, 0.9)
    hold(door, 1, lasts_s=1)
    with pytest.raises(Held):
        door.promote(1)
    time.sleep(1.2)
    assert hold(door, 1, lasts_s=1).operation  # an expired one is in nobody's way
    time.sleep(1.2)
    door.promote(1)
    with pytest.raises(InvalidInput):
        hold(door, 1, lasts_s=0, environment="staging")


def trained(door, number, digest, context="training"):
    manifest = door.stored_manifest(
        {"model.bin": f"{door.model} {number}".encode()},
        data=(DataInput(name="customers", digest=digest, context=context),),
    )
    door.registry.register(Register(model=door.model, manifest=manifest), caller=ANA)


def test_a_hold_with_data_keeps_out_whatever_was_trained_from_it(door):
    poisoned, clean = uuid.uuid4().hex, uuid.uuid4().hex
    for number, digest in ((1, poisoned), (2, poisoned), (3, clean)):
        trained(door, number, digest)
    trained(door, 4, poisoned, context="test")
    hold(door, 1, data=True)
    with pytest.raises(Blocked, match=f"trained from the data {poisoned}"):
        door.promote(2)
    door.promote(3)  # the control: from other data
    door.promote(4)  # only measured on it
    door.registry.release(
        ReleaseHold(reference=f"{door.model}/1", reason="it was right"), caller=ANA
    )
    door.promote(2)
    assert live(door) == 2


def test_no_rollback_returns_to_what_was_made_with_data_on_hold(door):
    poisoned, clean = uuid.uuid4().hex, uuid.uuid4().hex
    for number, digest in ((1, clean), (2, poisoned), (3, poisoned), (4, poisoned)):
        trained(door, number, digest)
        door.promote(number)
    for number in (1, 2, 3):
        said = MarkVersion(reference=f"{door.model}/{number}", value="good", reason="it worked")
        door.registry.mark(said, caller=ANA)
    back = Rollback(model=door.model)
    assert door.registry.plan_rollback(back).after == 3  # the control: nothing is held
    hold(door, 2, data=True)
    plan = door.registry.plan_rollback(back)
    assert plan.after == 1
    assert f"on hold with {door.model}/2" in plan.passed_over[0]
    named = Rollback(model=door.model, to=f"{door.model}/3")
    assert door.registry.plan_rollback(named).after == 3  # who names it means it
    release = ReleaseHold(reference=f"{door.model}/2", reason="it was right")
    door.registry.release(release, caller=ANA)
    assert door.registry.plan_rollback(back).after == 3


def test_a_hold_on_one_of_several_datasets_leaves_what_shares_the_others(door):
    shared, poisoned = (f"sha256:{uuid.uuid4().hex * 2}" for _ in range(2))
    for number, digests in ((1, (shared,)), (2, (shared, poisoned)), (3, (poisoned,))):
        inputs = tuple(DataInput(name=f"part {d[-4:]}", digest=d) for d in digests)
        files = {"model.bin": f"{door.model} {number}".encode()}
        manifest = door.stored_manifest(files, data=inputs)
        door.registry.register(Register(model=door.model, manifest=manifest), caller=ANA)
    for wrong in (uuid.uuid4().hex, "sha256:"):  # of none, and of both
        with pytest.raises(InvalidInput, match="whose digest begins with"):
            hold(door, 2, only_data=wrong)
    hold(door, 2, only_data=poisoned.removeprefix("sha256:")[:12])  # as sha256sum prints it
    door.promote(1)
    with pytest.raises(Blocked, match=f"trained from the data {poisoned}"):
        door.promote(3)


def test_a_hold_with_data_needs_data_that_is_known(door):
    register(door, 1, 0.9)
    with pytest.raises(InvalidInput, match="No digest of the data"):
        hold(door, 1, data=True)
    assert not door.registry.fsck().problems

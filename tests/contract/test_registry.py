"""The contract of `core.ports.Registry`: the same tests over the registry in process and over HTTP."""

import io
import threading
import uuid
from dataclasses import replace

import msgspec
import pytest

from contract.registry_doors import ANA, digest_of
from lastgood.core.commands import MarkVersion, Promote, RecordEvidence, Register, Rollback
from lastgood.core.evidence import Evidence
from lastgood.core.manifest import Code, DataInput, Environment, FileEntry, Manifest
from lastgood.core.observations import GatewayReport
from lastgood.errors import (
    Conflict,
    Held,
    IntegrityFailure,
    InvalidInput,
    InvalidName,
    InvalidReference,
    LastgoodError,
    NotFound,
    NothingGood,
)


def rollback(door, caller=ANA, **command):
    return door.registry.rollback(
        Rollback(model=door.model, reason="it broke", **command), caller=caller
    )


def live(door, ref="production"):
    return next(view for view in door.registry.live(door.model) if view.ref == ref)


# --- register -------------------------------------------------------------------------------------


def test_register_makes_a_version_with_everything_its_manifest_says(door):
    manifest = door.stored_manifest(
        {"MLmodel": b"flavors: {}", "data/weights é.bin": b"w" * 3_000_000},
        code=Code(commit="c0ffee", remote="https://example.org/x", branch="main"),
        data=(DataInput(name="telco", digest="abc", source="s3://bucket", context="training"),),
        params={"C": "1.0"},
        metrics={"auc": 0.875, "n": 3.0, "bad": "NaN"},
        environment=Environment(python="3.11.7", packages=("scikit-learn==1.9.1",)),
        signature='{"inputs":[]}',
        flavors=("sklearn",),
    )
    command = Register(
        model=door.model,
        manifest=manifest,
        description="first",
        tags={"team": "crm"},
        reason="new data",
    )
    outcome = door.registry.register(command, caller=ANA)
    assert (outcome.version, outcome.already) == (1, False)
    assert outcome.digest == digest_of(manifest.encode())
    view = door.registry.show(f"{door.model}/1")
    assert view.manifest == manifest
    assert (view.digest, view.description, view.tags, view.registered_by) == (
        outcome.digest,
        "first",
        {"team": "crm"},
        "Ana Müller",
    )
    assert view.operation == outcome.operation
    assert view.size == manifest.size
    entry = door.registry.log(model=door.model)[0]
    assert (entry.kind, entry.reason, entry.actor.name) == ("register", "new data", "Ana Müller")
    assert entry.origin.host == "laptop"


def test_registering_the_same_again_says_so_and_makes_nothing(door):
    first, again = door.register("same"), door.register("same")
    assert again.already
    assert (again.version, again.digest, again.operation) == (first.version, first.digest, None)
    assert len(door.registry.versions(door.model)) == 1


def test_register_is_refused_while_a_file_is_missing(door):
    entry = FileEntry(path="model.bin", digest=digest_of(uuid.uuid4().bytes), size=16)
    with pytest.raises(IntegrityFailure, match=r"model\.bin"):
        door.registry.register(
            Register(model=door.model, manifest=Manifest(files=(entry,))), caller=ANA
        )
    with pytest.raises(NotFound):
        door.registry.versions(door.model)


def test_register_refuses_names_that_are_none(door):
    for name in ("a/b", "", "bell\x07", "x" * 300):
        with pytest.raises(InvalidName):
            door.register(model=name)


def test_only_missing_objects_are_asked_for(door):
    stored, absent = (
        door.stored_manifest({"a": b"a"}).files[0].digest,
        digest_of(uuid.uuid4().bytes),
    )
    assert list(door.registry.missing_objects([stored, absent])) == [absent]
    assert list(door.registry.missing_objects([])) == []


def test_an_object_with_other_bytes_than_its_digest_is_refused(door):
    data = uuid.uuid4().bytes
    with pytest.raises(IntegrityFailure):
        door.registry.put_object(io.BytesIO(data + b"!"), digest=digest_of(data))
    assert list(door.registry.missing_objects([digest_of(data)])) == [digest_of(data)]


# --- objects and manifests ------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 20_000_000])
def test_objects_come_back_as_they_were_sent(door, size):
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    door.registry.put_object(io.BytesIO(data), digest=digest_of(data))
    assert b"".join(door.registry.read_object(digest_of(data))) == data


@pytest.mark.parametrize("size", [100, 20_000_000])
def test_a_damaged_object_is_never_read_to_its_end(door, size):
    data = uuid.uuid4().bytes + b"x" * size
    digest = digest_of(data)
    door.registry.put_object(io.BytesIO(data), digest=digest)
    got = []
    with door.damaged(digest), pytest.raises(IntegrityFailure, match=digest):
        got.extend(len(chunk) for chunk in door.registry.read_object(digest))
    assert sum(got) < len(data)
    assert (
        b"".join(door.registry.read_object(digest)) == data
    )  # the control: undamaged it can be read


def test_what_is_not_stored_is_not_found(door):
    digest = digest_of(uuid.uuid4().bytes)
    with pytest.raises(NotFound):
        list(door.registry.read_object(digest))
    with pytest.raises(NotFound):
        door.registry.manifest(digest)


def test_a_manifest_is_read_by_its_digest(door):
    outcome = door.register()
    assert digest_of(door.registry.manifest(outcome.digest).encode()) == outcome.digest


# --- references -----------------------------------------------------------------------------------


def test_show_takes_every_form_of_reference(door):
    door.versions(3)
    door.promote(1)
    door.promote(2)
    door.promote(3, to="champion")
    digest, model = door.registry.show(f"{door.model}/2").digest, door.model
    moment = next(
        e
        for e in door.registry.log(model=model)
        if "version 1" in e.summary and e.kind == "promote"
    ).at_ms
    forms = {
        model: 2,
        f"{model}/1": 1,
        f"{model}@champion": 3,
        f"{model}@production": 2,
        f"{model}@production~1": 1,
        f"{model}~1": 1,
        f"{model}@{digest}": 2,
        f"{model}@{digest[:15]}": 2,
        f"models:/{model}/1": 1,
        f"models:/{model}/Production": 2,
        f"models:/{model}@champion": 3,
        f"models:/{model}/latest": 3,
        f"{model}@production@{{{(door.registry.live(model)[0].at_ms - moment) + 3_600_000}ms ago}}": None,
    }
    for reference, number in forms.items():
        if number is None:
            with pytest.raises(NotFound):
                door.registry.show(reference)
        else:
            assert door.registry.show(reference).version == number, reference


@pytest.mark.parametrize(
    "reference",
    ["", "a/b/c", "a@", "a@sha256:zz", "a@x~", "models:/a", "runs:/", "a\x00b", "a" * 3000],
)
def test_malformed_references_are_refused(door, reference):
    with pytest.raises(InvalidReference):
        door.registry.show(reference)


@pytest.mark.parametrize(
    "reference", ["{}/9", "{}@champion", "{}@sha256:0000000000", "{}@production~5", "nobody/1"]
)
def test_references_to_nothing_are_not_found(door, reference):
    door.register()
    with pytest.raises(NotFound) as caught:
        door.registry.show(reference.format(door.model))
    assert caught.value.message


def test_lists(door):
    door.versions(2)
    door.promote(1)
    assert [view.version for view in door.registry.versions(door.model)] == [2, 1]
    mine = next(view for view in door.registry.models() if view.model == door.model)
    assert (mine.versions, mine.latest, mine.refs) == (2, 2, {"production": 1})


# --- promote --------------------------------------------------------------------------------------


def test_promote_moves_the_ref_and_tells_how_to_undo_it(door):
    door.versions(2)
    door.promote(1)
    outcome = door.promote(2)
    assert "version 1 -> version 2" in outcome.summary
    assert "/1" in outcome.undo
    target = door.registry.target(door.model, "production")
    assert (target.version, target.seq, target.operation) == (2, outcome.seq, outcome.operation)


def test_a_plan_changes_nothing_and_says_what_promote_does(door):
    door.versions(2)
    door.promote(1)
    before = len(door.registry.log(model=door.model))
    plan = door.registry.plan_promote(
        Promote(reference=f"{door.model}/2", to="production"), caller=ANA
    )
    assert (plan.before, plan.after) == (1, 2)
    assert plan.effects
    assert len(door.registry.log(model=door.model)) == before
    assert door.promote(2, expect_head=plan.head).plan.effects == plan.effects


def test_of_two_who_decided_on_the_same_state_only_one_wins(door):
    door.versions(3)
    heads = [
        door.registry.plan_promote(
            Promote(reference=f"{door.model}/{number}", to="production"), caller=ANA
        ).head
        for number in (2, 3)
    ]
    door.promote(2, expect_head=heads[0])
    with pytest.raises(Conflict):
        door.promote(3, expect_head=heads[1])
    assert door.registry.target(door.model, "production").version == 2
    door.promote(3)  # the control: without the expectation the second would have won


def test_the_same_idempotency_key_is_one_act(door):
    door.versions(2)
    caller = replace(ANA, idempotency_key=uuid.uuid4().hex)
    first = door.promote(1, caller=caller)
    again = door.promote(1, caller=caller)
    assert (first.operation, first.seq) == (again.operation, again.seq)
    assert again.already
    assert [entry.kind for entry in door.registry.log(model=door.model)].count("promote") == 1
    with pytest.raises(Conflict):
        rollback(door, caller=caller, to=f"{door.model}/2")


def test_promoting_what_is_live_changes_nothing(door):
    door.versions(1)
    door.promote(1)
    again = door.promote(1)
    assert again.already
    assert again.operation is None


def test_a_damaged_file_cannot_go_live(door):
    door.versions(2)
    door.promote(1)
    entry = door.registry.show(f"{door.model}/2").manifest.files[0]
    with door.damaged(entry.digest), pytest.raises(IntegrityFailure, match=r"model\.bin"):
        door.promote(2)
    assert door.registry.target(door.model, "production").version == 1
    assert door.promote(2).version == 2  # the control


# --- rollback, holds, marks -----------------------------------------------------------------------


def test_rollback_returns_to_what_proved_good_not_to_the_version_before(door):
    door.versions(3)
    door.promote(1)
    door.serve()
    door.promote(2)
    door.serve(requests=3)
    door.promote(3)
    plan = door.registry.plan_rollback(Rollback(model=door.model))
    assert (plan.before, plan.after) == (3, 1)
    assert "100 requests" in plan.because
    assert any(f"{door.model}/2" in passed for passed in plan.passed_over)
    outcome = rollback(door, expect_head=plan.head)
    assert outcome.version == 1
    assert door.registry.show(door.model).version == 1
    entry = door.registry.log(model=door.model)[0]
    assert (entry.kind, entry.reason) == ("rollback", "it broke")


def test_rollback_holds_what_it_removed_until_the_hold_is_released(door):
    door.versions(2)
    door.promote(1)
    door.promote(2)
    rollback(door, to=f"{door.model}/1")
    hold = door.registry.show(f"{door.model}/2").holds[0]
    assert (hold.environment, hold.reason, hold.actor) == ("production", "it broke", "Ana Müller")
    with pytest.raises(Held, match="it broke"):
        door.promote(2)
    assert door.promote(2, release_hold=True).version == 2
    assert door.registry.show(f"{door.model}/2").holds == ()


def test_without_anything_good_rollback_refuses_and_says_why(door):
    door.versions(2)
    door.promote(1)
    door.promote(2)
    with pytest.raises(NothingGood) as caught:
        rollback(door)
    assert f"{door.model}/1" in caught.value.message
    assert "--to" in caught.value.hint


def test_marks_decide_what_a_rollback_may_return_to(door):
    door.versions(3)
    for number in (1, 2):
        door.promote(number)
        door.serve()
    door.promote(3)
    assert live(door).last_good == 2
    bad = door.registry.mark(
        MarkVersion(reference=f"{door.model}/2", value="bad", reason="leaks"), caller=ANA
    )
    assert bad.operation
    assert live(door).last_good == 1
    shown = [(mark.value, mark.source) for mark in door.registry.show(f"{door.model}/2").marks]
    assert ("bad", "person") in shown
    door.registry.mark(MarkVersion(reference=f"{door.model}/2", value="none"), caller=ANA)
    assert live(door).last_good == 2


# --- history and state ----------------------------------------------------------------------------


def test_the_log_is_paged_and_filtered(door):
    door.versions(2)
    door.promote(1)
    door.promote(2, to="champion")
    door.promote(2)
    everything = door.registry.log(model=door.model)
    assert [entry.kind for entry in everything] == [
        "promote",
        "promote",
        "promote",
        "register",
        "register",
    ]
    first = door.registry.log(model=door.model, limit=2)
    rest = door.registry.log(model=door.model, before_seq=first[-1].seq)
    assert [*first, *rest] == list(everything)
    assert len(door.registry.log(model=door.model, environment="champion")) == 1
    moved = next(change for change in everything[0].changes if change["kind"] == "ref_moved")
    assert (moved["before"], moved["after"]) == (1, 2)
    assert everything[0].active_ms is None
    assert everything[2].active_ms >= 0


def test_live_tells_ordered_and_observed_apart(door):
    door.versions(2)
    door.promote(1)
    door.serve(gateway=f"gw-{door.model}")
    view = live(door)
    assert (view.version, view.agrees, view.actor, view.reason) == (
        1,
        True,
        "Ana Müller",
        "a reason",
    )
    assert [(slot.version, slot.state, slot.agrees) for slot in view.observed] == [
        (1, "serving", True)
    ]
    door.promote(2)
    behind = live(door)
    assert (behind.version, behind.agrees) == (2, False)
    assert [slot.version for slot in behind.observed] == [1]
    before = door.registry.live(door.model, at=view.since_ms)
    assert [v.version for v in before if v.ref == "production"] == [1]
    assert not door.registry.live(door.model, at=1000)


def test_why_leads_from_a_request_to_who_ordered_the_version(door):
    door.versions(1)
    outcome = door.promote(1)
    receipt = door.serve()
    view = door.registry.why(receipt.request_id)
    assert view.receipt == receipt
    assert view.ordered_by.operation == outcome.operation
    assert view.registered_by.kind == "register"
    assert view.version.version == 1
    with pytest.raises(NotFound):
        door.registry.why("no-such-request")


def test_a_repeated_report_is_stored_once(door):
    door.versions(1)
    door.promote(1)
    report = GatewayReport(gateway=f"gw-{door.model}", host="h", url="u", batch=5)
    door.registry.observe(report)
    door.registry.observe(report)


def test_diff_lists_what_differs_and_nothing_else(door):
    for weights, params in ((b"1", {"C": "1"}), (b"2", {"C": "1", "l": "x"})):
        manifest = door.stored_manifest({"model.bin": weights}, params=params, metrics={"auc": 0.5})
        door.registry.register(Register(model=door.model, manifest=manifest), caller=ANA)
    a, b = f"{door.model}/1", f"{door.model}/2"
    found = {(d.section, d.name): (d.before, d.after) for d in door.registry.diff(a, b).differences}
    assert set(found) == {("params", "l"), ("files", "model.bin")}
    assert found["params", "l"] == (None, "x")
    assert door.registry.diff(a, a).differences == ()


def test_fsck_finds_a_flipped_bit_and_names_the_file(door):
    outcome = door.register()
    digest = door.registry.manifest(outcome.digest).files[0].digest
    with door.damaged(digest):
        problems = [p for p in door.registry.fsck().problems if p.subject == digest]
        assert len(problems) == 1
        assert "model.bin" in problems[0].what
    clean = door.registry.fsck()
    assert not clean.problems
    assert clean.operations >= 1
    assert clean.head


# --- the feed of gateways -------------------------------------------------------------------------


def test_target_waits_for_a_move_and_returns_it(door):
    door.versions(2)
    now = door.promote(1)
    waiting, found = threading.Event(), []

    def wait():
        waiting.set()
        found.append(door.registry.target(door.model, "production", after_seq=now.seq, wait_s=30))

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    moved = door.promote(2)
    thread.join(25)
    assert not thread.is_alive()
    assert (found[0].version, found[0].seq) == (2, moved.seq)


def test_target_returns_the_unchanged_target_when_the_time_is_over(door):
    door.versions(1)
    now = door.promote(1)
    found = door.registry.target(door.model, "production", after_seq=now.seq, wait_s=0.05)
    assert (found.version, found.seq) == (1, now.seq)
    nowhere = door.registry.target(door.model, "staging")
    assert (nowhere.version, nowhere.seq) == (None, 0)


def test_target_of_an_unknown_model_is_not_found(door):
    with pytest.raises(NotFound):
        door.registry.target(f"no {door.model}", "production")


# --- errors ---------------------------------------------------------------------------------------


def test_errors_are_the_same_by_both_doors(local_data, server_url):
    from lastgood.engine.open import open_engine
    from lastgood.sdk import RemoteRegistry

    model = f"errors {uuid.uuid4().hex}"
    acts = [
        lambda r: r.show(f"{model}/1"),
        lambda r: r.show("a/b/c"),
        lambda r: r.versions(model),
        lambda r: r.why("nope"),
        lambda r: r.promote(Promote(reference=f"{model}@champion", to="production"), caller=ANA),
        lambda r: r.plan_rollback(Rollback(model=model)),
        lambda r: r.rollback(Rollback(model=model, environment="v3"), caller=ANA),
        lambda r: r.mark(MarkVersion(reference=model, value="good", environment="a b"), caller=ANA),
        lambda r: r.register(Register(model="x", manifest=Manifest(files=())), caller=ANA),
        lambda r: list(r.read_object("sha256:" + "0" * 64)),
        lambda r: r.manifest("sha256:12"),
        lambda r: r.log(model=model),
        lambda r: r.promote(
            Promote(reference=model, to="production"),
            caller=replace(ANA, actor=replace(ANA.actor, name="n" * 300)),
        ),
    ]
    with open_engine(local_data) as engine, RemoteRegistry(server_url) as remote:
        for act in acts:
            assert _raised(act, engine.registry) == _raised(act, remote)


def _raised(act, registry):
    with pytest.raises(LastgoodError) as caught:
        act(registry)
    error = caught.value
    return type(error), error.message, error.hint, error.exit_code


def test_too_much_is_refused(door):
    door.versions(1)
    with pytest.raises(InvalidInput):
        door.registry.promote(
            Promote(reference=f"{door.model}/1", to="production", reason="x" * 5000), caller=ANA
        )
    with pytest.raises(InvalidInput):
        door.register("other", tags={"k": "v" * 200_000})


def test_views_are_equal_by_both_doors(door):
    """What comes over the wire is the value itself: encoding it again gives the same bytes."""
    door.versions(1)
    door.promote(1)
    door.serve()
    view = door.registry.show(door.model)
    assert msgspec.json.decode(msgspec.json.encode(view), type=type(view)) == view


# --- evidence -------------------------------------------------------------------------------------


def golden(door, outcome="pass", content=b"golden", **more):
    door.registry.put_object(io.BytesIO(content), digest=digest_of(content))
    figures = {"load_s": 0.5, "peak": "NaN"}
    return Evidence(
        name="load_test", outcome=outcome, figures=figures, object=digest_of(content), **more
    )


def test_evidence_given_at_registration_is_part_of_that_operation(door):
    outcome = door.register(evidence=(golden(door, summary="answered"),))
    (view,) = door.registry.show(f"{door.model}/1").evidence
    assert (view.name, view.outcome, view.summary) == ("load_test", "pass", "answered")
    assert (view.figures, view.object) == ({"load_s": 0.5, "peak": "NaN"}, digest_of(b"golden"))
    assert (view.operation, view.actor, view.at_ms) == (
        outcome.operation,
        "Ana Müller",
        outcome.at_ms,
    )


def test_the_newest_evidence_of_a_name_counts_and_the_log_keeps_the_rest(door):
    door.register()
    for result in ("pass", "fail"):
        command = RecordEvidence(reference=f"{door.model}/1", evidence=(golden(door, result),))
        outcome = door.registry.record_evidence(command, caller=ANA)
        assert (outcome.version, outcome.already) == (1, False)
    assert [e.outcome for e in door.registry.show(f"{door.model}/1").evidence] == ["fail"]
    assert [e.kind for e in door.registry.log(model=door.model)][:2] == ["record_evidence"] * 2


def test_registering_the_same_bytes_again_records_only_what_is_news(door):
    caller = replace(ANA, idempotency_key=uuid.uuid4().hex)
    door.register(evidence=(golden(door, "unknown"),))
    manifest = door.registry.show(f"{door.model}/1").manifest
    again = Register(model=door.model, manifest=manifest, evidence=(golden(door, "pass"),))
    first = door.registry.register(again, caller=caller)
    assert (first.version, first.already, first.operation is None) == (1, True, False)
    assert door.registry.register(again, caller=caller).operation == first.operation
    assert door.registry.register(again, caller=ANA).operation is None
    unknown = replace(again, evidence=(golden(door, "unknown"),))
    assert door.registry.register(unknown, caller=ANA).operation is None
    assert [e.outcome for e in door.registry.show(f"{door.model}/1").evidence] == ["pass"]


@pytest.mark.parametrize(
    ("evidence", "error"),
    [
        ((), InvalidInput),
        ((Evidence(name="", outcome="pass"),), InvalidInput),
        ((Evidence(name="x", outcome="perhaps"),), InvalidInput),
        ((Evidence(name="x", outcome="pass"),) * 2, InvalidInput),
        ((Evidence(name="x", outcome="pass", object="sha256:12"),), InvalidInput),
        ((Evidence(name="x", outcome="pass", object=digest_of(b"nowhere")),), IntegrityFailure),
        ((Evidence(name="x" * 101, outcome="pass"),), InvalidInput),
    ],
)
def test_evidence_that_cannot_be_right_is_refused(door, evidence, error):
    door.register()
    command = RecordEvidence(reference=f"{door.model}/1", evidence=evidence)
    with pytest.raises(error):
        door.registry.record_evidence(command, caller=ANA)
    assert door.registry.show(f"{door.model}/1").evidence == ()

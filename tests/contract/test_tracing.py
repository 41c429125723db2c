"""The contract of `core.ports_time.Tracing`, over both doors."""

import uuid

import pytest

from contract.registry_doors import ANA
from lastgood.core.commands import Register
from lastgood.core.manifest import Code, DataInput, Source
from lastgood.core.views import LineageEdge
from lastgood.errors import InvalidReference, NotFound


@pytest.fixture
def made(door):
    """Two versions from one dataset, one of them live; a third from another."""
    tag = uuid.uuid4().hex
    data = [f"sha256:{tag}{n}" for n in (1, 2)]
    for number, digest in enumerate((data[0], data[0], data[1]), 1):
        manifest = door.stored_manifest(
            {"model.bin": f"{tag} {number}".encode()},
            code=Code(commit=f"{tag}c{min(number, 2)}", branch="main", patch=None, dirty=True),
            data=(DataInput(name="telco", digest=digest, context="training"),),
            source=Source(run_id=f"{tag[:20]}{number}"),
        )
        door.registry.register(Register(model=door.model, manifest=manifest), caller=ANA)
    door.promote(1)
    door.promote(2)
    return tag


def down(door, subject):
    view = door.registry.lineage(subject, direction="down")
    return view, {n.id: n for n in view.nodes}


def test_blame_says_who_why_and_from_what(door, made):
    view = door.registry.blame(f"{door.model}@production")
    assert (view.version.version, view.before) == (2, 1)
    assert (view.ordered_by.kind, view.ordered_by.actor.name) == ("promote", "Ana Müller")
    assert view.ordered_by.reason == "a reason"
    assert view.registered_by.kind == "register"
    assert view.version.manifest.code.commit == f"{made}c2"
    assert view.version.missing == door.registry.show(f"{door.model}/2").missing != ()
    before = view.ordered_by.seq - 1
    then = next(e for e in door.registry.log(model=door.model) if e.seq == before).operation
    assert door.registry.blame(door.model, at=then).version.version == 1


def test_blame_needs_a_place_where_something_is(door, made):
    for reference in (f"{door.model}/1", f"{door.model}~1"):
        with pytest.raises(InvalidReference):
            door.registry.blame(reference)
    with pytest.raises(NotFound):
        door.registry.blame(f"{door.model}@champion")


def test_lineage_up_is_run_commit_and_data(door, made):
    view = door.registry.lineage(f"{door.model}/1", direction="up")
    assert view.root == f"{door.model}/1"
    assert {(n.kind, n.id) for n in view.nodes} == {
        ("version", f"{door.model}/1"),
        ("run", f"run:{made[:20]}1"),
        ("commit", f"commit:{made}c1"),
        ("data", f"data:sha256:{made}1"),
    }
    assert {e.target for e in view.edges} == {view.root}
    with pytest.raises(InvalidReference):
        door.registry.lineage(f"data:sha256:{made}1", direction="up")


def test_lineage_down_finds_every_version_and_where_it_is_live(door, made):
    model = door.model
    view, nodes = down(door, f"data:sha256:{made}1")
    assert set(nodes) == {view.root, f"{model}/1", f"{model}/2", f"{model}@production"}
    assert LineageEdge(source=f"{model}/2", target=f"{model}@production") in view.edges
    assert down(door, f"data:{made}1")[0] == view  # as sha256sum prints it
    assert not nodes[f"{model}@production"].detail
    door.serve()
    assert "1 gateway" in down(door, f"{model}/2")[1][f"{model}@production"].detail
    _, nodes = down(door, f"commit:{made}c2")
    assert {f"{model}/2", f"{model}/3"} <= set(nodes)
    _, nodes = down(door, f"run:{made[:20]}3")
    assert f"{model}/3" in nodes


def test_lineage_of_a_moment_says_what_was_live_then(door, made):
    model = door.model
    promoted = door.registry.log(model=model)[1]  # version 1, before version 2 took its place
    live = LineageEdge(source=f"{model}/1", target=f"{model}@production")
    for subject in (f"{model}/1", f"data:sha256:{made}1", f"commit:{made}c1"):
        assert live not in down(door, subject)[0].edges
        view = door.registry.lineage(subject, direction="down", at=promoted.operation)
        assert live in view.edges
    then = door.registry.lineage(f"{model}@production", direction="up", at=promoted.operation)
    assert then.root == f"{model}/1"
    registered = door.registry.log(model=model)[-1]
    view = door.registry.lineage(f"data:sha256:{made}1", direction="down", at=registered.operation)
    assert {n.id for n in view.nodes} == {view.root, f"{model}/1"}  # version 2 was still to come
    with pytest.raises(NotFound):
        door.registry.lineage(f"data:sha256:{made}2", direction="down", at=registered.operation)


def test_a_beginning_is_enough_if_it_is_one(door, made):
    assert down(door, f"commit:{made}c1")[0].root == f"commit:{made}c1"
    with pytest.raises(InvalidReference, match="different"):
        down(door, f"commit:{made}")
    with pytest.raises(NotFound):
        down(door, "commit:0123456789abcdef00")
    for bad in ("commit:ab", "data:", "run:a b c d"):
        with pytest.raises(InvalidReference):
            down(door, bad)


def test_why_reaches_the_data(door, made):
    receipt = door.serve()
    version = door.registry.why(receipt.request_id).version
    assert version.manifest.data[0].name == "telco"
    assert version.missing == door.registry.show(f"{door.model}/2").missing

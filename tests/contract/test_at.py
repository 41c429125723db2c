"""`--at`: every read as of a moment equals what that read said at that moment."""

from dataclasses import replace

import pytest

from contract.registry_doors import ANA
from lastgood.core.commands import MarkVersion, Revert, Rollback, Yank
from lastgood.errors import InvalidReference, NotFound


def acts(door):
    """Every kind of native act, one after the other."""
    yield lambda: door.register("a")
    yield lambda: door.register("b", description="second", tags={"k": "v"})
    yield lambda: door.promote(1)
    yield lambda: door.promote(1, to="champion")
    yield lambda: door.promote(2)
    yield lambda: door.registry.mark(
        MarkVersion(reference=f"{door.model}/1", value="good", reason="fine"), caller=ANA
    )
    yield lambda: door.registry.rollback(Rollback(model=door.model, reason="bad"), caller=ANA)
    yield lambda: door.registry.yank(Yank(reference=f"{door.model}/2", reason="leak"), caller=ANA)
    yield lambda: door.register("c")
    yield lambda: door.promote(3, to="staging")
    newest = door.registry.log(model=door.model, limit=1)[0].operation
    yield lambda: door.registry.revert(Revert(operation=newest), caller=ANA)


def seen(door, at=None):
    versions = door.registry.versions(door.model, at=at)
    return (
        versions,
        [
            replace(door.registry.show(f"{door.model}/{v.version}", at=at), manifest=None)
            for v in versions
        ],
        next(m for m in door.registry.models(at=at) if m.model == door.model),
        [
            (v.ref, v.version, v.digest, v.operation)
            for v in door.registry.live(door.model, at=at)
            # A ref that was not there yet is not shown; one that is nowhere is.
        ],
        [replace(e, active_ms=None) for e in door.registry.log(model=door.model, at=at, limit=100)],
    )


def test_every_read_as_of_an_operation_says_what_it_said_then(door):
    then = [(act().operation, seen(door)) for act in acts(door)]
    for operation, expected in then:
        assert seen(door, operation) == expected, operation


def test_every_read_takes_a_time(door):
    first = door.register("a")
    door.promote(1)
    later = door.registry.log(model=door.model)[0].at_ms + 60_000
    assert seen(door, later)[:3] == seen(door)[:3]
    with pytest.raises(NotFound):
        door.registry.versions(door.model, at=first.at_ms - 1)
    assert door.registry.live(door.model, at=first.at_ms - 1) == []
    assert door.registry.log(model=door.model, at=first.at_ms - 1) == []
    assert door.model not in {m.model for m in door.registry.models(at=first.at_ms - 1)}


def test_references_mean_what_they_meant(door):
    door.versions(3)
    door.promote(1)
    then = door.promote(2).operation
    door.promote(3)
    assert door.registry.show(door.model, at=then).version == 2
    assert door.registry.show(f"{door.model}~1", at=then).version == 1
    assert door.registry.show(f"models:/{door.model}/latest", at=then).version == 3
    assert door.registry.show(door.model).version == 3
    diff = door.registry.diff(door.model, f"{door.model}/3", at=then)
    assert [d.section for d in diff.differences] == ["files"]
    assert door.registry.diff(door.model, f"{door.model}/3").differences == ()


def test_for_how_long_is_as_of_then_too(door):
    door.versions(2)
    first = door.promote(1).operation
    second = door.promote(2).operation
    assert door.registry.log(model=door.model)[1].active_ms is not None
    assert door.registry.log(model=door.model, at=first)[0].active_ms is None
    assert door.registry.log(model=door.model, at=second)[1].active_ms is not None


def test_what_is_no_moment_is_refused(door):
    door.versions(1)
    with pytest.raises(NotFound):
        door.registry.versions(door.model, at="op-0000000000000000")
    with pytest.raises(InvalidReference):
        door.registry.live(door.model, at="yesterday")


def test_evidence_is_as_of_then(door):
    door.versions(2)
    then = door.promote(1)
    door.serve()
    now = door.registry.show(f"{door.model}/1")
    assert [(m.value, m.source) for m in now.marks] == [("good", "earned")]
    assert door.registry.show(f"{door.model}/1", at=then.operation).marks == ()
    later = then.at_ms + 3_600_000
    assert door.registry.show(f"{door.model}/1", at=later).marks == now.marks

"""Waiting for gateways, over a real registry whose gateway reports when the test says so."""

from dataclasses import replace

import pytest

from contract.registry_doors import CONFIG, Door
from lastgood.cli.waiting import behind, wait_until_served
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import Conflict, NotConverged


class Time:
    """A clock that only moves when somebody sleeps; then the next thing happens."""

    def __init__(self, *events):
        self.now, self.events = 0.0, list(events)

    def sleep(self, seconds):
        self.now += seconds
        if self.events:
            self.events.pop(0)()

    def clock(self):
        return self.now


@pytest.fixture
def door(tmp_path):
    init_data_directory(tmp_path / "data")
    (tmp_path / "data" / "config.toml").write_text(CONFIG)
    with open_engine(tmp_path / "data") as engine:
        door = Door(
            registry=engine.registry, data=tmp_path / "data", kind="in process", model="churn"
        )
        door.versions(2)
        door.promote(1)
        yield door


def wait(door, version, time, timeout_s=10.0):
    return wait_until_served(
        door.registry,
        "churn",
        "production",
        version,
        timeout_s=timeout_s,
        sleep=time.sleep,
        clock=time.clock,
    )


def test_returns_as_soon_as_every_gateway_serves_the_version(door):
    door.serve(gateway="a")
    door.serve(gateway="b")
    door.promote(2)
    time = Time(lambda: door.serve(gateway="a"), lambda: door.serve(gateway="b"))
    view = wait(door, 2, time)
    assert {slot.gateway for slot in view.observed} == {"a", "b"}
    assert time.now == pytest.approx(0.2)


def test_one_gateway_behind_is_not_agreement(door):
    door.serve(gateway="a")
    door.serve(gateway="b")
    door.promote(2)
    with pytest.raises(NotConverged, match="b on host-1 is serving version 1"):
        wait(door, 2, Time(lambda: door.serve(gateway="a")), timeout_s=1.0)


def test_no_gateway_at_all_is_not_agreement(door):
    with pytest.raises(NotConverged, match="no gateway follows it"):
        wait(door, 1, Time(), timeout_s=1.0)
    assert behind(None) == "no gateway follows it"


def test_a_ref_that_was_moved_on_is_a_conflict(door):
    with pytest.raises(Conflict, match="pointed at 2"):
        wait(door, 1, Time(lambda: None, lambda: door.promote(2)))


@pytest.mark.parametrize(("silent_s", "waited_for"), [(20, True), (59, True), (61, False)])
def test_a_gateway_that_vanished_is_not_waited_for_for_ever(door, silent_s, waited_for):
    door.serve(gateway="a")
    door.serve(gateway="b")
    (view,) = door.registry.live("churn")
    a, b = view.observed
    gone = replace(
        b, state="silent", agrees=False, last_seen_ms=view.at_ms - silent_s * 1000, detail=""
    )
    assert bool(behind(replace(view, observed=(a, gone)))) is waited_for
    assert "no gateway" in behind(replace(view, observed=(replace(gone, last_seen_ms=0),)))

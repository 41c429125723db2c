"""Random histories: `live --at`, last good and what is protected, against an oracle at every instant."""

import hashlib
import io
import random

import pytest
from history_oracle import Oracle

from lastgood.core import goodness
from lastgood.core.commands import (
    Caller,
    MarkVersion,
    Promote,
    Register,
    Restore,
    Revert,
    Rollback,
    Undo,
    Yank,
)
from lastgood.core.ids import Instant, digest_of_hex
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.observations import GatewayReport, SlotEvent, Traffic
from lastgood.core.operations import Actor
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.catalogue import Catalogue
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import NotFound, NothingGood, Protected, Refused
from lastgood.store import log

BEGIN_MS = 1_800_000_000_000
ENVIRONMENTS = ("production", "production", "staging", "champion")
ACTS = 18
JUMPS_S = (-86_400, -60, -1, 0, 0, 1, 60, 86_400)
CALLERS = {name: Caller(actor=Actor(name=name)) for name in ("ann", "ben")}


class History:
    """One model in a registry, driven at random beside its oracle."""

    def __init__(self, engine, clock, model, seed):
        self.registry, self.clock, self.model = engine.registry, clock, model
        self.catalogue = Catalogue(engine.kernel, Artifacts(engine.kernel))
        self.random = random.Random(seed)
        self.oracle = Oracle(log_ms=engine.kernel.database.read(log.newest_ms))
        clock.now = max(clock.now, self.oracle.log_ms) + 1000

    def run(self):
        self.register()
        for _ in range(ACTS):
            self.random.choices(
                (
                    self.register,
                    self.release,
                    self.promote,
                    self.serve,
                    self.rollback,
                    self.mark,
                    self.delete,
                    self.restore,
                    self.revert,
                    self.undo,
                    self.yank,
                    self.leave_empty,
                ),
                (3, 6, 3, 2, 5, 2, 2, 1, 2, 2, 1, 1),
            )[0]()
            self.check_now()
            self.clock.now += self.random.choice(JUMPS_S) * 1000
        self.check_past()

    # --- acts -------------------------------------------------------------------------------------

    def _do(self, expected, act, caller="", **more):
        """The registry refuses, changes something or finds it done, exactly as the oracle says."""
        if isinstance(expected, str):
            with pytest.raises((Refused, NotFound, Protected)):
                act()
            return
        act()
        if expected:
            entry = self.registry.log(model=self.model, limit=1)[0]
            self.oracle.note(entry.operation, entry.at_ms, caller=caller, **more)

    def _version(self):
        return self.random.choice(self.oracle.alive())

    def _where(self):
        return self.random.choice(ENVIRONMENTS)

    def _who(self):
        return self.random.choice(sorted(CALLERS))

    def register(self):
        content = f"{self.model} {len(self.oracle.contents)}".encode()
        digest = digest_of_hex(hashlib.sha256(content).hexdigest())
        self.registry.put_object(io.BytesIO(content), digest=digest)
        files = (FileEntry(path="model.pkl", digest=digest, size=len(content)),)
        command = Register(model=self.model, manifest=Manifest(files=files))
        number, already = self.oracle.register(content, self.clock.now)
        assert not already
        self._do(True, lambda: self.registry.register(command, caller=CALLERS["ann"]))
        assert self.registry.versions(self.model)[0].version == number

    def promote(self):
        if not self.oracle.alive():
            return
        version, where, who = self._version(), self._where(), self._who()
        release = self.random.random() < 0.3
        expected = self.oracle.promote(version, where, self.clock.now, release=release)
        command = Promote(reference=f"{self.model}/{version}", to=where, release_hold=release)
        self._do(expected, lambda: self.registry.promote(command, caller=CALLERS[who]), who)

    def release(self):
        """What mostly happens: a version goes to production, and serves for a while, well or badly."""
        if not self.oracle.alive():
            return
        version, who = self._version(), self._who()
        expected = self.oracle.promote(version, "production", self.clock.now, release=True)
        command = Promote(reference=f"{self.model}/{version}", to="production", release_hold=True)
        self._do(expected, lambda: self.registry.promote(command, caller=CALLERS[who]), who)
        if self.oracle.ref.get("production"):
            self._serve("production", requests=500, seconds=90)

    def rollback(self):
        where, who = self._where(), self._who()
        to = self._version() if self.oracle.alive() and self.random.random() < 0.4 else None
        expected = self.oracle.rollback(where, to, self.clock.now)
        named = f"{self.model}/{to}" if to else None
        command = Rollback(model=self.model, environment=where, to=named)
        self._do(expected, lambda: self.registry.rollback(command, caller=CALLERS[who]), who)

    def leave_empty(self):
        where, who = self._where(), self._who()
        expected = self.oracle.leave_empty(where, self.clock.now)
        command = Rollback(model=self.model, environment=where, to="none")
        self._do(expected, lambda: self.registry.rollback(command, caller=CALLERS[who]), who)

    def mark(self):
        if not self.oracle.alive():
            return
        version, where = self._version(), self._where()
        value = self.random.choice(("good", "good", "bad", "none"))
        expected = self.oracle.mark(version, where, value, self.clock.now)
        command = MarkVersion(reference=f"{self.model}/{version}", value=value, environment=where)
        self._do(expected, lambda: self.registry.mark(command, caller=CALLERS["ann"]))

    def yank(self):
        if not self.oracle.alive():
            return
        version = self._version()
        expected = self.oracle.mark(version, "*", "yanked", self.clock.now)
        command = Yank(reference=f"{self.model}/{version}")
        self._do(expected, lambda: self.registry.yank(command, caller=CALLERS["ann"]))

    def delete(self):
        if not self.oracle.alive():
            return
        version = self._version()
        expected = self.oracle.delete(version, self.clock.now)
        self._do(
            expected,
            lambda: self.catalogue.delete_version(
                self.model, version, caller=CALLERS["ann"]
            ).result(),
            "ann",
        )

    def restore(self):
        moment, who = self.random.choice(self.oracle.moments), self._who()
        expected = self.oracle.restore(moment.refs, self.clock.now)
        command = Restore(model=self.model, at=moment.operation)
        self._do(expected, lambda: self.registry.restore(command, caller=CALLERS[who]), who)

    def revert(self):
        index, who = self.random.randrange(len(self.oracle.moments)), self._who()
        expected = self.oracle.revert(index, self.clock.now)
        command = Revert(operation=self.oracle.moments[index].operation)
        self._do(expected, lambda: self.registry.revert(command, caller=CALLERS[who]), who)

    def undo(self):
        who = self._who()
        index = self.oracle.to_undo(who)
        expected = "Refused" if index is None else self.oracle.revert(index, self.clock.now)
        taken = "" if index is None else self.oracle.moments[index].operation
        command = Undo(model=self.model)
        self._do(
            expected,
            lambda: self.registry.undo(command, caller=CALLERS[who]),
            who,
            takes_back=taken,
        )

    def serve(self):
        places = sorted(e for e, v in self.oracle.ref.items() if v)
        if not places:
            return
        requests, seconds = self.random.choice((60, 500)), self.random.choice((10, 90))
        self._serve(self.random.choice(places), requests=requests, seconds=seconds)

    def _serve(self, where, *, requests, seconds):
        now = self.clock.now
        target = self.registry.target(self.model, where)
        place = {"model": self.model, "ref": where}
        what = {"version": target.version, "digest": target.digest, "seq": target.seq}
        failures = int(requests * self.random.choice((0.0, 0.0, 0.3)))
        events = (
            SlotEvent(at_ms=0, kind="following", **place),
            SlotEvent(at_ms=now, kind="serving", **place, **what),
        )
        seen = Traffic(
            from_ms=now, to_ms=now + seconds * 1000, requests=requests, failures=failures,
            **place, **what,
        )  # fmt: skip
        self.clock.batch += 1
        report = {"gateway": "g", "host": "h", "url": "u", "batch": self.clock.batch}
        self.registry.observe(GatewayReport(events=events, traffic=(seen,), **report))
        counts = {"requests": requests, "failures": failures, "seconds": seconds}
        self.oracle.serve(where, now, **counts)

    # --- what must hold -----------------------------------------------------------------------------

    def check_now(self):
        for where in self.oracle.ref:
            command = Rollback(model=self.model, environment=where)
            try:
                found = self.registry.plan_rollback(command).after
            except NothingGood:
                found = None
            assert found == self.oracle.last_good(where), (where, "last good")

    def check_past(self):
        moments = self.oracle.moments
        for moment in moments:
            expected = {e: v for e, v in moment.refs.items() if v is not None}
            assert self._live(moment.operation) == expected
        times = {m.at_ms for m in moments}
        for instant in sorted(times | {t - 1 for t in times} | {t + 1 for t in times}):
            assert self._live(Instant(instant)) == self.oracle.refs_at(instant), instant
        middle = self.random.choice(moments)
        found = self.registry.versions(self.model, at=middle.operation)
        stages = {("stage", v.version): v.stage for v in found}
        assert stages == {k: v for k, v in middle.things.items() if k[0] == "stage"}
        holds = {("hold", h.environment, v.version) for v in found for h in v.holds}
        assert holds == {k for k in middle.things if k[0] == "hold"}

    def _live(self, at):
        views = self.registry.live(self.model, at=at)
        return {view.ref: view.version for view in views if view.version is not None}


class Clock:
    """The machine's clock, which jumps."""

    now = BEGIN_MS
    batch = 0

    def __call__(self):
        return Instant(self.now)


@pytest.fixture
def drive(tmp_path):
    """Drive so many random histories through one registry."""
    clock = Clock()
    init_data_directory(tmp_path / "data")
    with open_engine(tmp_path / "data", clock=clock) as engine:

        def many(count, *, first=0):
            for seed in range(first, first + count):
                try:
                    History(engine, clock, f"m{seed}", seed).run()
                except (AssertionError, pytest.fail.Exception) as error:
                    raise AssertionError(f"history {seed}: {error}") from error

        yield many
        assert engine.registry.fsck().problems == ()


@pytest.mark.slow
def test_random_histories(drive):
    drive(100)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_ten_thousand_random_histories(drive):
    drive(10_000, first=1000)


def test_the_control_of_time_travel(drive, monkeypatch):
    """A moment that is taken as just before its operation is found out."""
    right = log.seq_at
    monkeypatch.setattr(log, "seq_at", lambda c, at: max(0, right(c, at) - 1))
    with pytest.raises(AssertionError, match="history"):
        drive(20)


def test_the_control_of_last_good(drive, monkeypatch):
    """A last good that forgets holds is found out."""
    right = goodness._veto
    monkeypatch.setattr(
        goodness, "_veto", lambda v, marks, _held, gone: right(v, marks, frozenset(), gone)
    )
    with pytest.raises(AssertionError, match="history"):
        drive(100)

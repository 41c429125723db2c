"""Random acts on a real registry and on a model of it: both must say the same at every step."""

import hashlib
import io
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from registry_model import Model

from lastgood.core.commands import Caller, MarkVersion, Promote, Register, Rollback
from lastgood.core.ids import Instant, digest_of_hex
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.observations import GatewayReport, SlotEvent, Traffic
from lastgood.core.operations import Actor
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import Held, NothingGood, Yanked
from lastgood.store import log, projections
from lastgood.store.schema import PROJECTIONS, metadata

MODEL = "churn"
BEGIN_MS = 1_800_000_000_000
NEW_OPERATIONS_MAX = 10  # of one rule
CALLER = Caller(actor=Actor(name="ann"))

environments = st.sampled_from(["production", "production", "staging", "champion"])
picks = st.integers(0, 5)


class Rebuilt:
    """Projections of the log, folded on as it grows; `fsck` in the end folds all of it anew."""

    def __init__(self):
        self._engine = sa.create_engine("sqlite://")
        self._connection = self._engine.connect()
        metadata.create_all(self._connection, tables=PROJECTIONS)
        self._seq = 0

    def compare(self, connection):
        newest = log.page(connection, limit=NEW_OPERATIONS_MAX)
        for operation in reversed([o for o in newest if o.seq > self._seq]):
            assert operation.seq == self._seq + 1
            projections.apply(self._connection, operation)
            self._seq = operation.seq
        expected, found = projections.dump(self._connection), projections.dump(connection)
        return [table for table, rows in expected.items() if rows != found[table]]

    def close(self):
        self._connection.close()
        self._engine.dispose()


class RegistryMachine(RuleBasedStateMachine):
    """Register, promote, roll back, mark and observe, with a clock that jumps both ways."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.now, self.batch, self.model = BEGIN_MS, 0, Model()
        self.rebuilt = Rebuilt()
        init_data_directory(self.folder / "data")
        self._open()

    def _open(self):
        self.engine = open_engine(self.folder / "data", clock=lambda: Instant(self.now))
        self.registry = self.engine.registry

    def teardown(self):
        problems = self.engine.registry.fsck().problems
        self.engine.close()
        self.rebuilt.close()
        shutil.rmtree(self.folder)
        assert problems == ()

    def _pick(self, pick):
        return pick % len(self.model.contents) + 1

    def _same(self, expected, act, error):
        """The registry refuses exactly when the model does, and changes something exactly when it does."""
        if isinstance(expected, str):
            with pytest.raises(error):
                act()
            return
        outcome = act()
        assert outcome.already == (not expected)
        assert (outcome.operation is not None) == expected

    @initialize(count=st.integers(0, 3))
    def begin(self, count):
        for content in range(count):
            self.register(content)

    @rule(content=st.integers(0, 5))
    def register(self, content):
        data = b"%d" % content
        digest = digest_of_hex(hashlib.sha256(data).hexdigest())
        self.registry.put_object(io.BytesIO(data), digest=digest)
        files = (FileEntry(path="model.pkl", digest=digest, size=1),)
        command = Register(model=MODEL, manifest=Manifest(files=files))
        outcome = self.registry.register(command, caller=CALLER)
        assert (outcome.version, outcome.already) == self.model.register(content, self.now)

    @precondition(lambda self: self.model.contents)
    @rule(pick=picks, environment=environments, release=st.booleans())
    def promote(self, pick, environment, release):
        version = self._pick(pick)
        command = Promote(reference=f"{MODEL}/{version}", to=environment, release_hold=release)
        expected = self.model.promote(version, environment, self.now, release=release)
        self._same(expected, lambda: self.registry.promote(command, caller=CALLER), (Held, Yanked))

    @precondition(lambda self: self.model.contents)
    @rule(environment=environments)
    def roll_back(self, environment):
        command = Rollback(model=MODEL, environment=environment, reason="it fails")
        expected = self.model.rollback(environment, None, self.now)
        self._same(expected, lambda: self.registry.rollback(command, caller=CALLER), NothingGood)

    @precondition(lambda self: self.model.contents)
    @rule(pick=picks, environment=environments)
    def roll_back_to(self, pick, environment):
        version = self._pick(pick)
        command = Rollback(model=MODEL, environment=environment, to=f"{MODEL}/{version}")
        expected = self.model.rollback(environment, version, self.now)
        self._same(expected, lambda: self.registry.rollback(command, caller=CALLER), NothingGood)

    @precondition(lambda self: self.model.contents)
    @rule(environment=environments)
    def leave_empty(self, environment):
        command = Rollback(model=MODEL, environment=environment, to="none")
        expected = self.model.leave_empty(environment, self.now)
        self._same(expected, lambda: self.registry.rollback(command, caller=CALLER), NothingGood)

    @precondition(lambda self: self.model.contents)
    @rule(
        pick=picks,
        environment=environments,
        value=st.sampled_from(["good", "bad", "yanked", "none"]),
    )
    def mark(self, pick, environment, value):
        version = self._pick(pick)
        command = MarkVersion(reference=f"{MODEL}/{version}", value=value, environment=environment)
        expected = self.model.mark(version, environment, value, self.now)
        self._same(expected, lambda: self.registry.mark(command, caller=CALLER), NothingGood)

    @precondition(lambda self: self.model.contents)
    @rule(pick=picks, environment=environments, failing=st.sampled_from([0.0, 0.0, 0.3]))
    def release(self, pick, environment, failing):
        """What mostly happens: a version is promoted and serves for a while."""
        self.promote(pick, environment, release=True)
        if self.model.ref.get(environment):  # what is yanked is not promoted
            self._serve(environment, requests=500, failures=int(500 * failing), seconds=90)
        self.now += 100_000

    @precondition(lambda self: any(self.model.ref.values()))
    @rule(
        pick=picks,
        requests=st.sampled_from([0, 60, 500]),
        failing=st.sampled_from([0.0, 0.002, 0.3]),
        seconds=st.sampled_from([10, 90]),
    )
    def serve(self, pick, requests, failing, seconds):
        live = sorted(name for name, version in self.model.ref.items() if version)
        environment, failures = live[pick % len(live)], int(requests * failing)
        self._serve(environment, requests=requests, failures=failures, seconds=seconds)

    def _serve(self, environment, *, seconds, **counts):
        target = self.registry.target(MODEL, environment)
        where = {"model": MODEL, "ref": environment}
        what = {"version": target.version, "digest": target.digest, "seq": target.seq}
        events = (
            SlotEvent(at_ms=0, kind="following", **where),
            SlotEvent(at_ms=self.now, kind="serving", **where, **what),
        )
        until = self.now + seconds * 1000
        seen = Traffic(from_ms=self.now, to_ms=until, **counts, **where, **what)
        self.batch += 1
        report = {"gateway": "g", "host": "h", "url": "u", "batch": self.batch}
        for _ in range(2):  # a batch that is repeated counts once
            self.registry.observe(GatewayReport(events=events, traffic=(seen,), **report))
        self.model.serve(environment, self.now, **counts, seconds=seconds)

    @rule(seconds=st.sampled_from([-3600, -1, 0, 1, 100, 86_400]))
    def pass_time(self, seconds):
        self.now += seconds * 1000

    @rule()
    def open_again(self):
        self.engine.close()
        self._open()

    @invariant()
    def versions_are_as_the_model_says(self):
        if not self.model.contents:
            assert list(self.registry.models()) == []
            return
        found = self.registry.versions(MODEL)
        assert {v.version: v.stage for v in found} == self.model.stage
        assert {(e, v.version) for v in found for e in v.refs} == {
            (e, version) for e, version in self.model.ref.items() if version
        }
        assert {(h.environment, v.version) for v in found for h in v.holds} == self.model.holds
        assert {
            (m.environment, v.version): m.value
            for v in found
            for m in v.marks
            if m.source == "person"
        } == {key: value for key, value in self.model.marks.items() if value != "none"}

    @invariant()
    def last_good_is_as_the_model_says(self):
        for environment in self.model.ref:
            command = Rollback(model=MODEL, environment=environment)
            try:
                found = self.registry.plan_rollback(command).after
            except NothingGood:
                found = None
            assert found == self.model.last_good(environment)

    @invariant()
    def the_log_holds_every_act_and_nothing_else(self):
        entries = self.registry.log(limit=1000)
        assert [e.seq for e in entries] == list(range(self.model.operations, 0, -1))
        assert [e.at_ms for e in entries] == sorted((e.at_ms for e in entries), reverse=True)

    @invariant()
    def rebuilt_equals_live(self):
        assert self.engine.kernel.database.read(self.rebuilt.compare) == []


_health = [HealthCheck.too_slow, HealthCheck.data_too_large]
BOUNDED = settings(
    max_examples=12,
    stateful_step_count=35,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=_health,
)


@pytest.mark.slow
class TestRegistryMachine(RegistryMachine.TestCase):
    settings = BOUNDED


LONG = settings(BOUNDED, max_examples=500, stateful_step_count=80, derandomize=False)


# Two of them, one for each processor of a small machine; each tries what its own seed says.


@pytest.mark.nightly
class TestRegistryMachineForLong(RegistryMachine.TestCase):
    settings = LONG


@pytest.mark.nightly
class TestRegistryMachineForLongToo(RegistryMachine.TestCase):
    settings = LONG

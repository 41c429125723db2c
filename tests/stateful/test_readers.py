"""Readers that poll while production is promoted and rolled back a thousand times see no mixed state."""

import hashlib
import io
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
import reader_process
from reader_process import BAD, GOOD, MODELS

from lastgood.core.commands import Caller, Promote, Register, Rollback
from lastgood.core.ids import digest_of_hex
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.operations import Actor
from lastgood.engine.kernel import Decision
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.engine.promote import plan_promote, plan_rollback
from lastgood.engine.registry import LocalRegistry

ROLLBACKS = 1000
ROLLBACKS_OF_THE_CONTROL = 100
CALLER = Caller(actor=Actor(name="ann"))


def promotion(model, number):
    return Promote(reference=f"{model}/{number}", to="production", release_hold=True)


def rollback(model):
    return Rollback(model=model, to=f"{model}/{GOOD}", reason="it fails")


@pytest.fixture
def engine(tmp_path):
    init_data_directory(tmp_path / "data")
    with open_engine(tmp_path / "data") as opened:
        registry = opened.registry
        for model in MODELS:
            for number in range(1, BAD + 1):
                content = b"%d" % number
                digest = digest_of_hex(hashlib.sha256(content).hexdigest())
                registry.put_object(io.BytesIO(content), digest=digest)
                files = (FileEntry(path="model.pkl", digest=digest, size=1),)
                command = Register(model=model, manifest=Manifest(files=files))
                registry.register(command, caller=CALLER)
            registry.promote(promotion(model, GOOD), caller=CALLER)
            registry.promote(promotion(model, BAD), caller=CALLER)
            registry.rollback(rollback(model), caller=CALLER)
        yield opened


def in_one_operation(engine, model):
    engine.registry.promote(promotion(model, BAD), caller=CALLER)
    engine.registry.rollback(rollback(model), caller=CALLER)


def change_by_change(engine, model):
    """The same changes, each as a transaction of its own: what the seeds' tools do."""
    kernel, now = engine.kernel, engine.kernel.clock()
    for kind, plan in (
        ("promote", lambda c: plan_promote(c, promotion(model, BAD), now=now)),
        ("rollback", lambda c: plan_rollback(c, rollback(model), kernel.settings, now=now)),
    ):
        for change in kernel.database.read(plan).changes:
            decision = Decision(kind=kind, model=model, changes=(change,), summary="a part")
            kernel.act(CALLER, lambda _tx, d=decision: d).result()


class Watch:
    """A thread and a process that look all the time."""

    def __init__(self, engine):
        self.looks, self.wrong = 0, []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, args=(engine,))
        self._process = subprocess.Popen(
            [sys.executable, reader_process.__file__, str(engine.data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _poll(self, engine):
        while not self._stop.is_set():
            for model in MODELS:
                self.wrong += reader_process.look(engine.registry, model)
                self.looks += 1

    def __enter__(self):
        assert self._process.stdout.readline() == "ready\n"
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()
        told, _ = self._process.communicate(timeout=60)
        looks, wrong, *example = told.split(maxsplit=2)
        self.looks_of_process, self.wrong_of_process = int(looks), int(wrong)
        self.example = example


@pytest.mark.slow
def test_no_reader_sees_half_of_a_rollback(engine):
    with Watch(engine) as watch:
        for n in range(ROLLBACKS):
            in_one_operation(engine, MODELS[n % len(MODELS)])
    assert (watch.wrong, watch.wrong_of_process) == ([], 0), watch.example
    assert min(watch.looks, watch.looks_of_process) > 50
    assert len([e for e in engine.registry.log(limit=1000) if e.kind == "rollback"]) == 500
    assert engine.registry.fsck().problems == ()


@pytest.mark.slow
def test_readers_would_see_half_of_one_that_is_not_one_operation(engine):
    """The control."""
    with Watch(engine) as watch:
        for n in range(ROLLBACKS_OF_THE_CONTROL):
            change_by_change(engine, MODELS[n % len(MODELS)])
    assert watch.wrong
    assert watch.wrong_of_process


class Interrupted:
    """A database in which something happens after the first read."""

    def __init__(self, database, happen):
        self._database, self._happen = database, happen

    def read(self, query):
        found = self._database.read(query)
        happen, self._happen = self._happen, lambda: None
        happen()
        return found


@pytest.mark.parametrize(
    "look",
    [
        lambda registry, model: registry.versions(model),
        lambda registry, model: [registry.show(f"{model}@production")],
    ],
    ids=["versions", "show"],
)
def test_what_one_call_shows_is_one_moment(engine, look):
    model = MODELS[0]
    engine.registry.promote(promotion(model, BAD), caller=CALLER)
    database = Interrupted(
        engine.kernel.database, lambda: engine.registry.rollback(rollback(model), caller=CALLER)
    )
    views = look(LocalRegistry(replace(engine.kernel, database=database)), model)
    for view in views:
        live = "production" in view.refs
        assert live == (view.stage == "Production")
        assert not (live and view.holds)

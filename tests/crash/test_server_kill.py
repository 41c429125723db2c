"""kill -9 of a server at random times while clients release and roll back; what they were told is true."""

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import pytest

from lastgood.core.commands import Caller, Promote, Register, Rollback
from lastgood.core.ids import digest_of_hex
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.operations import Actor
from lastgood.engine.open import open_engine
from lastgood.errors import LastgoodError
from lastgood.sdk import RemoteRegistry
from lastgood.store import rebuild

CLIENTS = 4
READY_S = 60.0
LIFE_S = 0.7  # a server lives at most this long after it is ready
RELEASES_MAX = 10_000  # of one client in one life of a server
KILLS, KILLS_NIGHTLY = 6, 200


class Server:
    """A server process of its own process group, ready when made."""

    def __init__(self, data, ready):
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "lastgood", "server", "--data", str(data), "--port", "0"]
        self._process = subprocess.Popen(
            [*command, "--ready-file", str(ready)],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + READY_S
        while not (ready.exists() and ready.read_text().endswith("}")):
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.kill()
                raise RuntimeError("the server did not become ready")
            time.sleep(0.01)
        self.url = json.loads(ready.read_text())["url"]
        # The first answer loads code; on a busy machine that takes longer than this server will live.
        httpx.get(f"{self.url}/api/v1/models", timeout=READY_S).raise_for_status()

    def kill(self):
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)


@dataclass
class Client:
    """Registers, promotes and rolls back on a model of its own, and notes what was acknowledged."""

    model: str
    acknowledged: list = field(default_factory=list)
    checked: int = 0  # how many of these the checker has looked up

    def work(self, url, stop, *, releases=RELEASES_MAX):
        # Without repetitions: the server will not come back under this address.
        with RemoteRegistry(url, actor="ann", retry_delays_s=()) as registry:
            for _ in range(releases):
                if stop.is_set():
                    return
                try:
                    self._release(registry)
                except LastgoodError:
                    return  # the server is gone; whatever was not answered may or may not be done

    def _release(self, registry):
        content = f"{self.model} {len(self.acknowledged)} {time.monotonic_ns()}".encode()
        digest = digest_of_hex(hashlib.sha256(content).hexdigest())
        registry.put_object(io.BytesIO(content), digest=digest)
        entry = FileEntry(path="model.pkl", digest=digest, size=len(content))
        command = Register(model=self.model, manifest=Manifest(files=(entry,)))
        number = self._note(registry.register, command).version
        self._note(registry.promote, Promote(reference=f"{self.model}/{number}", to="production"))
        if number > 1:
            back = Rollback(model=self.model, to=f"{self.model}/{number - 1}", reason="it fails")
            self._note(registry.rollback, back)

    def _note(self, act, command):
        outcome = act(command, caller=Caller(actor=Actor(name="ann")))
        self.acknowledged.append(outcome.operation)
        return outcome


class Checker:
    """Compares the store with what clients were told: after each kill what is new, at the end everything.

    The log only grows, so what was found in it once can be lost only by a change of the past; that
    shows in the hash of the operation that was the newest before.
    """

    def __init__(self, data, clients):
        self._data, self._clients = data, clients
        self._newest = (0, None)  # position and hash of the newest operation that was looked at
        self._noted = 0

    def flaws(self):
        """What a kill did that it must not do, in words."""
        with open_engine(self._data) as engine:
            yield from self._new_operations(engine.registry)
            for client in self._clients:
                yield from half_visible(engine.registry, client.model)
            yield from engine.kernel.database.read(rebuild.database_flaws)

    def _new_operations(self, registry):
        seq, digest = self._newest
        found = {entry.seq: entry for entry in entries(registry, after=seq - 1)}
        if seq and found.pop(seq).hash != digest:
            yield "the past changed"
        new = {entry.operation for entry in found.values()}
        told = [operation for c in self._clients for operation in c.acknowledged[c.checked :]]
        if lost := set(told) - new:
            yield f"lost: {lost}"
        if not 0 <= len(new) - len(told) <= len(self._clients):
            yield f"{len(new)} new operations, {len(told)} of them acknowledged"
        for client in self._clients:
            client.checked = len(client.acknowledged)
        if found:
            self._newest = (max(found), found[max(found)].hash)

    def flaws_of_everything(self):
        """All acknowledgements and all of the store, once more and from the start."""
        with open_engine(self._data) as engine:
            operations = {entry.operation for entry in entries(engine.registry, after=0)}
            for client in self._clients:
                if lost := set(client.acknowledged) - operations:
                    yield f"lost in the end: {lost}"
            for problem in engine.registry.fsck().problems:
                yield str(problem)


def entries(registry, *, after):
    """The operations after that position, newest first."""
    before = None
    while page := registry.log(limit=1000, before_seq=before):
        yield from (entry for entry in page if entry.seq > after)
        before = page[-1].seq
        if before <= after:
            return


def half_visible(registry, model):
    """An operation that was carried out in part."""
    if all(known.model != model for known in registry.models()):
        return
    versions = registry.versions(model)
    live = [v.version for v in versions if "production" in v.refs]
    labelled = [v.version for v in versions if v.stage == "Production"]
    held = [v.version for v in versions if v.holds]
    if live != labelled or len(live) > 1 or set(live) & set(held):
        yield f"{model}: live {live}, labelled {labelled}, held {held}"


def kill_again_and_again(tmp_path, kills, seed):
    """How many acts were acknowledged."""
    rng, data = random.Random(seed), tmp_path / "data"
    clients = [Client(f"churn-{n}") for n in range(CLIENTS)]
    checker = Checker(data, clients)
    for _ in range(kills):
        server, stop = Server(data, tmp_path / "ready"), threading.Event()
        threads = [threading.Thread(target=c.work, args=(server.url, stop)) for c in clients]
        for thread in threads:
            thread.start()
        time.sleep(rng.uniform(0.0, LIFE_S))
        server.kill()
        stop.set()
        for thread in threads:
            thread.join(60)
        assert list(checker.flaws()) == []
    assert list(checker.flaws_of_everything()) == []
    return sum(len(client.acknowledged) for client in clients)


@pytest.mark.slow
def test_what_a_killed_server_acknowledged_is_there(tmp_path):
    assert kill_again_and_again(tmp_path, KILLS, seed=1) > KILLS


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(2))  # one for each processor of a small machine
def test_what_a_server_killed_two_hundred_times_acknowledged_is_there(tmp_path, part):
    acknowledged = kill_again_and_again(tmp_path, KILLS_NIGHTLY // 2, seed=time.time_ns() + part)
    assert acknowledged > KILLS_NIGHTLY
    print(f"{KILLS_NIGHTLY // 2} kills, {acknowledged:,} acknowledged acts, none lost")


@pytest.mark.slow
def test_the_checker_sees_what_was_lost_and_what_nobody_was_told(tmp_path):
    """The control: the same store, but clients who were told something else."""
    client = Client("churn-0")
    server, stop = Server(tmp_path / "data", tmp_path / "ready"), threading.Event()
    try:
        client.work(server.url, stop, releases=2)
    finally:
        server.kill()
    told = list(client.acknowledged)
    assert list(Checker(tmp_path / "data", [client]).flaws()) == []
    client.acknowledged, client.checked = [*told, "op-that-never-was"], 0
    checker = Checker(tmp_path / "data", [client])
    assert any("lost" in flaw for flaw in checker.flaws())
    assert any("lost in the end" in flaw for flaw in checker.flaws_of_everything())
    client.acknowledged, client.checked = told[:-2], 0
    assert any("acknowledged" in flaw for flaw in Checker(tmp_path / "data", [client]).flaws())

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

CLIENTS = 4
READY_S = 60.0
LIFE_S = 0.7  # a server lives at most this long after it is ready
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

    def work(self, url, stop):
        with RemoteRegistry(url, actor="ann") as registry:
            while not stop.is_set():
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


def flaws(data, clients):
    """What is not as promised, in words."""
    with open_engine(data) as engine:
        operations, before = set(), None
        while entries := engine.registry.log(limit=1000, before_seq=before):
            operations |= {entry.operation for entry in entries}
            before = entries[-1].seq
        for client in clients:
            lost = set(client.acknowledged) - operations
            if lost:
                yield f"lost: {lost}"
        for model in engine.registry.models():
            versions = engine.registry.versions(model.model)
            live = [v.version for v in versions if "production" in v.refs]
            labelled = [v.version for v in versions if v.stage == "Production"]
            held = [v.version for v in versions if v.holds]
            if live != labelled or len(live) > 1 or set(live) & set(held):
                yield f"{model.model}: live {live}, labelled {labelled}, held {held}"
        for problem in engine.registry.fsck().problems:
            yield str(problem)


def kill_again_and_again(tmp_path, kills, seed):
    rng, data = random.Random(seed), tmp_path / "data"
    clients = [Client(f"churn-{n}") for n in range(CLIENTS)]
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
        assert list(flaws(data, clients)) == []
    return sum(len(client.acknowledged) for client in clients)


@pytest.mark.slow
def test_what_a_killed_server_acknowledged_is_there(tmp_path):
    assert kill_again_and_again(tmp_path, KILLS, seed=1) > KILLS


@pytest.mark.nightly
def test_what_a_server_killed_two_hundred_times_acknowledged_is_there(tmp_path):
    assert kill_again_and_again(tmp_path, KILLS_NIGHTLY, seed=time.time_ns()) > KILLS_NIGHTLY

"""The process that is killed.

Started once, it imports lastgood and then forks a child for every job, because importing costs more
than all the rest. A child waits until its tracer is attached, carries out a fixed list of acts on
a data directory and writes a line for each that was acknowledged. Every act has its own fixed time,
so that every run makes the same operations with the same hashes.
"""

import functools
import hashlib
import io
import json
import os
import signal
import sys
from pathlib import Path
from unittest import mock

from lastgood.cas import select
from lastgood.cas.local import LocalObjects
from lastgood.core.commands import Caller, MarkVersion, Promote, Register, Rollback
from lastgood.core.ids import Instant, digest_of_hex
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.observations import GatewayReport, SlotEvent, Traffic
from lastgood.core.operations import Actor
from lastgood.engine import open as opening
from lastgood.errors import LastgoodError
from lastgood.store import sqlite

MODEL = "churn"
BEGIN_MS = 1_800_000_000_000
STEP_MS = 200_000
HANG_S = 60
_time = [BEGIN_MS]


def now():
    return Instant(_time[0])


def at(step, act):
    """The act, always at the same time."""

    def timed(registry):
        _time[0] = BEGIN_MS + step * STEP_MS
        return act(registry)

    return timed


def caller(key):
    return Caller(actor=Actor(name="ann"), idempotency_key=key)


def register(registry, number):
    """Two files, one of them shared by all versions, and the version."""
    entries = []
    for path, content in (("MLmodel", b"flavors: {}"), ("model.pkl", b"%d" % number * 20_000)):
        digest = digest_of_hex(hashlib.sha256(content).hexdigest())
        registry.put_object(io.BytesIO(content), digest=digest)
        entries.append(FileEntry(path=path, digest=digest, size=len(content)))
    command = Register(model=MODEL, manifest=Manifest(files=tuple(entries)))
    return registry.register(command, caller=caller(f"register {number}"))


def promote(registry, number):
    command = Promote(reference=f"{MODEL}/{number}", to="production")
    return registry.promote(command, caller=caller(f"promote {number}"))


def roll_back(registry, key):
    command = Rollback(model=MODEL, reason="it fails")
    return registry.rollback(command, caller=caller(f"rollback {key}"))


def mark(registry, number):
    command = MarkVersion(reference=f"{MODEL}/{number}", value="bad", reason="seen failing")
    return registry.mark(command, caller=caller(f"mark {number}"))


def serve(registry, number):
    """A gateway serves the version for long enough to prove it good."""
    target = registry.target(MODEL, "production")
    where = {"model": MODEL, "ref": "production"}
    what = {"version": number, "digest": target.digest, "seq": target.seq}
    events = (
        SlotEvent(at_ms=now(), kind="following", **where),
        SlotEvent(at_ms=now(), kind="serving", **where, **what),
    )
    seen = Traffic(from_ms=now(), to_ms=now() + 90_000, requests=500, failures=0, **where, **what)
    registry.observe(
        GatewayReport(gateway="g", host="h", url="u", events=events, traffic=(seen,), batch=number)
    )


def prepare(data):
    """The directory that most crashes happen to: version 1 proved good, 2 is live and did too."""
    opening.init_data_directory(data)
    with opening.open_engine(data, clock=now) as engine:
        for number in (1, 2):
            at(number, lambda r, n=number: register(r, n))(engine.registry)
            promote(engine.registry, number)
            serve(engine.registry, number)


ACTS = {
    "release": (
        at(3, lambda r: register(r, 3)),
        at(4, lambda r: promote(r, 3)),
        at(5, lambda r: roll_back(r, "of 3")),
        at(6, lambda r: mark(r, 3)),
        at(7, lambda r: register(r, 4)),
        at(8, lambda r: promote(r, 4)),
        at(9, lambda r: roll_back(r, "of 4")),
    ),
    "begin": (
        at(0, lambda r: register(r, 1)),
        at(1, lambda r: promote(r, 1)),
        at(2, lambda r: register(r, 2)),
    ),
}


def vary(variant):
    """Take one protection away, for the controls."""
    if variant == "without transaction":
        # Both names must exist: a control that changes nothing would prove nothing.
        for name in ("begin", "save", "keep", "undo", "commit"):
            mock.patch.object(sqlite._Session, name).start()
    elif variant == "objects not synced":
        select.LocalObjects = functools.partial(LocalObjects, durable=False)


def carry_out(job, tell):
    """All acts in order; stops at the first that the store refuses."""
    data = Path(job["data"])
    synchronous = "OFF" if job.get("variant") == "log not synced" else "FULL"
    try:
        opening.init_data_directory(data)
        with opening.open_engine(data, clock=now, synchronous=synchronous) as engine:
            for act in ACTS[job["acts"]]:
                outcome = act(engine.registry)
                tell({"seq": outcome.seq, "operation": outcome.operation})
    except LastgoodError as error:
        tell({"refused": type(error).__name__, "message": error.message, "hint": error.hint})


def carry_out_twice(job, tell):
    """Under the fault and then, in the same process and on the same connections, without it."""
    data, acts = Path(job["data"]), list(ACTS[job["acts"]])
    with opening.open_engine(data, clock=now) as engine:
        tell({"ready": True})
        for fifo in job["go"]:
            wait_for(fifo)
            refused = None
            while acts and not refused:
                try:
                    outcome = acts[0](engine.registry)
                except LastgoodError as error:
                    refused = {"refused": type(error).__name__, "message": error.message}
                    tell({**refused, "hint": error.hint})
                else:
                    tell({"seq": outcome.seq, "operation": outcome.operation})
                    del acts[0]
            tell({"operations": len(engine.registry.log(limit=1000))})


def wait_for(fifo):
    with Path(fifo).open("rb") as opened:
        opened.read(1)


def child(job):
    signal.alarm(HANG_S)  # a child that hangs is a failure, not a wait without end
    acks = os.open(job["acks"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def tell(what):
        # Not write(2), because that is one of the calls in which faults are injected.
        os.writev(acks, [json.dumps(what).encode() + b"\n"])

    vary(job.get("variant"))
    if len(job["go"]) == 2:
        carry_out_twice(job, tell)
    else:
        wait_for(job["go"][0])
        carry_out(job, tell)


def main():
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                child(job)
                code = 0
            except BaseException as error:  # a process edge: say it and die
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(code)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()

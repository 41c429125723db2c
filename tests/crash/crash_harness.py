"""Kills and faults at the N-th system call, and the checker that looks at what is left."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import crash_worker

from lastgood.engine.open import open_engine

ATTACH_S = 20.0
POLL_S = 0.002
KILLED = -signal.SIGKILL
STRACE = shutil.which("strace")


@dataclass
class Run:
    """What a worker said before it ended, and how it ended."""

    data: Path
    exit_code: int
    acknowledged: list = field(default_factory=list)
    refused: list = field(default_factory=list)
    operations: list = field(default_factory=list)  # in the log under the fault, and after it
    before_refusal: int = 0  # acknowledged under the fault
    trace: Path | None = None


class Nursery:
    """Workers on demand, each on its own copy of a data directory, each with its own fault."""

    def __init__(self, root):
        self._root = root
        self._count = itertools.count()
        self._process = subprocess.Popen(
            [sys.executable, crash_worker.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def run(self, *, acts, template=None, inject=None, trace=None, variant=None, lifted=False):
        """Let one worker carry out the acts.

        Args:
            acts: Which of `crash_worker.ACTS`.
            template: The data directory to work on a copy of; None: one that does not exist yet.
            inject: As for `strace -e inject=`; None: nothing happens to it.
            trace: As for `strace -e trace=`, to read afterwards.
            variant: Which protection to take away.
            lifted: After the acts were tried under the fault, lift it and let them be tried again.
        """
        here = self._root / str(next(self._count))
        here.mkdir()
        data, acks = here / "data", here / "acks"
        if template is not None:
            shutil.copytree(template, data)
        go = [here / f"go-{n}" for n in range(1 + lifted)]
        for fifo in go:
            os.mkfifo(fifo)
        job = {"acts": acts, "data": str(data), "acks": str(acks), "variant": variant}
        self._process.stdin.write(json.dumps({**job, "go": [str(g) for g in go]}) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        output = here / "trace"
        if lifted:  # the fault is to meet a registry that runs, not one that starts
            _wait_until_told(acks, "ready", pid=pid)
        tracer = _attach(pid, inject=inject, trace=trace, output=output)
        _open(go[0])
        if lifted:
            _wait_until_told(acks, "operations", pid=pid)
            _detach(tracer)
            tracer = None
            _open(go[1])
        exit_code = int(self._process.stdout.readline())
        if tracer is not None:
            tracer.wait(ATTACH_S)
        run = Run(data=data, exit_code=exit_code, trace=output)
        for line in acks.read_text().splitlines():
            told = json.loads(line)
            if "seq" in told:
                run.acknowledged.append(told)
                run.before_refusal += not run.operations
            elif "refused" in told:
                run.refused.append(told)
            elif "operations" in told:
                run.operations.append(told["operations"])
        return run

    def discard(self, run):
        """A point that was checked needs no disk any more."""
        shutil.rmtree(run.data.parent)


def _attach(pid, *, inject, trace, output):
    if inject is None and trace is None:
        return None
    names = trace or inject.partition(":")[0]
    options = ["-e", f"inject={inject}"] if inject else []
    tracer = subprocess.Popen(
        [
            STRACE,
            "-f",
            "-qq",
            "-y",
            "-s",
            "400",
            "-o",
            str(output),
            "-e",
            f"trace={names}",
            *options,
            "-e",
            "signal=none",
            "-p",
            str(pid),
        ],
        stderr=subprocess.DEVNULL,
    )
    status = Path(f"/proc/{pid}/status")
    deadline = time.monotonic() + ATTACH_S
    while "TracerPid:\t0\n" in status.read_text():
        if time.monotonic() > deadline or tracer.poll() is not None:
            raise RuntimeError("strace did not attach")
        time.sleep(POLL_S)
    return tracer


def _detach(tracer):
    if tracer is not None:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(ATTACH_S)


def _open(fifo):
    fifo.write_bytes(b"x")


def _wait_until_told(acks, what, *, pid):
    deadline = time.monotonic() + crash_worker.HANG_S
    while not acks.exists() or f'"{what}"' not in acks.read_text():
        if time.monotonic() > deadline or "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
            raise RuntimeError(f"the worker ended or hangs before it was {what}")
        time.sleep(POLL_S)


# --- the checker ---------------------------------------------------------------------------------


def view(registry):
    """Everything that an operation moves, as a reader sees it."""
    versions = [
        (
            v.version,
            v.digest,
            v.stage,
            v.refs,
            tuple(h.environment for h in v.holds),
            tuple((m.environment, m.value, m.source) for m in v.marks),
        )
        for model in registry.models()
        for v in registry.versions(model.model)
    ]
    pointers = [(live.ref, live.version, live.digest) for live in registry.live()]
    return versions, pointers


@dataclass
class Reference:
    """What each number of operations must look like: written down in a run that nothing disturbs."""

    acts: str
    template: Path | None
    hashes: list
    views: dict

    @property
    def before(self):
        """How many operations there were before the acts."""
        return len(self.hashes) - len(crash_worker.ACTS[self.acts])

    @classmethod
    def of(cls, root, *, acts, template):
        data = root / f"reference-{acts}"
        if template is not None:
            shutil.copytree(template, data)
        crash_worker.opening.init_data_directory(data)
        with open_engine(data, clock=crash_worker.now) as engine:
            views = {len(_hashes(engine)): view(engine.registry)}
            for act in crash_worker.ACTS[acts]:
                act(engine.registry)
                views[len(_hashes(engine))] = view(engine.registry)
            return cls(acts, template, _hashes(engine), views)

    def check(self, run, *, unfinished=1):
        """Everything that must hold after any end; returns what does not, in words.

        Args:
            run: What is left of a worker.
            unfinished: How many acts may be there without having been acknowledged.
        """
        if not (run.data / "lastgood.db").exists():
            return ["an act was acknowledged, but there is no database"] if run.acknowledged else []
        with open_engine(run.data, clock=crash_worker.now) as engine:
            flaws = list(self._flaws(engine, run, unfinished))
            return flaws or list(self._repeat(engine, done=len(run.acknowledged)))

    def _flaws(self, engine, run, unfinished):
        found = _hashes(engine)
        if found != self.hashes[: len(found)]:
            yield "the log is not a beginning of the log of a run that nothing disturbs"
            return
        operations = {entry.operation for entry in engine.registry.log(limit=1000)}
        for ack in run.acknowledged:
            if ack["operation"] not in operations:
                yield f"lost: {ack}"
        extra = len(found) - self.before - len(run.acknowledged)
        if not 0 <= extra <= unfinished:
            yield f"{extra} operations that were not acknowledged"
        if view(engine.registry) != self.views[len(found)]:
            yield f"half-visible: {view(engine.registry)} after {len(found)} operations"
        for problem in engine.registry.fsck().problems:
            yield f"fsck: {problem}"

    def _repeat(self, engine, *, done):
        """A client that repeats what it got no answer to, with the same keys, gets where it wanted to."""
        for act in crash_worker.ACTS[self.acts][done:]:
            act(engine.registry)
        if _hashes(engine) != self.hashes or view(engine.registry) != self.views[len(self.hashes)]:
            yield "repeating the acts did not lead to the same end"
        if problems := engine.registry.fsck().problems:
            yield f"fsck after repeating: {problems}"


def _hashes(engine):
    return [entry.hash for entry in reversed(engine.registry.log(limit=1000))]

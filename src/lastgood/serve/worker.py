"""One worker process as the gateway sees it: start, load, ask, stop."""

import asyncio
import logging
import os
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from lastgood.serve import worker_main
from lastgood.serve.frames import FrameChannel, connect
from lastgood.serve.threads import in_thread

__all__ = ["Answer", "Loaded", "Worker", "WorkerFailed", "WorkerGone"]

STOP_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class WorkerFailed(Exception):  # a state, not a fault of the caller
    """The worker could not start or load; the message is the reason in one line."""


class WorkerGone(Exception):  # a state, not a fault of the caller
    """The worker died. `sent` says whether it had the request already."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__("the worker process died")
        self.sent = sent


class AnswerHead(msgspec.Struct, frozen=True):
    """What a worker says about its answer."""

    status: int
    failed: bool
    rows: int


class Answer(msgspec.Struct, frozen=True):
    """A worker's answer to one request."""

    head: AnswerHead
    body: bytes


class Loaded(msgspec.Struct, frozen=True):
    """What a worker says once its model answered the warm-up."""

    warm_up: str
    load_ms: float
    packages: dict[str, str | None]
    modules: Sequence[str] = ()
    """Library modules that it imported for this model."""


class Report(msgspec.Struct, frozen=True):
    """Anything a worker says on the control connection."""

    event: str
    mlflow: str = ""
    python: str = ""
    warm_up: str = ""
    load_ms: float = 0.0
    packages: dict[str, str | None] = {}
    modules: tuple[str, ...] = ()
    reason: str = ""


class LoadOrder(msgspec.Struct, frozen=True):
    """The one order a worker gets."""

    path: str
    packages: Sequence[str]


_answers = msgspec.json.Decoder(AnswerHead)
_reports = msgspec.json.Decoder(Report)


class Lane:
    """One connection to one thread of the worker; carries one request at a time."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self.channel: FrameChannel | None = None
        self.waiter: asyncio.Future[Answer] | None = None
        self.abandoned = False
        """Its request was given up; the thread behind it still works on it."""

    def frame_received(self, head: bytes, body: bytes) -> None:
        """An answer; nobody waits for it if the request timed out."""
        waiter, self.waiter, self.abandoned = self.waiter, None, False
        if waiter is not None and not waiter.done():
            waiter.set_result(Answer(_answers.decode(head), body))
        self._worker.lane_free(self)

    def channel_lost(self) -> None:
        """The worker is dying."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(WorkerGone(sent=True))
        self._worker.lost()


class Worker:
    """A worker process with its lanes. Lives on one event loop; is used up by its end."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._control: FrameChannel | None = None
        self._lanes: list[Lane] = []
        self._free: list[Lane] = []
        self._waiting: deque[asyncio.Future[Lane]] = deque()
        self._reports: asyncio.Queue[Report | None] = asyncio.Queue()
        self.on_gone: Callable[[], None] | None = None
        """Called once when the process dies without having been stopped."""
        self.gone = False
        self.mlflow = ""
        self.python = ""

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @classmethod
    async def start(cls, *, python: Path, threads: int) -> "Worker":
        """Start the process; it imports mlflow on its own, see `imported`.

        Raises:
            WorkerFailed: the interpreter cannot be started.
        """
        pairs = [socket.socketpair() for _ in range(threads + 1)]
        try:
            worker = cls(_spawn(python, [theirs.fileno() for _, theirs in pairs]))
        except OSError as error:
            for ours, _ in pairs:
                ours.close()
            raise WorkerFailed(f"cannot start {python}: {error.strerror or error}") from error
        finally:
            for _, theirs in pairs:
                theirs.close()
        (control, _), *lanes = pairs
        worker._control = await connect(control, worker)
        for end, _ in lanes:
            lane = Lane(worker)
            lane.channel = await connect(end, lane)
            worker._lanes.append(lane)
        return worker

    async def imported(self, *, timeout_s: float) -> None:
        """Wait until the process is ready for its order.

        Raises:
            WorkerFailed: it ended, cannot import mlflow, or took too long.
        """
        report = await self._next_report("imported", timeout_s=timeout_s, doing="importing mlflow")
        self.mlflow, self.python = report.mlflow, report.python

    def preload(self, modules: Sequence[str]) -> None:
        """Have it import those already while it waits for its order."""
        assert self._control is not None
        self._control.send(msgspec.json.encode({"preload": modules}))

    async def load(self, path: Path, *, packages: Sequence[str], timeout_s: float) -> Loaded:
        """Load the model in that directory and warm it up; afterwards `call` works.

        Raises:
            WorkerFailed: it could not; the worker is of no further use.
        """
        assert self._control is not None
        self._control.send(msgspec.json.encode(LoadOrder(str(path), packages)))
        report = await self._next_report("loaded", timeout_s=timeout_s, doing="loading the model")
        for lane in self._lanes:
            self.lane_free(lane)
        return Loaded(report.warm_up, report.load_ms, report.packages, report.modules)

    async def call(self, request_head: bytes, body: bytes) -> Answer:
        """The model's answer. Cancel to give up: the answer is then dropped when it comes.

        Raises:
            WorkerGone: the process died before it answered.
        """
        if self.gone:
            raise WorkerGone(sent=False)
        lane = self._free.pop() if self._free else await self._next_lane()
        assert lane.channel is not None
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        lane.waiter = waiter
        lane.channel.send(request_head, body)
        try:
            return await waiter
        except asyncio.CancelledError:
            if lane.waiter is waiter:
                lane.waiter, lane.abandoned = None, True
                self._end_if_stuck()
            raise

    async def stop(self) -> None:
        """End the process and collect it. Requests still waiting fail."""
        self.on_gone = None
        self.lost()
        if self._control is not None:
            self._control.close()
        for lane in self._lanes:
            if lane.channel is not None:
                lane.channel.close()
        await in_thread(self._reap, name="worker-reaper")

    def kill(self) -> None:
        """End the process at once; its death is then noticed like any other."""
        self._process.kill()

    def frame_received(self, head: bytes, body: bytes) -> None:
        """A report on the control connection."""
        self._reports.put_nowait(_reports.decode(head))

    def channel_lost(self) -> None:
        """The control connection ended: so did the process."""
        self.lost()

    def lane_free(self, lane: Lane) -> None:
        """Give the lane to whoever waits longest, else keep it."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(lane)
                return
        self._free.append(lane)

    def lost(self) -> None:
        """Note the death, once, and tell everybody who waits."""
        if self.gone:
            return
        self.gone = True
        self._free.clear()
        self._reports.put_nowait(None)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(WorkerGone(sent=False))
        self._waiting.clear()
        # It may be only a connection that broke; a worker without one of its lanes is no use.
        self._process.kill()
        if self.on_gone is not None:
            self.on_gone()

    async def _next_lane(self) -> Lane:
        waiter: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.lane_free(waiter.result())
            raise

    def _end_if_stuck(self) -> None:
        """When every lane works on a request that was given up, the process can answer nobody."""
        if all(lane.abandoned for lane in self._lanes) and not self.gone:
            _log.warning("all threads of worker %d are stuck in predictions: ending it", self.pid)
            self.kill()

    async def _next_report(self, event: str, *, timeout_s: float, doing: str) -> Report:
        try:
            async with asyncio.timeout(timeout_s):
                report = await self._reports.get()
        except TimeoutError:
            raise WorkerFailed(f"{doing} took longer than {timeout_s:g} s") from None
        if report is None:
            status = await in_thread(self._reap, name="worker-reaper")
            raise WorkerFailed(f"the worker process died while {doing} ({describe_exit(status)})")
        if report.event != event:
            raise WorkerFailed(report.reason or f"unexpected report {report.event!r} while {doing}")
        return report

    def _reap(self) -> int:
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def describe_exit(status: int) -> str:
    """How a process ended, in words."""
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"


def _spawn(python: Path, descriptors: list[int]) -> "subprocess.Popen[bytes]":
    """Start the script with the inherited sockets. Called on the loop's thread, see PDEATHSIG.

    The kernel sends the parent-death signal when the *thread* that started the child ends.
    """
    arguments = [str(python), worker_main.__file__, str(os.getpid()), *map(str, descriptors)]
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "PYTHONUNBUFFERED": "1",
    }
    return subprocess.Popen(
        arguments,
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )

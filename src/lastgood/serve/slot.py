"""A slot: one loaded version, kept alive by replacing its worker when that dies."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from lastgood.core.ids import Digest
from lastgood.serve.worker import Answer, Loaded, Worker, WorkerFailed, WorkerGone

__all__ = ["LoadedWorker", "Slot", "SlotBroken", "WorkerDied"]

CRASHES_MAX = 5
CRASH_WINDOW_S = 60.0
ATTEMPTS = 2  # the request, and once more after its worker died under it

_log = logging.getLogger(__name__)


class SlotBroken(Exception):  # a state, not a fault of the caller
    """The version cannot answer: its worker does not come back."""


class WorkerDied(Exception):  # a state, not a fault of the caller
    """The worker died under the request, and so did the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedWorker:
    """A worker whose model answered its warm-up."""

    worker: Worker
    loaded: Loaded
    differing: tuple[str, ...]
    """Packages that differ from those recorded with the version, in words."""


class Slot:
    """One version in this gateway. Lives on one event loop.

    Args:
        digest: Which version.
        first: The worker to begin with.
        reload: Makes another one from the verified files. Raises WorkerFailed or LastgoodError.
        on_crash: Told of each death, with a sentence.
        on_back: Told when another worker took the place of one that died, with a sentence.
        on_broken: Told when the slot gives up, with the reason.
    """

    def __init__(
        self,
        digest: Digest,
        *,
        first: LoadedWorker,
        reload: Callable[[], Awaitable[LoadedWorker]],
        on_crash: Callable[["Slot", str], None],
        on_back: Callable[["Slot", str], None],
        on_broken: Callable[["Slot", str], None],
    ) -> None:
        self.digest = digest
        self.broken = ""
        """Why it gave up; empty while it answers or will."""
        self.stopped = False
        self._reload = reload
        self._on_crash = on_crash
        self._on_back = on_back
        self._on_broken = on_broken
        self._crashes: deque[float] = deque(maxlen=CRASHES_MAX)
        self._restart: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._calls = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.crashes = 0
        self._place(first)

    @property
    def pid(self) -> int | None:
        """The worker's process id, None while there is none."""
        return None if self._worker.gone else self._worker.pid

    @property
    def restarting(self) -> bool:
        """Whether the worker died and the next one is not ready yet."""
        return not self._settled.is_set()

    async def predict(self, request_head: bytes, body: bytes, *, restart_wait_s: float) -> Answer:
        """The version's answer; tries once more if the worker dies under the request.

        Raises:
            SlotBroken: there is no worker and none came back in time.
            WorkerDied: two workers died under this request.
        """
        self._calls += 1
        self._quiet.clear()
        try:
            return await self._predict(request_head, body, restart_wait_s)
        finally:
            self._calls -= 1
            if self._calls == 0:
                self._quiet.set()

    async def quiet(self, *, timeout_s: float) -> None:
        """Wait until no call is under way, at most so long. For slots that get no new ones."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()

    async def stop(self) -> None:
        """End the worker. Call it when nothing holds a lease any more."""
        self.stopped = True
        self._settled.set()
        if self._restart is not None:
            self._restart.cancel()
        await self._worker.stop()

    async def _predict(self, request_head: bytes, body: bytes, restart_wait_s: float) -> Answer:
        attempts = 0
        while attempts < ATTEMPTS:
            if not self._settled.is_set():
                await self._wait_restarted(restart_wait_s)
            if self.broken or self.stopped:
                raise SlotBroken(self.broken or "the version was unloaded")
            try:
                return await self._worker.call(request_head, body)
            except WorkerGone as gone:
                attempts += gone.sent
        raise WorkerDied

    def _place(self, fresh: LoadedWorker) -> None:
        self._worker = fresh.worker
        self.loaded = fresh.loaded
        self.differing = fresh.differing
        self._worker.on_gone = self._died
        if self._worker.gone:  # between its report and now
            self._died()
        else:
            self._settled.set()

    def _died(self) -> None:
        self._settled.clear()
        self.crashes += 1
        now = time.monotonic()
        self._crashes.append(now)
        looping = len(self._crashes) == CRASHES_MAX and now - self._crashes[0] < CRASH_WINDOW_S
        self._on_crash(self, f"worker process {self._worker.pid} died")
        if looping:
            self._give_up(f"the worker died {CRASHES_MAX} times within {CRASH_WINDOW_S:g} s")
        # The task outlives this call and nobody awaits it: keep the reference.
        self._restart = asyncio.create_task(self._replace(self._worker), name="restart-worker")

    async def _replace(self, dead: Worker) -> None:
        await dead.stop()
        if self.broken or self.stopped:
            return
        try:
            fresh = await self._reload()
        except Exception as error:  # the edge of the slot: whatever it was, requests must be told
            reason = (
                str(error)
                if isinstance(error, WorkerFailed)
                else f"{type(error).__name__}: {error}"
            )
            self._give_up(f"the worker died and could not be replaced: {reason}")
            return
        _log.info("worker %d replaces %d", fresh.worker.pid, dead.pid)
        self._place(fresh)
        if not self.restarting:  # it may have died again meanwhile
            self._on_back(self, f"worker process {fresh.worker.pid} replaces {dead.pid}")

    def _give_up(self, reason: str) -> None:
        self.broken = reason
        self._settled.set()
        self._on_broken(self, reason)

    async def _wait_restarted(self, restart_wait_s: float) -> None:
        try:
            async with asyncio.timeout(restart_wait_s):
                await self._settled.wait()
        except TimeoutError:
            raise SlotBroken(
                f"the worker died and did not come back within {restart_wait_s:g} s"
            ) from None

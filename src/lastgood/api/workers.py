"""Several processes that answer on one socket: one that dies is replaced, all of them stop together.

They share what one process has to itself: the database sees to the order of writes, each learns of
the others' operations from it, and whichever is free takes the next connection from the socket.
"""

import asyncio
import logging
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress

import msgspec

from lastgood.api.process import DRAIN_TIMEOUT_S, Duty
from lastgood.api.worker_main import READY, Order
from lastgood.errors import LastgoodError

__all__ = ["WORKERS_MAX", "supervise"]

WORKERS_MAX = 64
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = DRAIN_TIMEOUT_S + 35.0  # to answer what runs, and to write what is queued
# A worker that ends sooner than this after its start did not end by accident.
SOON_S = 5.0
SOON_MAX = 5
PAUSE_S = 0.5

_log = logging.getLogger(__name__)


def supervise(
    listener: socket.socket, duty: Duty, *, count: int, on_ready: Callable[[], None]
) -> None:
    """Keep `count` workers answering on the socket until SIGTERM or SIGINT.

    Args:
        listener: The listening socket.
        duty: For the first worker; the others leave upkeep to it.
        count: How many.
        on_ready: Called once all of them answer.

    Raises:
        LastgoodError: a worker does not start, or ends again and again.
    """
    asyncio.run(_Crew(listener, duty, count).work(on_ready))


class _Crew:
    """The workers. Lives on one event loop."""

    def __init__(self, listener: socket.socket, duty: Duty, count: int) -> None:
        self._listener = listener
        self._duty = duty
        self._count = count
        self._stop = asyncio.Event()

    async def work(self, on_ready: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        answering = [asyncio.Event() for _ in range(self._count)]
        keepers = [
            asyncio.create_task(self._keep(number, event))
            for number, event in enumerate(answering, start=1)
        ]
        announcing = asyncio.create_task(_when_all(answering, on_ready))
        try:
            # They end when told to; one that fails ends the server.
            await asyncio.gather(*keepers)
        finally:
            announcing.cancel()
            self._stop.set()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def _keep(self, number: int, answering: asyncio.Event) -> None:
        """Run one worker after another."""
        soon = 0
        while not self._stop.is_set():
            began = time.monotonic()
            process = await self._start(number)
            code = await self._until_end(process, answering)
            if self._stop.is_set():
                return
            soon = soon + 1 if time.monotonic() - began < SOON_S else 0
            if not answering.is_set() or soon >= SOON_MAX:
                raise LastgoodError(
                    f"Worker {number} of the server ended with code {code}"
                    + (f", {soon} times in a row" if soon > 1 else " before it answered"),
                    hint="its own messages are above",
                )
            _log.warning("worker %d ended with code %d; starting another", number, code)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), PAUSE_S * soon)

    async def _start(self, number: int) -> Process:
        duty = self._duty if number == 1 else msgspec.structs.replace(self._duty, owner="")
        descriptor = self._listener.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "lastgood.api.worker_main"),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=[descriptor],
            start_new_session=True,  # Ctrl-C in the terminal is for the supervisor, which tells the workers
        )
        order = Order(number=number, listener=descriptor, duty=duty)
        if process.stdin is not None:
            process.stdin.write(msgspec.json.encode(order) + b"\n")
        return process

    async def _until_end(self, process: Process, answering: asyncio.Event) -> int:
        """Wait for the worker's end, whether by itself or because the server stops; its exit code."""
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            if await _says_ready(process):
                answering.set()
                await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await _end(process, ended)
        return await ended


async def _says_ready(process: Process) -> bool:
    if process.stdout is None:
        return False
    with suppress(TimeoutError):
        return await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S) == READY
    return False


async def _end(process: Process, ended: "asyncio.Task[int]") -> None:
    """Ask the worker to end, and see that it does."""
    if not ended.done():
        with suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait({ended}, timeout=STOP_TIMEOUT_S)
    if not ended.done():
        with suppress(ProcessLookupError):
            process.kill()


async def _when_all(answering: list[asyncio.Event], tell: Callable[[], None]) -> None:
    for event in answering:
        await event.wait()
    tell()

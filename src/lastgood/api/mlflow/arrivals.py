"""Results of the writer's thread, brought to the event loop a whole group at a time.

`asyncio.wrap_future` wakes the loop once per future. The writer acknowledges a group at once, and
each wake-up makes loop and writer fight for the interpreter; one wake-up per group is enough.
"""

import asyncio
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

__all__ = ["done"]

T = TypeVar("T")


class _Arrivals:
    """Belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._announced = False

    def add(self, waiter: "asyncio.Future[Any]", future: "Future[Any]") -> None:
        """In whatever thread the future was done."""
        self._arrived.append((waiter, future))
        if not self._announced and not self._loop.is_closed():
            self._announced = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # Lowered before the queue is emptied: whatever arrives from here on announces itself anew.
        self._announced = False
        while self._arrived:
            waiter, future = self._arrived.popleft()
            if waiter.done():  # the client went away
                continue
            if (error := future.exception()) is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(future.result())


_arrivals: WeakKeyDictionary[asyncio.AbstractEventLoop, _Arrivals] = WeakKeyDictionary()


async def done(future: "Future[T]") -> T:
    """Wait for a write to be durable; raises what it raised."""
    loop = asyncio.get_running_loop()
    arrivals = _arrivals.get(loop)
    if arrivals is None:
        arrivals = _arrivals[loop] = _Arrivals(loop)
    waiter: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(partial(arrivals.add, waiter))
    return await waiter

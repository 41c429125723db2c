"""The bell for coroutines: a thousand gateways may wait without holding a thread each."""

import asyncio

from lastgood.engine.bell import Bell

__all__ = ["AsyncBell"]


class AsyncBell:
    """Lets coroutines of one event loop wait for the next operation."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._loop = asyncio.get_running_loop()
        self._waiters: set[asyncio.Future[None]] = set()
        bell.subscribe(self._rung)

    @property
    def seq(self) -> int:
        """The newest operation known. Read it before you look at the state, and pass it to `wait`."""
        return self._bell.seq

    async def wait(self, *, seen: int, timeout_s: float) -> int:
        """Wait for an operation after `seen`, or until the time is over; returns the newest position."""
        if self._bell.seq > seen or timeout_s <= 0:
            return self._bell.seq
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.add(waiter)
        try:
            # Looked at again because the ring may have come while the waiter was added.
            if self._bell.seq <= seen:
                await asyncio.wait([waiter], timeout=timeout_s)
        finally:
            self._waiters.discard(waiter)
        return self._bell.seq

    def _rung(self, _seq: int) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

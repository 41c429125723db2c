"""A time limit for short waits of which there are thousands a second.

`asyncio.timeout` sets a timer for each of them, which costs more than most requests' own work. Here
one timer looks after all: it wakes once a second while somebody waits. Who waits too long may so get
a second more than the limit.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["Patience"]

T = TypeVar("T")
LOOK_EVERY_S = 1.0


class Patience:
    """One limit for everybody who waits for the same kind of thing, on one event loop.

    Args:
        limit_s: How long each may wait.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        # In order of their deadlines, because all have the same limit and a dict keeps its order.
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._looking = False

    async def wait(self, what: Coroutine[Any, Any, T]) -> T:
        """Its result, if it comes soon.

        Raises:
            TimeoutError: it did not; it was cancelled.
        """
        task = asyncio.current_task()
        assert task is not None, "only a task can be told to stop waiting"
        loop = asyncio.get_running_loop()
        self._waiting[task] = loop.time() + self.limit_s
        if not self._looking:
            self._looking = True
            loop.call_later(LOOK_EVERY_S, self._look, loop)
        try:
            return await what
        except asyncio.CancelledError:
            # Somebody else may have cancelled it as well; that must not be swallowed.
            if task in self._late and task.uncancel() <= 0:
                raise TimeoutError from None
            raise
        finally:
            self._waiting.pop(task, None)
            self._late.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, deadline in list(self._waiting.items()):
            if deadline > now:
                break
            del self._waiting[task]
            self._late.add(task)
            task.cancel()
        self._looking = bool(self._waiting)
        if self._looking:
            loop.call_later(LOOK_EVERY_S, self._look, loop)

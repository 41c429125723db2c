"""A queue whose one taker wakes once for many items."""

import threading
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Inbox"]

T = TypeVar("T")


class Inbox(Generic[T]):
    """Items from many threads for one taker.

    `queue.Queue` wakes its taker for every item. Waking a thread costs more than most items do, so
    this one says for how many it waits and is woken by the last of them.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._lock = threading.Lock()
        self._awaited = 0
        """How many items the taker sleeps for; 0: it does not sleep."""
        self._bell = threading.Lock()
        """Released to wake the taker; held at all other times."""
        self._bell.acquire()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Add an item; never waits."""
        with self._lock:
            self._items.append(item)
            if 0 < self._awaited <= len(self._items):
                self._awaited = 0
                self._bell.release()

    def wait(self, count: int, *, timeout_s: float = -1) -> None:
        """Sleep until `count` items are there, or the time is over; for the taker only.

        Args:
            count: At least 1.
            timeout_s: Negative: as long as it takes.
        """
        with self._lock:
            if len(self._items) >= count:
                return
            self._awaited = count
        if not self._bell.acquire(timeout=timeout_s):
            with self._lock:
                if not self._awaited:  # rung after the time was over
                    self._bell.acquire()
                self._awaited = 0

    def take(self, count_max: int) -> list[T]:
        """Take the oldest items; for the taker only."""
        return [self._items.popleft() for _ in range(min(count_max, len(self._items)))]

"""The bell: tells those who wait that an operation was committed, by this process or another."""

import threading
from collections.abc import Callable
from contextlib import suppress

from lastgood.errors import LastgoodError
from lastgood.store import log
from lastgood.store.database import Database

__all__ = ["Bell"]

LOOK_AGAIN_S = 0.1  # after a look that failed


class Bell:
    """Rings after operations; what it tells is the position of the newest one.

    The kernel rings it directly. What another process appends, the database tells; it is asked to
    do so only once somebody waits.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._condition = threading.Condition()
        self._seq = database.read(log.newest)[0]
        self._subscribers: list[Callable[[int], None]] = []
        self._closed = threading.Event()
        self._looker: threading.Thread | None = None

    @property
    def seq(self) -> int:
        """The newest operation it knows of."""
        return self._seq

    def ring(self, seq: int) -> None:
        """Wake everybody who waits: operation `seq` is committed."""
        with self._condition:
            if seq <= self._seq:
                return
            self._seq = seq
            self._condition.notify_all()
        for subscriber in tuple(self._subscribers):
            subscriber(seq)

    def wait(self, *, seen: int, timeout_s: float) -> int:
        """Wait for an operation after `seen`, or until the time is over; returns the newest position."""
        self._start_looking()
        with self._condition:
            self._condition.wait_for(lambda: self._seq > seen, timeout_s)
            return self._seq

    def subscribe(self, subscriber: Callable[[int], None]) -> None:
        """Call `subscriber` at each ring, from any thread; it must be quick and not raise."""
        self._start_looking()
        self._subscribers.append(subscriber)

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()
        if self._looker is not None:
            self._looker.join(1.0)

    def _start_looking(self) -> None:
        with self._condition:
            if self._looker is None:
                self._looker = threading.Thread(
                    target=self._look, name="lastgood-bell", daemon=True
                )
                self._looker.start()

    def _look(self) -> None:
        for _ in self._database.changes(self._closed):
            while not self._ring_newest() and not self._closed.wait(LOOK_AGAIN_S):
                pass

    def _ring_newest(self) -> bool:
        # A database that fails for a moment must not deafen this process for ever.
        with suppress(LastgoodError):
            self.ring(self._database.read(log.newest)[0])
            return True
        return False

"""Readers' connections: a bounded number, opened when needed, kept while idle."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
import sqlalchemy as sa

from lastgood.errors import StoreUnavailable
from lastgood.store.backend import Connection
from lastgood.store.postgresql_wire import wire_of

__all__ = ["Pool"]

WAIT_TIMEOUT_S = 30.0


class Pool:
    """Lends connections, each to one thread at a time.

    Args:
        connect: Opens one.
        size: How many there may be.
    """

    def __init__(self, connect: Callable[[], Connection], *, size: int) -> None:
        self._connect = connect
        self._free = threading.BoundedSemaphore(size)
        self._idle: deque[Connection] = deque()  # the one used last is the warmest

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for the block; closed after it if it does not work any more.

        Raises:
            StoreUnavailable: all are in use, and stayed so.
        """
        if not self._free.acquire(timeout=WAIT_TIMEOUT_S):
            raise StoreUnavailable(
                f"All connections for reading were in use for {WAIT_TIMEOUT_S:.0f} s",
                hint="try again; if it persists, look for slow searches",
            )
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def forget(self) -> None:
        """Close the idle ones."""
        while self._idle:
            with suppress(IndexError):  # another thread took the last one
                _close(self._idle.pop())

    def close(self) -> None:
        """Close the idle ones; those in use are closed by the end of the process."""
        self.forget()

    def _take(self) -> Connection:
        with suppress(IndexError):
            return self._idle.pop()
        return self._connect()

    def _give_back(self, connection: Connection) -> None:
        if not connection.invalidated and wire_of(connection).at_rest:
            self._idle.append(connection)
        else:
            _close(connection)


def _close(connection: Connection) -> None:
    with suppress(
        sa.exc.DBAPIError, psycopg.Error
    ):  # what failed may fail again while it is closed
        connection.close()

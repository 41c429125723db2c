"""The database: many readers, one writer that commits in groups.

Writes are functions of a connection, queued to a single thread. It runs all that wait in one
transaction, each in a savepoint of its own, commits once (one fsync for the whole group) and only
then acknowledges. Durable and fast at once; and because one thread writes, a decision made inside
such a function cannot be overtaken.

Readers have a connection per thread and see a snapshot (SQLite's write-ahead log): they never wait
for the writer and never see half of a transaction.
"""

import queue
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from lastgood.errors import StoreUnavailable
from lastgood.store.failures import BUSY_TIMEOUT_MS, is_store_failure, translated

__all__ = ["Connection", "Database"]

Connection = sa.Connection
T = TypeVar("T")
Unit = Callable[[Connection], Any]

GROUP_SIZE_MAX = 256  # bounds how long the first of a group waits for the last
GATHER_S_MAX = 0.002  # for callers that were acknowledged together and ask again
CLOSE_TIMEOUT_S = 30.0
CACHE_KIB = 16_384
# Pages that are written again and again go to the main file once per checkpoint; 32 MiB are read back in a moment.
CHECKPOINT_PAGES = 8_000


@dataclass(frozen=True, slots=True)
class _Queued:
    unit: Unit
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What a unit of the open transaction came to; told to its caller after the commit."""

    future: Future[Any]
    result: Any = None
    refusal: Exception | None = None


class Database:
    """One SQLite file.

    Args:
        path: The file; made if absent.
        synchronous: SQLite's setting; anything but FULL is for tests that show what it is for.

    Raises:
        StoreUnavailable: the file cannot be opened or is not a database.
    """

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        self.path = path
        self._synchronous = synchronous
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",  # we write BEGIN and COMMIT ourselves, see transaction()
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        )
        sa.event.listen(self._engine, "connect", self._prepare)
        self._local = threading.local()
        # Weak, because a connection lives as long as the thread it belongs to: servers' threads come and go.
        self._readers: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._lock = threading.Lock()  # over _readers, and over _closed with what is queued
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._closed = False
        self._last_size = 1
        self._last_commit_s = 0.0
        with translated(path):
            self._writer: Connection | None = self._engine.connect()
        self._thread = threading.Thread(
            target=self._write_forever, name="lastgood-writer", daemon=True
        )
        self._thread.start()

    def _prepare(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("PRAGMA case_sensitive_like=ON")  # as MLflow's LIKE

    def write(self, unit: Callable[[Connection], T]) -> Future[T]:
        """Queue a write. The future is done once it is durable, or holds the exception of the unit.

        A unit that raises leaves no trace; the others of its group are not affected. What is queued
        cannot be cancelled: a client that goes away does not undo what it asked for.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if not self._closed:
                self._queue.put(_Queued(unit, future))
                return future
        future.set_exception(StoreUnavailable("The store is closed"))
        return future

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run several statements on one snapshot."""
        with translated(self.path), transaction(self._reader(), "BEGIN") as connection:
            return query(connection)

    def peek(self, query: Callable[[Connection], T]) -> T:
        """Run one statement; cheaper than `read` because one statement is a snapshot anyway."""
        with translated(self.path):
            return query(self._reader())

    def data_version(self) -> int:
        """A number that changes when *another* process or connection commits."""
        driver: Any = self._reader().connection.driver_connection
        with translated(self.path):
            return int(driver.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Finish the queued writes and close all connections."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)
        with self._lock:
            readers = list(self._readers)
            self._readers.clear()
        for connection in readers:
            connection.close()
        self._engine.dispose()

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._engine.connect()
            with self._lock:
                self._readers.add(connection)
        return connection

    def _write_forever(self) -> None:
        stopping = False
        while not stopping:
            first = self._queue.get()
            if first is None:
                break
            group, stopping = self._gather(first)
            began = time.monotonic()
            self._commit_group(group)
            self._last_commit_s = time.monotonic() - began
            self._last_size = len(group)
        self._drop_writer()

    def _gather(self, first: _Queued) -> tuple[list[_Queued], bool]:
        """The next group, and whether it is the last.

        Callers that were acknowledged together ask again almost together. Waiting for them, for no
        longer than a commit takes, spares a commit that would hold only the quickest of them. A lone
        caller never waits.
        """
        group = [first]
        deadline = time.monotonic() + min(self._last_commit_s, GATHER_S_MAX)
        while len(group) < GROUP_SIZE_MAX:
            awaited = len(group) < self._last_size
            left_s = deadline - time.monotonic() if awaited else 0.0
            try:
                item = self._queue.get(timeout=left_s) if left_s > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return group, True
            group.append(item)
        return group, False

    def _commit_group(self, group: list[_Queued]) -> None:
        """One transaction for the group; acknowledge after the commit, never before."""
        try:
            with translated(self.path):
                if self._writer is None:
                    self._writer = self._engine.connect()
                with transaction(self._writer, "BEGIN IMMEDIATE") as connection:
                    attempts = [self._attempt(connection, item) for item in group]
        except (
            BaseException
        ) as error:  # the writer's edge: whatever it was, each caller is told and the thread lives
            # After a failed fsync SQLite's own view of the file cannot be trusted; the next group opens it afresh.
            self._drop_writer()
            for item in group:
                item.future.set_exception(error)
            return
        for attempt in attempts:
            if attempt.refusal is None:
                attempt.future.set_result(attempt.result)
            else:
                attempt.future.set_exception(attempt.refusal)

    def _attempt(self, connection: Connection, item: _Queued) -> _Attempt:
        """Run one unit in the open transaction; raises only what dooms the whole group."""
        try:
            return _Attempt(item.future, result=_in_savepoint(connection, item.unit))
        except Exception as error:  # the unit's own refusal goes to its caller alone
            if is_store_failure(error):
                raise
            return _Attempt(item.future, refusal=error)

    def _drop_writer(self) -> None:
        if self._writer is not None:
            with suppress(sa.exc.DBAPIError):  # what failed may fail again while it is closed
                self._writer.close()
            self._writer = None


def _in_savepoint(connection: Connection, unit: Unit) -> Any:
    # Straight to the driver: these statements have no parameters and no rows, and there are two per write.
    driver: Any = connection.connection.driver_connection
    driver.execute("SAVEPOINT unit")
    try:
        result = unit(connection)
    except BaseException as error:
        # After a failure of the store the savepoint may be gone with its transaction.
        if not is_store_failure(error):
            driver.execute("ROLLBACK TO unit")
            driver.execute("RELEASE unit")
        raise
    driver.execute("RELEASE unit")
    return result


@contextmanager
def transaction(connection: Connection, begin: str) -> Iterator[Connection]:
    """Run the block between `begin` and COMMIT, or ROLLBACK if it raises."""
    connection.exec_driver_sql(begin)
    try:
        yield connection
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors (disk full); then there is none to end.
        raw: Any = connection.connection.driver_connection
        if raw is not None and raw.in_transaction:
            with suppress(sa.exc.DBAPIError):  # the first error tells more than one of the rollback
                connection.exec_driver_sql("ROLLBACK")
        raise

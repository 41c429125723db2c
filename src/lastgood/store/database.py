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
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from lastgood.errors import StoreFull, StoreUnavailable

__all__ = ["Connection", "Database"]

Connection = sa.Connection
T = TypeVar("T")
Unit = Callable[[Connection], Any]

GROUP_SIZE_MAX = 256  # bounds how long the first of a group waits for the last
BUSY_TIMEOUT_MS = 30_000  # another process of the same data directory may hold the write lock
CLOSE_TIMEOUT_S = 30.0
CACHE_KIB = 16_384


@dataclass(frozen=True, slots=True)
class _Queued:
    unit: Unit
    future: Future[Any]


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
        self._readers: list[Connection] = []
        self._readers_lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._closed = False
        with translated(path):
            self._writer_connection = self._engine.connect()
        self._thread = threading.Thread(
            target=self._write_forever, name="lastgood-writer", daemon=True
        )
        self._thread.start()

    def _prepare(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("PRAGMA case_sensitive_like=ON")  # as MLflow's LIKE

    def write(self, unit: Callable[[Connection], T]) -> Future[T]:
        """Queue a write. The future is done once it is durable, or holds the exception of the unit.

        A unit that raises leaves no trace; the others of its group are not affected.
        """
        future: Future[T] = Future()
        if self._closed:
            future.set_exception(StoreUnavailable("The store is closed"))
        else:
            self._queue.put(_Queued(unit, future))
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
        return int(self.peek(lambda c: c.exec_driver_sql("PRAGMA data_version").scalar_one()))

    def close(self) -> None:
        """Finish the queued writes and close all connections."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)
        with self._readers_lock:
            for connection in self._readers:
                connection.close()
            self._readers.clear()
        self._engine.dispose()

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._engine.connect()
            with self._readers_lock:
                self._readers.append(connection)
        return connection

    def _write_forever(self) -> None:
        stopping = False
        while not stopping:
            first = self._queue.get()
            if first is None:
                break
            group = [first]
            while len(group) < GROUP_SIZE_MAX and not self._queue.empty():
                item = self._queue.get_nowait()
                if item is None:
                    stopping = True
                    break
                group.append(item)
            self._commit_group(group)
        self._writer_connection.close()

    def _commit_group(self, group: list[_Queued]) -> None:
        """One transaction for the group; acknowledge after the commit, never before."""
        done: list[tuple[Future[Any], Any]] = []
        failed: list[tuple[Future[Any], BaseException]] = []
        try:
            with (
                translated(self.path),
                transaction(self._writer_connection, "BEGIN IMMEDIATE") as connection,
            ):
                for item in group:
                    try:
                        done.append((item.future, _in_savepoint(connection, item.unit)))
                    except sqlite3.Error:
                        raise
                    except Exception as error:  # the unit's own refusal goes to its caller alone
                        if _is_store_failure(error):
                            raise
                        failed.append((item.future, error))
        except Exception as error:  # nothing of the group is durable: say so to each
            self._reopen()
            for item in group:
                item.future.set_exception(error)
            return
        for future, result in done:
            future.set_result(result)
        for future, refusal in failed:
            future.set_exception(refusal)

    def _reopen(self) -> None:
        # After a failed fsync SQLite's own view of the file cannot be trusted; a new connection reads it afresh.
        self._writer_connection.invalidate()
        self._writer_connection.close()
        self._writer_connection = self._engine.connect()


def _in_savepoint(connection: Connection, unit: Unit) -> Any:
    connection.exec_driver_sql("SAVEPOINT unit")
    try:
        result = unit(connection)
    except BaseException:
        connection.exec_driver_sql("ROLLBACK TO unit")
        connection.exec_driver_sql("RELEASE unit")
        raise
    connection.exec_driver_sql("RELEASE unit")
    return result


def _is_store_failure(error: BaseException) -> bool:
    return isinstance(error, sa.exc.OperationalError)


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
            connection.exec_driver_sql("ROLLBACK")
        raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Say in our words what SQLite says in its own.

    Raises:
        StoreFull: no space left. StoreUnavailable: locked, read-only, damaged or unreadable.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        text = str(error.orig)
        if "full" in text:
            raise StoreFull(
                f"No space left for {path.name}; nothing was written",
                hint=f"free space in {path.parent}",
            ) from error
        if "readonly" in text:
            raise StoreUnavailable(
                f"{path} is read-only; nothing was written",
                hint="check the permissions of the data directory",
            ) from error
        if "locked" in text:
            raise StoreUnavailable(
                f"{path.name} stayed locked by another process for {BUSY_TIMEOUT_MS // 1000} s; nothing was written",
                hint="try again; if it persists, look for a process that hangs",
            ) from error
        if isinstance(error, sa.exc.OperationalError | sa.exc.DatabaseError) and not isinstance(
            error, sa.exc.IntegrityError
        ):
            raise StoreUnavailable(
                f"{path}: {text}", hint="check the disk and run: lastgood fsck"
            ) from error
        raise

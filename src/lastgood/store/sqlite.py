"""A registry in one SQLite file.

Readers have a connection per thread and see a snapshot (SQLite's write-ahead log): they never wait
for the writer and never see half of a transaction.
"""

import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from lastgood.errors import LastgoodError, StoreUnavailable
from lastgood.store.backend import CannotUndo, Connection
from lastgood.store.sqlite_failures import BUSY_TIMEOUT_MS, explain_sqlite, is_interrupted

__all__ = ["Sqlite"]

T = TypeVar("T")

# Every thread that reads has a cache of its own, so these are small; what they lack is in the system's cache.
READER_CACHE_KIB = 4_096
WRITER_CACHE_KIB = 65_536  # a new value goes to a random place of several indexes
# Pages that are written again and again go to the main file once per checkpoint; 32 MiB are read back in a moment.
CHECKPOINT_PAGES = 8_000
STATEMENTS_CACHED = 512  # per connection: more than the store has
TURN_PATIENCE_S = (
    0.05  # that a search waits for others; then one of them takes long, and it goes ahead beside it
)
# Of SQLite's machine, before it is seen whether time is up: some 20 rows, or pages of the file.
STEPS_PER_LOOK = 500
WARMERS_MAX = 8
LOOK_EVERY_S = 0.025  # how soon a commit of another process is noticed


class Sqlite:
    """One SQLite file.

    Args:
        path: The file; made if absent.
        synchronous: SQLite's setting; anything but FULL is for tests that show what it is for.
    """

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        self.path = path
        self._synchronous = synchronous
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",  # we write BEGIN and COMMIT ourselves
            connect_args={
                "check_same_thread": False,
                "timeout": BUSY_TIMEOUT_MS / 1000,
                "cached_statements": STATEMENTS_CACHED,
            },
        )
        sa.event.listen(self._engine, "connect", self._prepare)
        self._local = threading.local()
        # Weak, because a connection lives as long as the thread it belongs to: servers' threads come and go.
        self._readers: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._lock = threading.Lock()  # over _readers
        self._turn = threading.Lock()  # of those that fetch many rows
        self._warmers = ThreadPoolExecutor(WARMERS_MAX, thread_name_prefix="lastgood-warm")

    def _prepare(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        connection.execute(f"PRAGMA cache_size=-{READER_CACHE_KIB}")
        connection.execute("PRAGMA case_sensitive_like=ON")  # as MLflow's LIKE
        connection.execute("PRAGMA temp_store=MEMORY")  # savepoints and sorts would make files

    @property
    def place(self) -> str:
        """The file."""
        return str(self.path)

    def open_session(self) -> "_Session":
        """Connect for writing.

        Raises:
            StoreUnavailable: the file cannot be opened or is not a database.
        """
        with self._explained():
            return _Session(self._engine.connect())

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run several statements on one snapshot."""
        with self._explained():
            connection = self._reader()
            # Straight to the driver: these statements have no parameters and no rows.
            driver: Any = connection.connection.driver_connection
            driver.execute("BEGIN")
            try:
                result = query(connection)
                driver.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise
            return result

    def survey(self, query: Callable[[Connection], T]) -> T:
        """As `read`, one at a time as long as that is quick.

        At every row a thread lets go of Python's lock and takes it again. Several that fetch rows together
        fight for it each time, and are slower together than one after the other.
        """
        is_alone = self._turn.acquire(timeout=TURN_PATIENCE_S)
        try:
            return self.read(query)
        finally:
            if is_alone:
                self._turn.release()

    def warm(self, queries: Sequence[Callable[[Connection], object]]) -> None:
        """Read in several threads: a disk does more at once than one after the other, and SQLite never asks for two."""

        def run(query: Callable[[Connection], object]) -> None:
            with suppress(LastgoodError, sa.exc.DBAPIError, sqlite3.Error):
                self.read(query)

        list(self._warmers.map(run, queries))

    def attempt(self, query: Callable[[Connection], T], *, patience_s: float) -> T | None:
        """As `read`; statements that take longer are interrupted, and it is None."""
        deadline = time.perf_counter() + patience_s

        def hurried(connection: Connection) -> T:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(lambda: time.perf_counter() > deadline, STEPS_PER_LOOK)
            try:
                return query(connection)
            finally:  # before the transaction ends: its end must not be interrupted, too
                driver.set_progress_handler(None, 0)

        try:
            return self.read(hurried)
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            if not is_interrupted(error):
                raise
            return None

    def glance(self, query: Callable[[Connection], T]) -> T:
        """Run statements that are all asked at once; here that is no less work than `read`."""
        return self.read(query)

    def peek(self, query: Callable[[Connection], T]) -> T:
        """Run one statement; cheaper than `read` because one statement is a snapshot anyway."""
        with self._explained():
            return query(self._reader())

    def explain(self, error: BaseException) -> StoreUnavailable | None:
        """A failure of the file or the disk in our words."""
        return explain_sqlite(self.path, error)

    def data_version(self) -> int:
        """SQLite counts, for each connection, what others commit."""
        with self._explained():
            driver: Any = self._reader().connection.driver_connection
            return int(driver.execute("PRAGMA data_version").fetchone()[0])

    def changes(self, stop: threading.Event) -> Iterator[None]:
        """Look again and again: nothing tells one process of SQLite what another one did."""
        known = -1
        while not stop.wait(LOOK_EVERY_S):
            # A disk that fails for a moment must not deafen this process for ever.
            with suppress(LastgoodError):
                found = self.data_version()
                if found != known:
                    yield
                    known = found

    def close(self) -> None:
        """Close the connections of all threads."""
        self._warmers.shutdown(cancel_futures=True)
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

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sqlite3.Error) as error:
            if (failure := self.explain(error)) is None:
                raise
            raise failure from error


class _Session:
    """The writer's connection. Its statements have no parameters and no rows: straight to the driver."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        # For SQLAlchemy, and Alembic, one transaction that never ends: they must not end ours.
        connection.begin()
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}")
        self._driver = driver
        self._carefully = True
        self._schema = 0  # as it was when the transaction began
        self._rows = 0  # that this connection had changed before the current unit

    def begin(self, *, carefully: bool) -> None:
        self._carefully = carefully
        self._driver.execute("BEGIN IMMEDIATE")
        self._schema = 0 if carefully else self._schema_now()

    # Savepoints cost about as much as a small unit does, and few units are refused after they wrote something.

    def save(self) -> None:
        if self._carefully:
            self._driver.execute("SAVEPOINT unit")
        else:
            self._rows = self._driver.total_changes

    def keep(self) -> None:
        if self._carefully:
            self._driver.execute("RELEASE unit")

    def undo(self) -> None:
        if self._carefully:
            self._driver.execute("ROLLBACK TO unit")
            self._driver.execute("RELEASE unit")
        elif self._driver.total_changes != self._rows or self._schema_now() != self._schema:
            raise CannotUndo

    def _schema_now(self) -> int:
        version: int = self._driver.execute("PRAGMA schema_version").fetchone()[0]
        return version

    def commit(self) -> None:
        self._driver.execute("COMMIT")

    def roll_back(self) -> None:
        _roll_back(self.connection)

    def close(self) -> None:
        with suppress(sa.exc.DBAPIError):  # what failed may fail again while it is closed
            self.connection.close()


def _roll_back(connection: Connection) -> None:
    # SQLite has rolled back by itself after some errors (disk full); then there is none to end.
    driver: Any = connection.connection.driver_connection
    if driver is not None and driver.in_transaction:
        with suppress(sqlite3.Error):  # the first error tells more than one of the rollback
            driver.execute("ROLLBACK")

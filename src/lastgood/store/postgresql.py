"""A registry in a PostgreSQL database, which any number of servers may share.

Every writing transaction begins with one lock, so that the writers of all processes take turns and
the order of operations is the order of their commits. Readers see snapshots and never wait.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.types.numeric import Int8Dumper
from sqlalchemy.pool import NullPool

from lastgood.errors import LastgoodError, StoreUnavailable
from lastgood.store.address import StoreAddress
from lastgood.store.backend import APPENDED, CannotUndo, Connection
from lastgood.store.postgresql_failures import LOCK_TIMEOUT_S, explain_postgresql, is_lost
from lastgood.store.postgresql_pool import Pool
from lastgood.store.postgresql_wire import Wire, wire_of

__all__ = ["Postgresql"]

T = TypeVar("T")

CHANNEL = "lastgood_operations"
WRITE_LOCK = 0x1A57600D  # among all advisory locks of the database
VERSION_MIN = 140_000
CONNECT_TIMEOUT_S = 10
NETWORK_TIMEOUT_MS = (
    30_000  # how long bytes may stay without an answer before the connection counts as lost
)
# A writer that stops in the middle (a suspended process, a cut network) must not stop all others for long.
STALLED_TIMEOUT_S = 20
READ_TIMEOUT_S = 120
READERS_MAX = 16
LISTEN_WAIT_S = 0.5  # how soon a listener sees that it shall stop
LISTEN_AGAIN_S = 1.0

_SETTINGS = (
    f"SET lock_timeout = '{LOCK_TIMEOUT_S}s';"
    f" SET idle_in_transaction_session_timeout = '{STALLED_TIMEOUT_S}s';"
    # Acknowledged means durable, whatever the server's default; stronger settings are left as they are.
    " SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
# Also for what is no transaction by name: one statement, or several that travel together.
_SNAPSHOTS = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class Postgresql:
    """One PostgreSQL database, or one schema of it.

    Args:
        address: Where it is. What the address does not say, the driver takes from PGPASSWORD, ~/.pgpass
            and the other variables of libpq.
    """

    def __init__(self, address: StoreAddress) -> None:
        self.place = address.public
        self._address = address
        self._engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",  # we write BEGIN and COMMIT ourselves
            paramstyle="format",
        )
        self._pool = Pool(self._connect_reader, size=READERS_MAX)

    def _connect(self) -> Wire:
        try:
            connection = Wire.connect(
                self._address.full,
                autocommit=True,
                client_encoding="utf8",
                connect_timeout=CONNECT_TIMEOUT_S,
                tcp_user_timeout=NETWORK_TIMEOUT_MS,
                fallback_application_name="lastgood",
            )
        except psycopg.ProgrammingError:
            # Its text may quote the address, and with it a password.
            raise StoreUnavailable(
                f"{self.place} is not an address that the driver understands",
                hint="see docs/how-to/postgresql.md",
            ) from None
        except psycopg.OperationalError as error:
            words = str(error).strip().splitlines()[0].removeprefix("connection failed: ")
            raise StoreUnavailable(
                f"{self.place} cannot be reached: {words}",
                hint="is PostgreSQL running there? a password comes from LASTGOOD_STORE, PGPASSWORD or ~/.pgpass",
            ) from error
        # Else a statement is prepared once for each size of integer it ever gets.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.execute(_SETTINGS, prepare=False)
        self._check(connection)
        return connection

    def _connect_reader(self) -> Connection:
        connection = self._engine.connect()
        wire_of(connection).tell(_SNAPSHOTS)
        wire_of(connection).flush()
        return connection

    def _check(self, connection: Wire) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if connection.info.server_version < VERSION_MIN or encoding != "UTF8":
            version = connection.info.server_version // 10_000
            connection.close()
            raise StoreUnavailable(
                f"{self.place} is PostgreSQL {version} with encoding {encoding}; 14 or newer and UTF8 are needed",
                hint="CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
            )

    def open_session(self) -> "_Session":
        """Connect for writing.

        Raises:
            StoreUnavailable: nobody answers, or access is refused.
        """
        with self._explained():
            return _Session(self._engine.connect)

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run several statements on one snapshot."""

        def snapshot(connection: Connection) -> T:
            wire = wire_of(connection)
            wire.tell("BEGIN")
            try:
                result = query(connection)
                wire.leave()
            except BaseException:
                wire.roll_back()
                raise
            return result

        return self.peek(snapshot)

    def survey(self, query: Callable[[Connection], T]) -> T:
        """As `read`: its threads mostly wait for PostgreSQL, so that they may do so together."""
        return self.read(query)

    def warm(self, queries: Sequence[Callable[[Connection], object]]) -> None:
        """PostgreSQL reads ahead itself where it can, and its disk is not ours."""

    def attempt(self, query: Callable[[Connection], T], *, patience_s: float) -> None:
        """There is no telling how long PostgreSQL will take."""
        return

    def glance(self, query: Callable[[Connection], T]) -> T:
        """Run statements that are all asked at once; they travel, and are run, as one transaction."""
        return self.peek(query)

    def peek(self, query: Callable[[Connection], T]) -> T:
        """Run one statement; cheaper than `read` because one statement is a snapshot anyway."""
        with self._explained():
            try:
                with self._pool.connection() as connection:
                    return query(connection)
            except (sa.exc.DBAPIError, psycopg.Error) as error:
                if not is_lost(error):
                    raise
            # PostgreSQL was restarted, or an idle connection was cut. Reading twice does no harm.
            self._pool.forget()
            with self._pool.connection() as connection:
                return query(connection)

    def explain(self, error: BaseException) -> LastgoodError | None:
        """An error of the database or its driver in our words."""
        return explain_postgresql(self.place, error)

    def data_version(self) -> None:
        """Asking for a version costs one question, as looking does."""
        return

    def changes(self, stop: threading.Event) -> Iterator[None]:
        """Listen; after a connection was lost, listen again and suppose that something was missed."""
        while not stop.is_set():
            try:
                with self._connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    yield
                    while not stop.is_set():
                        if list(connection.notifies(timeout=LISTEN_WAIT_S, stop_after=1)):
                            yield
            except (psycopg.Error, StoreUnavailable):
                stop.wait(LISTEN_AGAIN_S)

    def close(self) -> None:
        """Close the connections of readers."""
        self._pool.close()
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, psycopg.Error) as error:
            if (ours := self.explain(error)) is None:
                raise
            raise ours from error


class _Session:
    """The writer's connection.

    A transaction that begins with hope waits for nothing but answers to questions, and the commit. An
    error takes all of it, in PostgreSQL, and may be of a unit before; then it is run again, carefully.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._fresh = True
        self._carefully = True
        self._written = 0  # what had been when the current unit began
        self._open()

    def _open(self) -> None:
        self.connection = self._connect()
        # For SQLAlchemy, and Alembic, one transaction that never ends: they must not end ours.
        self.connection.begin()
        self._wire = wire_of(self.connection)
        # The driver's cursors shall prepare nothing here: when a migration drops a table, it would drop all
        # that is prepared, ours too.
        self._wire.prepare_threshold = None

    def begin(self, *, carefully: bool) -> None:
        self._carefully = carefully
        self._say_begin()
        if carefully:
            try:
                self._wire.flush()
            except psycopg.Error as error:
                if self._fresh or not is_lost(error):
                    raise
                # PostgreSQL was restarted since the last transaction; nothing of this one was sent yet.
                self.close()
                self._open()
                self._say_begin()
                self._wire.flush()
        self._wire.repeatable = not carefully
        self._fresh = False

    def _say_begin(self) -> None:
        self._wire.tell("BEGIN ISOLATION LEVEL READ COMMITTED")
        # The lock comes before the first look, so that the transaction sees all that was committed before.
        self._wire.tell(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")

    def save(self) -> None:
        if self._carefully:
            self._wire.ask("SAVEPOINT unit")
        else:
            self._written = self._wire.written

    def keep(self) -> None:
        if self._carefully:
            self._wire.ask("RELEASE unit")

    def undo(self) -> None:
        if self._carefully:
            self._wire.forget()
            self._wire.ask("ROLLBACK TO unit")
            self._wire.ask("RELEASE unit")
        elif self._wire.failed or self._wire.written != self._written:
            raise CannotUndo

    def commit(self) -> None:
        if self.connection.info.pop(APPENDED, False):
            self._wire.tell(f"NOTIFY {CHANNEL}")
        # From here on nobody can tell whether a connection that is lost took the commit with it.
        self._wire.repeatable = False
        try:
            self._wire.finish()
        except psycopg.Error as error:
            if self._carefully or is_lost(error):
                raise
            raise CannotUndo from error

    def roll_back(self) -> None:
        self._wire.repeatable = False
        self._wire.roll_back()

    def close(self) -> None:
        with suppress(
            sa.exc.DBAPIError, psycopg.Error
        ):  # what failed may fail again while it is closed
            self.connection.close()

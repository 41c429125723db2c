"""The way to PostgreSQL and back, taken as seldom as possible.

A round trip costs more than most statements do. So a statement whose result nobody looks at is
kept until the next question, and both travel together (a pipeline, in PostgreSQL's words). Each
statement is prepared when it is first sent, its values and rows travel in the driver's own formats,
and the driver's cursors stay usable: taking one sends what is kept first.
"""

import itertools
import re
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum, auto
from typing import Any, NamedTuple, TypeVar, cast

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send
from psycopg.rows import TupleRow

from lastgood.store.backend import CannotUndo, Connection
from lastgood.store.postgresql_failures import is_lost

__all__ = ["Wire", "wire_of"]

PREPARED_MAX = 500  # statements that a connection keeps ready
KEPT_MAX = 64  # statements that wait for a question to travel with

_PLACEHOLDER = re.compile("%[s%]")

T = TypeVar("T")

_Row = tuple[Any, ...]
_Key = tuple[str, tuple[int, ...]]
"""A statement's text, and the types of its values: together they make a prepared statement."""


class _Awaited(Enum):
    """An answer that will come."""

    RESULT = auto()
    ASIDE = auto()
    """Nobody wants to know."""


class _Command(NamedTuple):
    """A statement on its way."""

    key: _Key
    values: Sequence[Any]
    formats: Sequence[pq.Format]


class Wire(psycopg.Connection[TupleRow]):
    """A connection of the driver that can also keep statements back. One thread at a time uses it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.written = 0
        """Grows with each statement that may have changed something."""
        self.repeatable = False
        """Whether all that was sent since the transaction began can be sent again if the connection is lost."""
        self._adapter = Transformer(self)
        self._ready: dict[_Key, bytes] = {}
        self._numbers = itertools.count()
        self._surplus: list[bytes] = []
        self._kept: list[_Command] = []
        self._awaited: deque[_Key | _Awaited] = deque()
        """For each answer that will come what it is; a key: whether that statement is prepared."""

    def ask(self, sql: str, values: Sequence[Any] = (), *, changes: bool = False) -> list[_Row]:
        """The rows of a statement.

        Args:
            sql: The statement, with %s for each value.
            values: These.
            changes: Whether it also changes something.
        """
        self.written += changes
        self._keep(sql, values)
        return self._rows(self._exchange()[-1])

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Any]]]) -> list[list[_Row]]:
        """The rows of each of several statements, for one round trip."""
        for sql, values in questions:
            self._keep(sql, values)
        return [self._rows(result) for result in self._exchange()[-len(questions) :]]

    def count(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Change something; how many rows that were."""
        self.written += 1
        self._keep(sql, values)
        return self._exchange()[-1].command_tuples or 0

    def tell(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Change something, before the next question is answered; that one, or the commit, tells of a failure."""
        self.written += 1
        self._keep(sql, values)
        if len(self._kept) >= KEPT_MAX:
            self._exchange()

    def flush(self) -> None:
        """Have done what is kept."""
        if self._kept:
            self._exchange()

    def forget(self) -> None:
        """Drop what is kept."""
        self._kept.clear()

    def finish(self) -> None:
        """Commit, and know that it is done.

        Raises:
            InFailedSqlTransaction: it was rolled back instead, because of an error before.
        """
        self._keep("COMMIT", ())
        if self._exchange()[-1].command_status != b"COMMIT":
            raise psycopg.errors.InFailedSqlTransaction("nothing was committed after an error")

    def leave(self) -> None:
        """End a transaction that only read; nobody waits for it. None was begun if nothing was asked."""
        if self._kept:
            self._kept.clear()
        else:
            self._keep("COMMIT", ())
            self._send()

    def roll_back(self) -> None:
        """End the transaction, if there is one, without a trace. Raises nothing."""
        self._kept.clear()
        # The first error tells more than one of the rollback.
        with suppress(psycopg.Error, CannotUndo):
            self._drain()
            if not self.closed and self.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                self.ask("ROLLBACK")

    @property
    def at_rest(self) -> bool:
        """Whether it works and is in no transaction."""
        idle = self.pgconn.transaction_status == pq.TransactionStatus.IDLE
        return not self.closed and not self._kept and (idle or bool(self._awaited))

    @property
    def failed(self) -> bool:
        """Whether its transaction can only be rolled back."""
        return self.closed or self.pgconn.transaction_status == pq.TransactionStatus.INERROR

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """The driver's own way. What is kept goes first, as if it had never waited."""
        self.written += 1
        self.flush()
        self._leave_pipeline()
        return super().cursor(*arguments, **options)

    def rollback(self) -> None:
        """For SQLAlchemy, before it closes the connection."""
        self.roll_back()
        self._leave_pipeline()
        super().rollback()

    def _leave_pipeline(self) -> None:
        self._drain()
        if self.pgconn.pipeline_status != pq.PipelineStatus.OFF:
            self.pgconn.exit_pipeline_mode()

    def _keep(self, sql: str, values: Sequence[Any]) -> None:
        adapter = self._adapter
        if values:
            dumped = adapter.dump_sequence(values, [PyFormat.AUTO] * len(values))
            command = _Command((sql, adapter.types or ()), dumped, adapter.formats or ())
        else:
            command = _Command((sql, ()), (), ())
        self._kept.append(command)

    def _exchange(self) -> list[pq.abc.PGresult]:
        """Send what is kept; its results, after those of what was sent before."""
        try:
            self._send()
            return self._drain()
        except psycopg.Error as error:
            if self.repeatable and is_lost(error):
                raise CannotUndo from error
            raise

    def _send(self) -> None:
        pgconn = self.pgconn
        if pgconn.pipeline_status == pq.PipelineStatus.OFF:
            pgconn.enter_pipeline_mode()
        kept, self._kept = self._kept, []
        for command in kept:
            name = self._ready.get(command.key) or self._prepare(command.key)
            pgconn.send_query_prepared(name, command.values, command.formats, pq.Format.BINARY)
            self._awaited.append(_Awaited.RESULT)
        self._sync()
        if self._surplus:
            self._drop_surplus()
        if pgconn.flush():  # more than the socket takes at once
            self._await(send(pgconn))

    def _sync(self) -> None:
        """After an error PostgreSQL passes over everything up to here."""
        self.pgconn.pipeline_sync()
        self._awaited.append(_Awaited.ASIDE)

    def _prepare(self, key: _Key) -> bytes:
        if len(self._ready) >= PREPARED_MAX:
            self._surplus.append(self._ready.pop(next(iter(self._ready))))
        name = self._ready[key] = b"lastgood_%d" % next(self._numbers)
        sql, types = key
        self.pgconn.send_prepare(name, _numbered(sql).encode(), types)
        self._awaited.append(key)
        return name

    def _drop_surplus(self) -> None:
        # After the others: in a failed transaction this fails too, and must not take a ROLLBACK with it.
        for name in self._surplus:
            self.pgconn.send_query_params(b"DEALLOCATE " + name, None)
            self._awaited.append(_Awaited.ASIDE)
        self._surplus.clear()
        self._sync()

    def _drain(self) -> list[pq.abc.PGresult]:
        """All results that were awaited. Raises the first error among them, when all are there."""
        results, failure = [], None
        while self._awaited:
            (result,) = self._await(fetch_many(self.pgconn))
            awaited = self._awaited.popleft()
            if awaited is _Awaited.ASIDE:
                continue
            if awaited is _Awaited.RESULT:
                results.append(result)
            elif result.status != pq.ExecStatus.COMMAND_OK:
                self._ready.pop(awaited, None)
            if failure is None and result.status == pq.ExecStatus.FATAL_ERROR:
                failure = _failure(result)
        if failure is not None:
            raise failure
        return results

    def _await(self, answer: PQGen[T]) -> T:
        try:
            return self.wait(answer)
        except BaseException:
            # Lost, or interrupted in the middle: which answer would be the next one is anybody's guess.
            self.close()
            raise

    def _rows(self, result: pq.abc.PGresult) -> list[_Row]:
        if not result.ntuples:
            return []
        self._adapter.set_pgresult(result)
        rows = self._adapter.load_rows(0, result.ntuples, tuple)
        self._adapter.set_pgresult(None)  # it may be large
        return rows


def wire_of(connection: Connection) -> Wire:
    """The connection below SQLAlchemy's."""
    return cast("Wire", connection.connection.driver_connection)


def _failure(result: pq.abc.PGresult) -> psycopg.Error:
    error = error_from_result(result, encoding="utf-8")
    # What has no code was said by the library, not by PostgreSQL: the connection is gone.
    return error if error.diag.sqlstate else psycopg.OperationalError(str(error))


def _numbered(sql: str) -> str:
    """The statement with PostgreSQL's own placeholders, $1, $2 and so on."""
    numbers = itertools.count(1)
    return _PLACEHOLDER.sub(lambda found: "%" if found[0] == "%%" else f"${next(numbers)}", sql)

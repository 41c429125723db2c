"""The database: many readers, one writer that commits in groups.

Writes are functions of a connection, queued to a single thread. It runs all that wait in one
transaction, from which each can be refused alone, commits once (one fsync for the whole group) and
only then acknowledges. Durable and fast at once; and because one thread writes, a decision made inside
such a function cannot be overtaken. Other processes that write the same database are kept apart by
the backend: a transaction begins when theirs has ended, and sees it.

Writes of one kind can also be queued as values, beside the one function that stores many of them: then those
that stand next to each other in the queue cost the statements of one.

Readers see a snapshot: they never wait for the writer and never see half of a transaction.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from lastgood.errors import LastgoodError, Overloaded, StoreUnavailable
from lastgood.store.backend import KNOWN, Backend, CannotUndo, Connection, WriteSession
from lastgood.store.inbox import Inbox

__all__ = ["Connection", "Database"]

S = TypeVar("S")
T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 - an item
Unit = Callable[[Connection], Any]
Together = Callable[[Connection, Sequence[I]], Sequence[T | LastgoodError]]

GROUP_SIZE_MAX = 256  # bounds how long the first of a group waits for the last
GATHER_S_MAX = 0.002  # for callers that were acknowledged together and ask again
CLOSE_TIMEOUT_S = 30.0
QUEUE_MAX = 10_000  # writes that wait; a disk that hangs must not fill the memory


@dataclass(slots=True)  # not frozen, which would take as long as queueing does
class _Queued:
    future: Future[Any]
    item: Any
    """A unit; or, with `together`, what that stores."""
    together: Together[Any, Any] | None = None
    tell: Callable[[Any], Any] | None = None
    """Makes of the result what the caller gets."""

    def run(self, connection: Connection) -> Any:
        """Do it alone."""
        if self.together is None:
            return self.item(connection)
        (answer,) = self.together(connection, (self.item,))
        if isinstance(answer, LastgoodError):
            raise answer
        return answer


@dataclass(slots=True)
class _Attempt:
    """What a unit of the open transaction came to."""

    item: _Queued
    result: Any = None
    refusal: Exception | None = None

    def acknowledge(self) -> None:
        """Tell its caller; after the commit, never before."""
        future, tell = self.item.future, self.item.tell
        if self.refusal is not None:
            future.set_exception(self.refusal)
            return
        try:
            told = self.result if tell is None else tell(self.result)
        except Exception as error:  # it is for the caller, as any other outcome
            future.set_exception(error)
        else:
            future.set_result(told)


class Database:
    """Reads, and writes in groups, over one backend.

    Raises:
        StoreUnavailable: the backend cannot be opened.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lock = threading.Lock()  # over _closed with what is queued
        self._inbox: Inbox[_Queued | None] = Inbox()
        """None, the last one, ends the writer."""
        self._closed = False
        self._expected = 0
        """How many writes the next group may have: of those who were just told, and who waited meanwhile."""
        self._last_commit_s = 0.0
        self._session: WriteSession | None = backend.open_session()
        self._thread = threading.Thread(
            target=self._write_forever, name="lastgood-writer", daemon=True
        )
        self._thread.start()

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self._backend.place

    def write(self, unit: Callable[[Connection], T]) -> Future[T]:
        """Queue a write. The future is done once it is durable, or holds the exception of the unit.

        A unit that raises leaves no trace; the others of its group are not affected, though they may
        be run a second time: what a unit does outside of its connection is not undone. What is queued
        cannot be cancelled: a client that goes away does not undo what it asked for.

        Raises (through the future):
            Overloaded: ten thousand writes wait already. StoreUnavailable: the database is closed, or fails.
        """
        return self._queue(_Queued(Future(), unit))

    def write_and_tell(self, unit: Callable[[Connection], S], tell: Callable[[S], T]) -> Future[T]:
        """As `write`; the future is what `tell` makes of the unit's result, or raises, once that is durable.

        It is called in the writer's thread: it must be quick.
        """
        return self._queue(_Queued(Future(), unit, tell=tell))

    def write_together(self, together: Together[I, T], item: I) -> Future[T]:
        """Queue a write that shares its statements with others of its kind.

        `together` gets items that were queued one after the other, in that order, and gives for each its
        result, or the error that refuses it; of one that it refuses it must not have stored anything. If it
        raises, nothing was stored, and each item is tried alone. All else is as with `write`.

        Args:
            together: Stores items; the same function for all that may be stored together.
            item: What to store.
        """
        return self._queue(_Queued(Future(), item, together))

    def _queue(self, queued: _Queued) -> "Future[Any]":
        future = queued.future
        future.set_running_or_notify_cancel()
        refusal: LastgoodError
        with self._lock:
            if self._closed:
                refusal = StoreUnavailable("The store is closed")
            elif len(self._inbox) >= QUEUE_MAX:
                refusal = Overloaded(
                    f"{QUEUE_MAX:,} writes wait for the disk; nothing was changed",
                    hint="try again in a moment; is the disk well?",
                )
            else:
                self._inbox.put(queued)
                return future
        future.set_exception(refusal)
        return future

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run several statements on one snapshot."""
        return self._backend.read(query)

    def survey(self, query: Callable[[Connection], T]) -> T:
        """As `read`, for what fetches many rows; may wait a moment for others that do. Not for an event loop."""
        return self._backend.survey(query)

    def warm(self, queries: Sequence[Callable[[Connection], object]]) -> None:
        """Run queries only for what they bring from the disk into memory; see `Backend.warm`. Not for an event loop."""
        self._backend.warm(queries)

    def attempt(self, query: Callable[[Connection], T], *, patience_s: float) -> T | None:
        """As `read`, but None if statements take longer, or would wait for another process. For an event loop."""
        return self._backend.attempt(query, patience_s=patience_s)

    def glance(self, query: Callable[[Connection], T]) -> T:
        """Run statements that are all asked at once, with `ask_all`, on one snapshot; cheaper than `read`."""
        return self._backend.glance(query)

    def peek(self, query: Callable[[Connection], T]) -> T:
        """Run one statement; cheaper than `read` because one statement is a snapshot anyway."""
        return self._backend.peek(query)

    def data_version(self) -> int | None:
        """A number that changes, for this thread, when anybody commits; None if asking is no cheaper than looking."""
        return self._backend.data_version()

    def changes(self, stop: threading.Event) -> Iterator[None]:
        """Yields when another process may have appended to the log, and once at the beginning, until `stop`."""
        return self._backend.changes(stop)

    def close(self) -> None:
        """Finish the queued writes and close all connections."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._inbox.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)
        self._backend.close()

    def _write_forever(self) -> None:
        stopping = False
        while not stopping:
            self._gather()
            taken = self._inbox.take(GROUP_SIZE_MAX)
            group = [item for item in taken if item is not None]
            stopping = len(group) < len(taken)
            if group:
                began = time.monotonic()
                self._commit_group(group)
                self._last_commit_s = time.monotonic() - began
                self._expected = min(len(group) + len(self._inbox), GROUP_SIZE_MAX)
        self._drop_session()

    def _gather(self) -> None:
        """Wait for the next group.

        Callers that were acknowledged together ask again almost together. Waiting for them, for no
        longer than a commit takes, spares a commit that would hold only the quickest of them; and half of
        the callers do not take turns with the other half for ever. A lone caller never waits.
        """
        self._inbox.wait(1)
        if self._expected > 1:
            patience_s = min(self._last_commit_s, GATHER_S_MAX)
            self._inbox.wait(self._expected, timeout_s=patience_s)

    def _commit_group(self, group: list[_Queued]) -> None:
        """One transaction for the group; acknowledge after the commit, never before."""
        try:
            attempts = self._committed(group)
        except (
            BaseException
        ) as error:  # the writer's edge: whatever it was, each caller is told and the thread lives
            # After a failed fsync a database's own view of its file cannot be trusted; the next group opens it afresh.
            self._drop_session()
            failure = self._backend.explain(error)
            if failure is not None:
                failure.__cause__ = error
            for item in group:
                item.future.set_exception(failure or error)
            return
        for attempt in attempts:
            attempt.acknowledge()

    def _committed(self, group: list[_Queued]) -> list[_Attempt]:
        session = self._session
        if session is None:
            session = self._session = self._backend.open_session()
        try:
            return self._run(session, group, carefully=False)
        except CannotUndo:
            return self._run(session, group, carefully=True)

    def _run(
        self, session: WriteSession, group: list[_Queued], *, carefully: bool
    ) -> list[_Attempt]:
        try:
            session.begin(carefully=carefully)
            session.connection.info[KNOWN] = {}
            attempts = []
            for together, items in groupby(group, key=attrgetter("together")):
                if together is None or carefully:
                    attempts += [self._attempt(session, item) for item in items]
                else:
                    attempts += self._attempt_together(session, together, list(items))
            session.commit()
        except BaseException:
            session.roll_back()
            raise
        return attempts

    def _attempt(self, session: WriteSession, item: _Queued) -> _Attempt:
        """Run one unit in the open transaction; raises only what dooms the whole group."""
        session.save()
        try:
            result = item.run(session.connection)
            session.keep()
        except Exception as error:  # the unit's own refusal goes to its caller alone
            known = self._backend.explain(error)
            if isinstance(known, StoreUnavailable):
                raise  # the savepoint may be gone with its transaction
            session.undo()
            session.connection.info[KNOWN].clear()
            if known is not None:
                known.__cause__ = error
            return _Attempt(item, refusal=known or error)
        return _Attempt(item, result=result)

    def _attempt_together(
        self, session: WriteSession, together: Together[Any, Any], items: list[_Queued]
    ) -> list[_Attempt]:
        """Run neighbours of one kind in the open transaction; raises what dooms the group, or has it tried one by one."""
        try:
            answers = together(session.connection, [item.item for item in items])
        except Exception as error:
            if isinstance(self._backend.explain(error), StoreUnavailable):
                raise
            raise CannotUndo from error  # for which of them is found out one by one
        return [
            _Attempt(item, refusal=answer)
            if isinstance(answer, LastgoodError)
            else _Attempt(item, result=answer)
            for item, answer in zip(items, answers, strict=True)
        ]

    def _drop_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

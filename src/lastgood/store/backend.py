"""What differs between the databases that a registry can be kept in.

`Database` groups writes and acknowledges them; a backend connects, begins, commits, explains what
went wrong, and knows how to notice what other processes committed. Statements are the same for all.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import sqlalchemy as sa

from lastgood.errors import LastgoodError

__all__ = ["APPENDED", "KNOWN", "Backend", "Connection", "WriteSession"]

Connection = sa.Connection
T = TypeVar("T")

APPENDED = "lastgood.appended"
"""Set in the `info` of a write session's connection when its transaction appends to the log."""
KNOWN = "lastgood.known"
"""In the same `info`, a dict: what units of the open transaction need not ask again.

It is empty when a transaction begins, and again when a unit is undone or anything was appended to the log.
"""


class CannotUndo(Exception):  # a state, not a fault of the caller
    """The unit cannot be undone alone: the transaction has to be run again, carefully."""


class WriteSession(Protocol):
    """The writer's connection. Only one thread uses it, and only one session writes at any moment.

    `save`, `keep` and `undo` bracket one unit of several in a transaction.
    """

    @property
    def connection(self) -> Connection:
        """What units get; the same from `begin` to `commit`."""
        ...

    def begin(self, *, carefully: bool) -> None:
        """Begin a transaction that no other writer, of any process, can overlap; it sees all they committed.

        Args:
            carefully: Whether each of its units can be undone alone; else `undo` may raise CannotUndo.
        """
        ...

    def save(self) -> None:
        """Note the place to return to if the next unit is refused."""
        ...

    def keep(self) -> None:
        """What came since `save` shall stay."""
        ...

    def undo(self) -> None:
        """Return to where `save` was.

        Raises:
            CannotUndo: the transaction did not begin carefully, and the unit has written.
        """
        ...

    def commit(self) -> None:
        """Make the transaction durable and visible."""
        ...

    def roll_back(self) -> None:
        """End the transaction, if there is one, without a trace. Raises nothing."""
        ...

    def close(self) -> None:
        """Give the connection up. Raises nothing."""
        ...


class Backend(Protocol):
    """One database. Safe to use from several threads, but for its write session."""

    @property
    def place(self) -> str:
        """Where it is, for people; never holds a secret."""
        ...

    def open_session(self) -> WriteSession:
        """Connect for writing. Raises StoreUnavailable."""
        ...

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run several statements on one snapshot. Raises what `explain` says, or the query's own error."""
        ...

    def survey(self, query: Callable[[Connection], T]) -> T:
        """As `read`, for what fetches many rows; may wait a moment for others that do. Not for an event loop."""
        ...

    def warm(self, queries: Sequence[Callable[[Connection], object]]) -> None:
        """Run queries only for what they bring from the disk into memory, several at once; wait for all of them.

        Whatever comes of them is dropped, errors too. Does nothing where the database sees to that itself.
        """
        ...

    def attempt(self, query: Callable[[Connection], T], *, patience_s: float) -> T | None:
        """As `read`, but None where that takes longer, or is to wait for another process. For an event loop."""
        ...

    def glance(self, query: Callable[[Connection], T]) -> T:
        """Run statements that are all asked at once, with `ask_all`, on one snapshot. Raises as `read`."""
        ...

    def peek(self, query: Callable[[Connection], T]) -> T:
        """Run one statement on what is committed now. Raises as `read`."""
        ...

    def explain(self, error: BaseException) -> LastgoodError | None:
        """An error of the database in our words; None if it is not one that we have words for.

        StoreUnavailable means that the whole transaction is lost; all others concern one unit alone.
        """
        ...

    def data_version(self) -> int | None:
        """A number that changes, for this thread, when anybody commits; None if asking costs as much as looking."""
        ...

    def changes(self, stop: threading.Event) -> Iterator[None]:
        """Yields when another process may have appended to the log, and once at the beginning, until `stop`."""
        ...

    def close(self) -> None:
        """Close all connections of readers."""
        ...

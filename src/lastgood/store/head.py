"""The log's head, at the price of one PRAGMA (or one small query) while nothing is committed."""

import threading

from lastgood.store import log
from lastgood.store.database import Database

__all__ = ["Head"]


class Head:
    """Knows the newest operation, whichever process committed it. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # SQLite counts changes per connection, and each thread has its own.
        self._local = threading.local()

    def __call__(self) -> int:
        """The position of the newest operation; 0 for an empty log."""
        version = self._database.data_version()
        if version is None:
            return self._database.peek(log.newest)[0]
        known: tuple[int, int] | None = getattr(self._local, "known", None)
        if known is None or known[0] != version:
            known = self._local.known = (version, self._database.peek(log.newest)[0])
        return known[1]

"""What SQLite says in its own words, said in ours; and which of its errors concern everybody."""

import sqlite3
from pathlib import Path

import sqlalchemy as sa

from lastgood.errors import StoreFull, StoreUnavailable

__all__ = ["BUSY_TIMEOUT_MS", "explain_sqlite"]

BUSY_TIMEOUT_MS = 30_000  # another process of the same data directory may hold the write lock

_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNREADABLE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_OF_THE_STORE = (
    _LOCKED
    | _UNREADABLE
    | {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def explain_sqlite(path: Path, error: BaseException) -> StoreUnavailable | None:
    """The failure of the store behind an error; None if the store did not fail.

    Other errors of SQLite (a constraint, a statement it does not accept) are the asker's own.
    """
    code = _code(error)
    if code not in _OF_THE_STORE:
        return None
    return _failure(path, code, str(error.orig if isinstance(error, sa.exc.DBAPIError) else error))


def is_interrupted(error: BaseException) -> bool:
    """Whether we stopped the statement ourselves."""
    return _code(error) == sqlite3.SQLITE_INTERRUPT


def _failure(path: Path, code: int, text: str) -> StoreUnavailable:
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(
            f"No space left for {path.name}; nothing was written",
            hint=f"free space in {path.parent}",
        )
    if code == sqlite3.SQLITE_READONLY:
        return StoreUnavailable(
            f"{path} is read-only; nothing was written",
            hint="check the permissions of the data directory",
        )
    if code in _LOCKED:
        return StoreUnavailable(
            f"{path.name} stayed locked by another process for {BUSY_TIMEOUT_MS // 1000} s; nothing was written",
            hint="try again; if it persists, look for a process that hangs",
        )
    if code in _UNREADABLE:
        return StoreUnavailable(
            f"{path} is damaged, or no lastgood database: {text}",
            hint="restore it from a backup, or name another data directory",
        )
    # A quota and a file system that turned read-only arrive here too: SQLite says only "I/O error".
    return StoreUnavailable(
        f"{path}: {text}",
        hint="check the disk, its space, quota and permissions; then: lastgood fsck",
    )


def _code(error: BaseException) -> int:
    """SQLite's primary result code; -1 if the error is not from SQLite."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(original, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else -1

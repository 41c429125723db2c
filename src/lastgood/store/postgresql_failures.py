"""What PostgreSQL and its driver say in their own words, said in ours; and which of it concerns everybody."""

import psycopg
import sqlalchemy as sa

from lastgood.errors import InvalidInput, LastgoodError, StoreFull, StoreUnavailable, TooLarge

__all__ = ["LOCK_TIMEOUT_S", "explain_postgresql", "is_lost"]

LOCK_TIMEOUT_S = 30  # another server may be writing
TEXT_LENGTH_MAX = 300  # of what is passed on of the database's own words

_DISK_FULL = "53100"
_LOST = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"})
_BAD_VALUE_CLASS = "22"
_TOO_LARGE_CLASS = "54"
# By code or class of codes, the first that fits: what happened, and what to do.
_FAILURES: dict[tuple[str, ...], tuple[str, str]] = {
    ("53300",): ("{place} takes no more connections", "raise max_connections of PostgreSQL"),
    ("25006",): (
        "{place} is read-only; nothing was written",
        "is it a standby? name the primary, or add ?target_session_attrs=read-write",
    ),
    ("55P03",): (
        f"Another server wrote to {{place}} for {LOCK_TIMEOUT_S} s; nothing was written",
        "try again; a migration may be running",
    ),
    ("40001", "40P01"): (
        "{place} gave up a write that another program's got in the way of; nothing was written",
        "try again",
    ),
    ("42501", "28", "3D"): (
        "{place} refuses: {words}",
        "check user, password (PGPASSWORD, ~/.pgpass) and rights; the user must own the tables",
    ),
    ("53", "57", "58", "F0", "XX"): ("{place}: {words}", "see PostgreSQL's own log"),
}


def explain_postgresql(place: str, error: BaseException) -> LastgoodError | None:
    """An error of the database in our words; None if it is the asker's own (a constraint, a wrong statement).

    Args:
        place: The database's address, without secrets.
        error: As the driver, or SQLAlchemy around it, raised it.
    """
    original = _original(error)
    if original is None:
        return None
    code = original.sqlstate or ""
    if is_lost(error):
        return StoreUnavailable(
            f"The connection to {place} was lost: {_words(original)}",
            hint="what was being written may or may not be done: look before you repeat it",
        )
    if code[:2] == _BAD_VALUE_CLASS or isinstance(original, psycopg.DataError):
        # The edges refuse what they can name; what arrives here is a NUL character or a number out of range.
        return InvalidInput(f"A value cannot be stored: {_words(original)}")
    if code[:2] == _TOO_LARGE_CLASS:
        return TooLarge(f"A value is too large for the database: {_words(original)}")
    return _failure(place, code, _words(original))


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone."""
    original = _original(error)
    if not isinstance(original, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    code = original.sqlstate
    return code is None or code[:2] == "08" or code in _LOST


def _failure(place: str, code: str, words: str) -> StoreUnavailable | None:
    if code == _DISK_FULL:
        return StoreFull(
            f"No space left for {place}; nothing was written",
            hint="free space where PostgreSQL keeps its data",
        )
    for codes, (what, hint) in _FAILURES.items():
        if code in codes or code[:2] in codes:
            return StoreUnavailable(what.format(place=place, words=words), hint=hint)
    return None


def _original(error: BaseException) -> psycopg.Error | None:
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return original if isinstance(original, psycopg.Error) else None


def _words(error: psycopg.Error) -> str:
    """The first line of what was said: the next ones quote the statement."""
    text = error.diag.message_primary or str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0][:TEXT_LENGTH_MAX]

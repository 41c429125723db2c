"""INSERT ... ON CONFLICT, which SQLAlchemy knows only per dialect."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

__all__ = ["insert"]


def insert(table: sa.Table) -> postgresql.Insert:
    """An insert that can say what to do about a row that is there already.

    SQLite took the clause over from PostgreSQL, and SQLAlchemy's compilers for both write this construct alike.
    """
    return postgresql.insert(table)

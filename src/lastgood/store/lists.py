"""Lists as one parameter of a statement, in the words of each database."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from lastgood.store.database import Connection

__all__ = ["among", "each", "listed"]


class among(sa.ColumnElement[bool]):  # noqa: N801 - reads as a function, as SQLAlchemy's own do
    """Whether a column's text or number is in a list that is bound as one parameter; give it as `listed`.

    SQLAlchemy's own ``in_`` writes the statement anew for each length of the list.
    """

    inherit_cache = True
    type = sa.Boolean()

    def __init__(self, column: sa.ColumnElement[Any], texts: sa.BindParameter[Any]) -> None:
        self.column, self.texts = column, texts

    def self_group(self, against: Any = None) -> "among":
        """Itself: SQLAlchemy would write ``... = 1`` in SQLite, for which that reads the whole table."""
        return self


@compiles(among, "sqlite")
def _among_sqlite(element: among, compiler: Any, **kw: Any) -> str:
    column, texts = compiler.process(element.column, **kw), compiler.process(element.texts, **kw)
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608 - made of a column and a placeholder


@compiles(among, "postgresql")
def _among_postgresql(element: among, compiler: Any, **kw: Any) -> str:
    column, texts = compiler.process(element.column, **kw), compiler.process(element.texts, **kw)
    return f"{column} = ANY({texts})"


class each(GenericFunction[Any]):  # noqa: N801 - reads as a function, as SQLAlchemy's own do
    """A row for each text of a list that is bound as one parameter; give it as `listed`.

    Use it as ``each(parameter).table_valued("value")``.
    """

    inherit_cache = True


@compiles(each, "sqlite")
def _each_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    (texts,) = element.clauses
    return f"json_each({compiler.process(texts, **kw)})"


@compiles(each, "postgresql")
def _each_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    (texts,) = element.clauses
    return f"(SELECT unnest({compiler.process(texts, **kw)}::TEXT[]) AS value)"


def listed(connection: Connection, texts: Sequence[str] | Sequence[int]) -> Any:
    """A list as the database takes it for `among` and `each`."""
    if connection.dialect.name == "sqlite":
        return msgspec.json.encode(texts).decode()
    return list(texts)

"""Statements that are built once and run often.

SQLAlchemy writes the SQL; the driver runs it. What SQLAlchemy does on each execution (cache key,
parameters, cursor and row objects) costs several times what SQLite does for a point read, and a
registry's write is a dozen statements. So a statement that does not depend on its input is
compiled once for each dialect, and then goes straight to the driver. Input only ever reaches it as
bound parameters.

Queries that are put together from what a client asks for (searches) are executed by SQLAlchemy.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from lastgood.store.database import Connection

__all__ = ["Row", "Statement"]

Row = tuple[Any, ...]
"""One row, in the order of the statement's columns."""
Parameters = Mapping[str, Any]
_NONE: Parameters = {}


class Statement:
    """A statement to be run with parameters; these reach the driver as they are.

    Args:
        clause: Built from tables and `sa.bindparam`; without lists that expand.
        columns: For an insert: what it fills, in the order of the rows of `run_many`; by default all columns.
    """

    __slots__ = ("_clause", "_columns", "_compiled")

    def __init__(self, clause: sa.Executable, columns: Sequence[str] = ()) -> None:
        self._clause = clause
        self._columns = tuple(columns)
        self._compiled: dict[str, _Compiled] = {}

    def first(self, connection: Connection, parameters: Parameters = _NONE) -> Row | None:
        """The first row, if there is one."""
        compiled = self._for(connection)
        row: Row | None = compiled.execute(connection, parameters).fetchone()
        return row if row is None else compiled.read(row)

    def all(self, connection: Connection, parameters: Parameters = _NONE) -> list[Row]:
        """All rows."""
        compiled = self._for(connection)
        rows: list[Row] = compiled.execute(connection, parameters).fetchall()
        return [compiled.read(row) for row in rows] if compiled.converters else rows

    def scalar(self, connection: Connection, parameters: Parameters = _NONE) -> Any:
        """The first column of the first row; None if there is no row."""
        row = self.first(connection, parameters)
        return None if row is None else row[0]

    def run(self, tx: Connection, parameters: Parameters = _NONE) -> int:
        """Change something; how many rows were stored or changed."""
        return int(self._for(tx).execute(tx, parameters).rowcount)

    def run_many(self, tx: Connection, rows: Sequence[Row]) -> int:
        """Insert rows of the columns that were named; how many were stored or changed."""
        if not rows:
            return 0
        compiled = self._for(tx)
        if compiled.reorder is not None:
            rows = [compiled.reorder(row) for row in rows]
        if len(rows) == 1:
            return int(_driver(tx).execute(compiled.sql, rows[0]).rowcount)
        if compiled.sql_of_columns:
            return int(_driver(tx).execute(compiled.sql_of_columns, _turned(rows)).rowcount)
        cursor = _driver(tx).cursor()
        cursor.executemany(compiled.sql, rows)
        return int(cursor.rowcount)

    def _for(self, connection: Connection) -> "_Compiled":
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = _Compiled(self._clause, self._columns, dialect)
            self._compiled[dialect.name] = compiled
        return compiled


class _Compiled:
    """A statement in the words of one dialect."""

    __slots__ = ("_arguments", "converters", "reorder", "sql", "sql_of_columns")

    def __init__(self, clause: Any, columns: tuple[str, ...], dialect: sa.Dialect) -> None:
        compiled = clause.compile(dialect=dialect, column_keys=list(columns) or None)
        self.sql = str(compiled)
        names = tuple(compiled.positiontup)
        fixed = {n: b.effective_value for n, b in compiled.binds.items() if not b.required}
        self._arguments = _binding(names, fixed)
        # SQLAlchemy binds an insert's values in the order of the table's columns.
        self.reorder: Callable[[Row], Row] | None = None
        if columns and names != columns:
            self.reorder = itemgetter(*(columns.index(name) for name in names))
        # Many rows are one round trip as lists, one for each column. SQLite makes no trips.
        self.sql_of_columns = ""
        if columns and dialect.name == "postgresql":
            types = [clause.table.c[n].type.compile(dialect=dialect) for n in names]
            self.sql_of_columns = _of_columns(self.sql, types)
        # PostgreSQL has all the types that our columns have; SQLite makes numbers of booleans.
        selected = clause.selected_columns if clause.is_select and dialect.name == "sqlite" else ()
        types = [c.type for c in selected]
        converters = [t.dialect_impl(dialect).result_processor(dialect, None) for t in types]
        self.converters = [(i, convert) for i, convert in enumerate(converters) if convert]

    def execute(self, connection: Connection, parameters: Parameters) -> Any:
        return _driver(connection).execute(self.sql, self._arguments(parameters))

    def read(self, row: Row) -> Row:
        if not self.converters:
            return row
        values = list(row)
        for i, convert in self.converters:
            values[i] = convert(values[i])
        return tuple(values)


def _binding(names: tuple[str, ...], fixed: Parameters) -> Callable[[Parameters], Sequence[Any]]:
    """From parameters by name to arguments by position; what the statement fixes itself is added."""
    if not names:
        return lambda _: ()
    if not fixed:
        if len(names) == 1:
            (name,) = names
            return lambda parameters: (parameters[name],)
        return itemgetter(*names)
    return lambda parameters: [fixed[name] if name in fixed else parameters[name] for name in names]


def _of_columns(sql: str, types: Sequence[str]) -> str:
    """The insert with a list for each column in place of one row's values."""
    lists = ", ".join(f"%s::{name.partition(' COLLATE ')[0]}[]" for name in types)
    before, _, values = sql.partition(" VALUES (")
    return f"{before} SELECT * FROM unnest({lists}){values.partition(')')[2]}"  # noqa: S608 - made of our own statement


def _turned(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection

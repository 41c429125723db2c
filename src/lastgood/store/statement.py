"""Statements that are built once and run often.

SQLAlchemy writes the SQL; the driver runs it. What SQLAlchemy does on each execution (cache key,
parameters, cursor and row objects) costs several times what SQLite does for a point read, and a
registry's write is a dozen statements. So a statement that does not depend on its input is
compiled once for each dialect, and then goes straight to the driver. Input only ever reaches it as
bound parameters.

Queries that are put together from what a client asks for (searches) are executed by SQLAlchemy.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from lastgood.store.database import Connection

__all__ = ["Parameters", "Row", "Statement", "ask_all"]

_PLACEHOLDER = re.compile("%[s%]")

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
        if compiled.travels:
            rows = compiled.ask(connection, parameters)
            return rows[0] if rows else None
        row: Row | None = compiled.execute(connection, parameters).fetchone()
        return row if row is None else compiled.read(row)

    def all(self, connection: Connection, parameters: Parameters = _NONE) -> list[Row]:
        """All rows."""
        compiled = self._for(connection)
        if compiled.travels:
            return compiled.ask(connection, parameters)
        rows: list[Row] = compiled.execute(connection, parameters).fetchall()
        return [compiled.read(row) for row in rows] if compiled.converters else rows

    def scalar(self, connection: Connection, parameters: Parameters = _NONE) -> Any:
        """The first column of the first row; None if there is no row."""
        row = self.first(connection, parameters)
        return None if row is None else row[0]

    def run(self, tx: Connection, parameters: Parameters = _NONE) -> None:
        """Change something. Statements that follow see it; that it failed may be told by one of them, or the commit."""
        compiled = self._for(tx)
        if compiled.travels:
            _driver(tx).tell(compiled.sql, compiled.arguments(parameters))
        else:
            compiled.execute(tx, parameters)

    def count(self, tx: Connection, parameters: Parameters = _NONE) -> int:
        """Change something; how many rows were stored or changed."""
        compiled = self._for(tx)
        if compiled.travels:
            return int(_driver(tx).count(compiled.sql, compiled.arguments(parameters)))
        return int(compiled.execute(tx, parameters).rowcount)

    def run_many(self, tx: Connection, rows: Sequence[Row]) -> None:
        """Insert rows of the columns that were named. As to failures see `run`."""
        if rows:
            compiled = self._for(tx)
            if compiled.travels:
                _driver(tx).tell(*compiled.of_rows(rows))
            else:
                compiled.execute_many(tx, rows)

    def count_many(self, tx: Connection, rows: Sequence[Row]) -> int:
        """Insert rows of the columns that were named; how many were stored or changed."""
        if not rows:
            return 0
        compiled = self._for(tx)
        if compiled.travels:
            return int(_driver(tx).count(*compiled.of_rows(rows)))
        return int(compiled.execute_many(tx, rows).rowcount)

    def _for(self, connection: Connection) -> "_Compiled":
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = _Compiled(self._clause, self._columns, dialect)
            self._compiled[dialect.name] = compiled
        return compiled


def ask_all(
    connection: Connection, questions: Sequence[tuple[Statement, Parameters]]
) -> list[list[Row]]:
    """All rows of each of several statements. Where there is a way to the database, it is gone once."""
    if connection.dialect.name != "postgresql":
        return [statement.all(connection, parameters) for statement, parameters in questions]
    asked = []
    for statement, parameters in questions:
        compiled = statement._for(connection)  # noqa: SLF001 - of this module
        asked.append((compiled.sql, compiled.arguments(parameters)))
    answers: list[list[Row]] = _driver(connection).ask_all(asked)
    return answers


class _Compiled:
    """A statement in the words of one dialect."""

    __slots__ = (
        "_changes",
        "_reorder",
        "_sql_of_columns",
        "arguments",
        "converters",
        "sql",
        "travels",
    )

    def __init__(self, clause: Any, columns: tuple[str, ...], dialect: sa.Dialect) -> None:
        compiled = clause.compile(dialect=dialect, column_keys=list(columns) or None)
        self.sql = str(compiled)
        self._changes = not clause.is_select
        self.travels = dialect.name == "postgresql"
        """Whether it goes to another process; then a `Wire` takes it there, and knows when to wait."""
        names = tuple(compiled.positiontup)
        fixed = {n: b.effective_value for n, b in compiled.binds.items() if not b.required}
        if self.travels and clause.is_select:
            self.sql, names = _spelled_out(self.sql, names, fixed)
        self.arguments = _binding(names, fixed)
        # SQLAlchemy binds an insert's values in the order of the table's columns.
        self._reorder: Callable[[Row], Row] | None = None
        if columns and names != columns:
            self._reorder = itemgetter(*(columns.index(name) for name in names))
        # Many rows are one statement as lists, one for each column.
        self._sql_of_columns = ""
        if columns and self.travels:
            types = [clause.table.c[n].type.compile(dialect=dialect) for n in names]
            self._sql_of_columns = _of_columns(self.sql, types)
        # PostgreSQL has all the types that our columns have; SQLite makes numbers of booleans.
        selected = clause.selected_columns if clause.is_select and not self.travels else ()
        types = [c.type for c in selected]
        converters = [t.dialect_impl(dialect).result_processor(dialect, None) for t in types]
        self.converters = [(i, convert) for i, convert in enumerate(converters) if convert]

    def ask(self, connection: Connection, parameters: Parameters) -> list[Row]:
        arguments = self.arguments(parameters)
        rows: list[Row] = _driver(connection).ask(self.sql, arguments, changes=self._changes)
        return rows

    def execute(self, connection: Connection, parameters: Parameters) -> Any:
        return _driver(connection).execute(self.sql, self.arguments(parameters))

    def execute_many(self, connection: Connection, rows: Sequence[Row]) -> Any:
        if self._reorder is not None:
            rows = [self._reorder(row) for row in rows]
        if len(rows) == 1:
            return _driver(connection).execute(self.sql, rows[0])
        return _driver(connection).executemany(self.sql, rows)

    def of_rows(self, rows: Sequence[Row]) -> tuple[str, Sequence[Any]]:
        """One statement that inserts the rows, and its arguments."""
        if self._reorder is not None:
            rows = [self._reorder(row) for row in rows]
        if len(rows) == 1:
            return self.sql, rows[0]
        return self._sql_of_columns, _turned(rows)

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


def _spelled_out(sql: str, names: Sequence[str], fixed: Parameters) -> tuple[str, tuple[str, ...]]:
    """The statement with the numbers that it fixes itself in its text, and the names that are left.

    PostgreSQL plans anew, each time, for a LIMIT that it is only given as a parameter.
    """
    left = []
    following = iter(names)

    def spelled(placeholder: re.Match[str]) -> str:
        if placeholder[0] == "%%":
            return "%%"
        name = next(following)
        value = fixed.get(name)
        if type(value) is int and value >= 0:  # a sign and a cast mean something else together
            return str(value)
        left.append(name)
        return "%s"

    return _PLACEHOLDER.sub(spelled, sql), tuple(left)


def _of_columns(sql: str, types: Sequence[str]) -> str:
    """The insert with a list for each column in place of one row's values."""
    lists = ", ".join(f"%s::{name.partition(' COLLATE ')[0]}[]" for name in types)
    before, _, values = sql.partition(" VALUES (")
    return f"{before} SELECT * FROM unnest({lists}){values.partition(')')[2]}"  # noqa: S608 - made of our own statement


def _turned(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _driver(connection: Connection) -> Any:
    # Which is the driver's own; asking for `driver_connection` takes three properties, on every statement.
    return connection.connection.dbapi_connection

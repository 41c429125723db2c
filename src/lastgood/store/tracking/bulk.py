"""Many rows with one statement, without the work that SQLAlchemy does for each row.

Its handling of parameters costs more than SQLite's insert itself; batches of metrics are the one
place where that shows. The SQL text still comes from a compiled statement, never from input.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.store.database import Connection

__all__ = ["Bulk", "Row"]

Row = tuple[Any, ...]


class Bulk:
    """A statement to be run for many rows.

    Args:
        statement: An insert; compiled once, for the first connection that runs it.
        columns: What each row holds, in order. The values reach the driver as they are.
    """

    def __init__(self, statement: sa.Insert, columns: Sequence[str]) -> None:
        self._statement = statement
        self._columns = tuple(columns)
        self._sql = ""

    def run(self, tx: Connection, rows: Sequence[Row]) -> int:
        """Run the statement for each row; how many rows it stored or changed."""
        if not rows:
            return 0
        return tx.exec_driver_sql(self._sql or self._compile(tx), list(rows)).rowcount

    def _compile(self, tx: Connection) -> str:
        compiled: Any = self._statement.compile(dialect=tx.dialect, column_keys=list(self._columns))
        assert tuple(compiled.positiontup) == self._columns, "rows would be bound in another order"
        self._sql = str(compiled)
        return self._sql

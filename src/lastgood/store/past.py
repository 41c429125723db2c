"""The registry as it was: its operations up to a point, folded anew into a database in memory.

Every read works on it as on the registry itself, by the same code.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from lastgood.core.ids import Instant
from lastgood.errors import TooLarge
from lastgood.store import projections
from lastgood.store.database import Connection
from lastgood.store.log import decode_operation
from lastgood.store.schema import (
    PROJECTIONS,
    gateways,
    history,
    metadata,
    models,
    operations,
    slot_events,
    traffic,
)

__all__ = ["as_of"]

OPERATIONS_FOLDED_MAX = 200_000  # about half a minute
OBSERVATIONS_MAX = 500_000
_TABLES = (*PROJECTIONS, operations, gateways, slot_events, traffic)


@contextmanager
def as_of(
    connection: Connection,
    *,
    seq: int,
    until_ms: Instant,
    model_id: int | None = None,
    called: str = "",
) -> Iterator[Connection]:
    """The registry at the end of operation `seq`, and what was observed until `until_ms`.

    Args:
        connection: A snapshot of the registry.
        seq: The last operation to take in.
        until_ms: The end of what was observed.
        model_id: Only this model; None: all.
        called: The name by which the one model is to be found, whatever it was called then.

    Raises:
        TooLarge: more than 200,000 operations would have to be folded.
    """
    engine = sa.create_engine("sqlite://")
    try:
        with engine.begin() as past:
            metadata.create_all(past, tables=_TABLES)
            _fold(connection, past, seq=seq, model_id=model_id)
            if called:
                renamed = {"name": called, "folded": projections.folded(called)}
                past.execute(models.update().values(**renamed))
            _observations(connection, past, until_ms=until_ms, model_id=model_id)
            yield past
    finally:
        engine.dispose()


def _fold(connection: Connection, past: Connection, *, seq: int, model_id: int | None) -> None:
    query = sa.select(*operations.c).where(operations.c.seq <= seq)
    if model_id is not None:
        query = query.join(history, history.c.seq == operations.c.seq)
        query = query.where(history.c.model_id == model_id)
    rows = connection.execute(
        query.order_by(operations.c.seq).limit(OPERATIONS_FOLDED_MAX + 1)
    ).all()
    if len(rows) > OPERATIONS_FOLDED_MAX:
        raise TooLarge(
            f"More than {OPERATIONS_FOLDED_MAX:,} operations led to that moment",
            hint="ask about one model; lastgood live MODEL --at and lastgood log --at are quick",
        )
    _copy(past, operations, rows)
    for row in rows:
        projections.apply(past, decode_operation(bytes(row.body)))


def _observations(
    connection: Connection, past: Connection, *, until_ms: Instant, model_id: int | None
) -> None:
    for table, moment, later in (
        (gateways, gateways.c.first_seen_ms, "last_seen_ms"),
        (slot_events, slot_events.c.at_ms, None),
        (traffic, traffic.c.first_ms, "last_ms"),
    ):
        query = sa.select(*table.c).where(moment <= until_ms).limit(OBSERVATIONS_MAX)
        if model_id is not None and "model_id" in table.c:
            query = query.where(table.c.model_id == model_id)
        _copy(past, table, connection.execute(query).all())
        if later is not None:
            column = table.c[later]
            past.execute(table.update().where(column > until_ms).values({later: until_ms}))


def _copy(past: Connection, table: sa.Table, rows: Any) -> None:
    if rows:
        past.execute(table.insert(), [dict(row._mapping) for row in rows])  # noqa: SLF001  # its public name

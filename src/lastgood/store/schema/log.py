"""The log: append-only, chained by hashes, migrated by expand/contract."""

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint, Table

from lastgood.store.schema.columns import Big, chars, metadata, text

__all__ = ["meta", "operation_streams", "operations"]

operations = Table(
    "operations",
    metadata,
    Column("seq", Big, primary_key=True, autoincrement=False),
    Column("id", chars(19), nullable=False, unique=True),
    Column("at_ms", Big, nullable=False, index=True),
    Column("kind", chars(32), nullable=False),
    Column("hash", chars(71), nullable=False),
    Column("body", LargeBinary, nullable=False),  # canonical JSON of the whole operation
    Column("idempotency_key", chars(128)),
)
# Most operations have no key, and shall cost nothing here.
_has_key = operations.c.idempotency_key.is_not(None)
Index(
    "operations_by_idempotency_key",
    operations.c.idempotency_key,
    unique=True,
    sqlite_where=_has_key,
    postgresql_where=_has_key,
)

operation_streams = Table(
    "operation_streams",
    metadata,
    Column("stream", chars(300), nullable=False),
    Column("seq", Big, nullable=False),
    PrimaryKeyConstraint("stream", "seq"),
    sqlite_with_rowid=False,
)

meta = Table(
    "lastgood_meta",
    metadata,
    Column("key", chars(64), primary_key=True),
    Column("value", text, nullable=False),
)

"""The log: append-only, chained by hashes, migrated by expand/contract."""

from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, Table

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
    Column("idempotency_key", chars(128), unique=True),
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

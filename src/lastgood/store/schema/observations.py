"""What gateways saw: append-only, much of it."""

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table

from lastgood.store.schema.columns import Big, chars, metadata, text

__all__ = ["gateways", "receipts", "slot_events", "traffic"]

gateways = Table(
    "gateways",
    metadata,
    Column("gateway", chars(64), primary_key=True),
    Column("host", chars(256), nullable=False),
    Column("url", chars(512), nullable=False),
    Column("first_seen_ms", Big, nullable=False),
    Column("last_seen_ms", Big, nullable=False),
    Column("last_batch", Big, nullable=False),
    Column("receipts_dropped", Big, nullable=False),
)

slot_events = Table(
    "slot_events",
    metadata,
    Column("id", Big, primary_key=True),
    Column("gateway", chars(64), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("kind", chars(16), nullable=False),
    Column("model_id", Big, nullable=False),
    Column("ref", chars(255), nullable=False),
    Column("version", Big),
    Column("digest", chars(71)),
    Column("seq", Big, nullable=False),
    Column("detail", text, nullable=False),
    Index("slot_events_by_ref", "model_id", "ref", "gateway", "id"),
    Index("slot_events_by_time", "model_id", "ref", "at_ms"),
)

traffic = Table(
    "traffic",
    metadata,
    Column("gateway", chars(64), nullable=False),
    Column("model_id", Big, nullable=False),
    Column("ref", chars(255), nullable=False),
    Column("seq", Big, nullable=False),
    Column("version", Big, nullable=False),
    Column("minute_ms", Big, nullable=False),  # windows of one minute add up in one row
    Column("digest", chars(71), nullable=False),
    Column("first_ms", Big, nullable=False),
    Column("last_ms", Big, nullable=False),
    Column("requests", Big, nullable=False),
    Column("failures", Big, nullable=False),
    PrimaryKeyConstraint("model_id", "ref", "seq", "version", "gateway", "minute_ms"),
    sqlite_with_rowid=False,
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", Big, primary_key=True),
    Column("request_id", chars(64), nullable=False, unique=True),
    Column("gateway", chars(64), nullable=False),
    Column("at_ms", Big, nullable=False),
    Column("model", chars(256), nullable=False),
    Column("ref", chars(255), nullable=False),
    Column("version", Big, nullable=False),
    Column("digest", chars(71), nullable=False),
    Column("seq", Big, nullable=False),
    Column("status", Big, nullable=False),
    Column("latency_us", Big, nullable=False),
    Column("rows", Big, nullable=False),
    Column("output", chars(200), nullable=False),
)

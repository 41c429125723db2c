"""Who is told of operations, and how far."""

from sqlalchemy import Boolean, Column, Table

from lastgood.store.schema.columns import Big, chars, metadata, text

__all__ = ["webhooks"]

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", chars(36), primary_key=True),
    Column("name", chars(63), nullable=False),
    Column("url", chars(500), nullable=False),
    Column("description", chars(1000), nullable=False),
    Column("events", text, nullable=False),  # JSON list of entity.action
    Column("active", Boolean, nullable=False),
    Column("secret", text),  # encrypted
    Column("created_ms", Big, nullable=False),
    Column("changed_ms", Big, nullable=False),
    Column("cursor_seq", Big, nullable=False),  # told: all operations up to this one,
    Column("cursor_index", Big, nullable=False),  # and so many events of the next
    Column("leased_by", chars(64), nullable=False),
    Column("leased_until_ms", Big, nullable=False),
)

"""Webhooks: who wants to be told what, and how far each has been told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from lastgood.core.ids import Instant
from lastgood.core.webhooks import Event, Subscription
from lastgood.store.database import Connection
from lastgood.store.schema import webhooks

__all__ = [
    "Cursor",
    "active_cursors",
    "add_webhook",
    "advance",
    "claim",
    "count_webhooks",
    "page_of_webhooks",
    "release",
    "remove_webhook",
    "replace_webhook",
    "sealed_secret",
    "webhook_of",
]

_w = webhooks.c
_SHOWN = (
    _w.webhook_id,
    _w.name,
    _w.url,
    _w.description,
    _w.events,
    _w.active,
    _w.secret.is_not(None),
    _w.created_ms,
    _w.changed_ms,
)
_by_id = _w.webhook_id == sa.bindparam("id_")
_one = sa.select(*_SHOWN).where(_by_id)
_page = (
    sa.select(*_SHOWN).order_by(_w.created_ms.desc(), _w.webhook_id).limit(sa.bindparam("limit"))
)
_page_after = _page.where(
    sa.or_(
        _w.created_ms < sa.bindparam("after_ms"),
        sa.and_(
            _w.created_ms == sa.bindparam("after_ms"), _w.webhook_id > sa.bindparam("after_id")
        ),
    )
)
_secret = sa.select(_w.secret).where(_by_id)
_count = sa.select(sa.func.count()).select_from(webhooks)
_cursors = sa.select(_w.webhook_id, _w.cursor_seq, _w.cursor_index).where(_w.active)
_ahead = sa.or_(
    _w.cursor_seq < sa.bindparam("seq_"),
    sa.and_(_w.cursor_seq == sa.bindparam("seq_"), _w.cursor_index < sa.bindparam("index_")),
)
_advance = (
    webhooks.update()
    .where(_by_id, _ahead)
    .values(cursor_seq=sa.bindparam("seq_"), cursor_index=sa.bindparam("index_"))
)
_claim = (
    webhooks.update()
    .where(
        _by_id,
        sa.or_(_w.leased_by == sa.bindparam("owner_"), _w.leased_until_ms < sa.bindparam("now_")),
    )
    .values(leased_by=sa.bindparam("owner_"), leased_until_ms=sa.bindparam("until_"))
)
_release = webhooks.update().where(_w.leased_by == sa.bindparam("owner_")).values(leased_until_ms=0)


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """How far a webhook has been told: all operations up to `seq`, and of the next `index` events."""

    seq: int
    index: int = 0


def add_webhook(
    tx: Connection, subscription: Subscription, *, sealed: str | None, cursor: Cursor
) -> None:
    """Store a new webhook; it is told what comes after the cursor."""
    tx.execute(
        webhooks.insert(),
        _row(subscription)
        | {
            "webhook_id": subscription.webhook_id,
            "secret": sealed,
            "created_ms": subscription.created_ms,
            "cursor_seq": cursor.seq,
            "cursor_index": cursor.index,
            "leased_by": "",
            "leased_until_ms": 0,
        },
    )


def replace_webhook(
    tx: Connection, subscription: Subscription, *, sealed: str | None, keep_secret: bool
) -> None:
    """Store what changed about a webhook; its secret only if it is not to be kept."""
    values = _row(subscription) | ({} if keep_secret else {"secret": sealed})
    tx.execute(webhooks.update().where(_by_id).values(values), {"id_": subscription.webhook_id})


def remove_webhook(tx: Connection, webhook_id: str) -> bool:
    """Forget a webhook with its secret; whether there was one."""
    return tx.execute(webhooks.delete().where(_by_id), {"id_": webhook_id}).rowcount > 0


def webhook_of(connection: Connection, webhook_id: str) -> Subscription | None:
    """One webhook."""
    row = connection.execute(_one, {"id_": webhook_id}).first()
    return _subscription(row) if row else None


def page_of_webhooks(
    connection: Connection, *, limit: int, after: tuple[int, str] | None
) -> list[Subscription]:
    """Webhooks, the newest first, after one with that time and id."""
    bound: dict[str, Any] = {"limit": limit}
    if after is None:
        rows = connection.execute(_page, bound)
    else:
        rows = connection.execute(_page_after, bound | {"after_ms": after[0], "after_id": after[1]})
    return [_subscription(row) for row in rows]


def count_webhooks(connection: Connection) -> int:
    """How many there are."""
    return int(connection.execute(_count).scalar_one())


def sealed_secret(connection: Connection, webhook_id: str) -> str | None:
    """The secret as it is stored; None if the webhook has none, or is none."""
    value = connection.execute(_secret, {"id_": webhook_id}).scalar()
    return None if value is None else str(value)


def active_cursors(connection: Connection) -> dict[str, Cursor]:
    """How far each active webhook has been told."""
    return {row[0]: Cursor(row[1], row[2]) for row in connection.execute(_cursors)}


def advance(tx: Connection, webhook_id: str, cursor: Cursor) -> None:
    """Note how far the webhook has been told. It never goes back."""
    tx.execute(_advance, {"id_": webhook_id, "seq_": cursor.seq, "index_": cursor.index})


def claim(tx: Connection, webhook_id: str, *, owner: str, now: Instant, until: Instant) -> bool:
    """Make `owner` the one who tells this webhook, unless another is; whether it is now."""
    bound = {"id_": webhook_id, "owner_": owner, "now_": now, "until_": until}
    return tx.execute(_claim, bound).rowcount > 0


def release(tx: Connection, *, owner: str) -> None:
    """Let others tell what `owner` told."""
    tx.execute(_release, {"owner_": owner})


def _row(subscription: Subscription) -> dict[str, Any]:
    events: Sequence[str] = [str(event) for event in subscription.events]
    return {
        "name": subscription.name,
        "url": subscription.url,
        "description": subscription.description,
        "events": msgspec.json.encode(events).decode(),
        "active": subscription.active,
        "changed_ms": subscription.changed_ms,
    }


def _subscription(row: Sequence[Any]) -> Subscription:
    webhook_id, name, url, description, events, active, has_secret, created_ms, changed_ms = row
    return Subscription(
        webhook_id=webhook_id,
        name=name,
        url=url,
        description=description,
        events=tuple(
            Event(*text.split(".")) for text in msgspec.json.decode(events, type=list[str])
        ),
        active=bool(active),
        has_secret=bool(has_secret),
        created_ms=Instant(created_ms),
        changed_ms=Instant(changed_ms),
    )

"""Webhooks: made, changed, and told what the operation log holds.

Who tells a webhook asks for its `Backlog`, delivers, and notes after each delivery how far it came.
So nothing that happened is lost by a restart, and what may be repeated carries the same id.
"""

import re
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from operator import attrgetter
from uuid import uuid4

from lastgood.core.changes import ModelCreated
from lastgood.core.destinations import parse_destination
from lastgood.core.ids import Instant, printable
from lastgood.core.operations import Operation
from lastgood.core.webhooks import (
    Event,
    Notice,
    Subscription,
    delivery_id,
    is_prompt,
    notices_of,
    payload_of,
)
from lastgood.engine.kernel import Kernel
from lastgood.engine.tracking.pages import decode_token, encode_token
from lastgood.engine.webhook_secrets import WebhookSecrets
from lastgood.errors import InvalidInput, NotFound
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store import webhooks as store
from lastgood.store.database import Connection
from lastgood.store.webhooks import Cursor

__all__ = ["Backlog", "Cursor", "Delivery", "WebhookChange", "Webhooks"]

WEBHOOKS_MAX = 200
PAGE_MAX = 1_000
DESCRIPTION_LENGTH_MAX = 1_000
SECRET_LENGTH_MAX = 1_000
BATCH_OPERATIONS = 100
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChange:
    """What a client says about a webhook; None: nothing, or what it was."""

    name: str | None = None
    url: str | None = None
    events: Sequence[Event] | None = None
    description: str | None = None
    secret: str | None = None
    """Empty: deliveries are not signed."""
    active: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Something that a webhook is to be told."""

    delivery_id: str
    body: bytes
    at_ms: Instant
    """When it happened."""
    then: Cursor
    """How far the webhook has been told once this is delivered or given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What a webhook has to be told, of the operations that were looked at."""

    deliveries: Sequence[Delivery]
    looked: Cursor
    """Where the looking ended."""
    more: bool
    """Whether there are operations after that."""


class Webhooks:
    """The verbs on webhooks.

    Args:
        kernel: Gives the database and the clock.
        secrets: Encrypts their secrets.
    """

    def __init__(self, kernel: Kernel, secrets: WebhookSecrets) -> None:
        self._database = kernel.database
        self._clock = kernel.clock
        self._secrets = secrets

    # --- for clients ------------------------------------------------------------------------------

    def create(self, new: WebhookChange) -> Future[Subscription]:
        """Make a webhook; it is told what happens from now on.

        Raises:
            InvalidInput: name, URL, events or a length is not allowed, or there are too many (through the future).
        """
        _check(new)
        now = self._clock()
        subscription = _changed(
            Subscription(
                webhook_id=str(uuid4()),
                name="",
                url="",
                description="",
                events=(),
                active=True,
                has_secret=bool(new.secret),
                created_ms=now,
                changed_ms=now,
            ),
            new,
        )
        sealed = self._secrets.seal(new.secret) if new.secret else None

        def unit(tx: Connection) -> Subscription:
            if store.count_webhooks(tx) >= WEBHOOKS_MAX:
                raise InvalidInput(
                    f"There may be {WEBHOOKS_MAX} webhooks", hint="delete some that are not needed"
                )
            head = Cursor(log.newest(tx)[0])
            store.add_webhook(tx, subscription, sealed=sealed, cursor=head)
            return subscription

        return self._database.write(unit)

    def change(self, webhook_id: str, change: WebhookChange) -> Future[Subscription]:
        """Change a webhook. One that was switched off is told only what happens from now on.

        Raises:
            NotFound: there is none (through the future). InvalidInput: as `create`.
        """
        _check(change)
        sealed = self._secrets.seal(change.secret) if change.secret else None

        def unit(tx: Connection) -> Subscription:
            before = _existing(tx, webhook_id)
            after = _changed(replace(before, changed_ms=self._clock()), change)
            keep = change.secret is None
            store.replace_webhook(tx, after, sealed=sealed, keep_secret=keep)
            if after.active and not before.active:
                store.advance(tx, webhook_id, Cursor(log.newest(tx)[0]))
            return after if keep else replace(after, has_secret=sealed is not None)

        return self._database.write(unit)

    def delete(self, webhook_id: str) -> Future[None]:
        """Forget a webhook. Raises NotFound (through the future)."""

        def unit(tx: Connection) -> None:
            if not store.remove_webhook(tx, webhook_id):
                raise _not_found(webhook_id)

        return self._database.write(unit)

    def get(self, webhook_id: str) -> Subscription:
        """One webhook. Raises NotFound."""
        return self._database.peek(lambda c: _existing(c, webhook_id))

    def page(self, *, results_max: int, token: str) -> tuple[list[Subscription], str]:
        """Webhooks, the newest first, and the token of the next page.

        Raises:
            InvalidInput: number of results or token cannot be right.
        """
        if not 1 <= results_max <= PAGE_MAX:
            raise InvalidInput(f"max_results must be between 1 and {PAGE_MAX}.")
        after = _position(decode_token(token, search=("webhooks",)))
        found = self._database.peek(
            lambda c: store.page_of_webhooks(c, limit=results_max + 1, after=after)
        )
        shown = found[:results_max]
        last = (shown[-1].created_ms, shown[-1].webhook_id) if len(found) > results_max else ()
        return shown, encode_token(last, search=("webhooks",))

    def secret_of(self, webhook_id: str) -> str:
        """The secret that signs; empty if the webhook has none. Never to be shown or logged.

        Raises:
            IntegrityFailure: it cannot be decrypted any more.
        """
        sealed = self._database.peek(lambda c: store.sealed_secret(c, webhook_id))
        return self._secrets.open(sealed) if sealed else ""

    # --- for who tells them -----------------------------------------------------------------------

    def cursors(self) -> dict[str, Cursor]:
        """How far each active webhook has been told."""
        return self._database.peek(store.active_cursors)

    def backlog(self, webhook_id: str, cursor: Cursor) -> Backlog:
        """What comes after the cursor. Raises NotFound, IntegrityFailure."""

        def query(connection: Connection) -> Backlog:
            subscription = _existing(connection, webhook_id)
            operations = log.after(connection, cursor.seq, limit=BATCH_OPERATIONS)
            found = [
                delivery
                for operation in operations
                for delivery in _deliveries(connection, subscription, operation)
                if delivery.then > cursor
            ]
            looked = Cursor(operations[-1].seq) if operations else cursor
            return Backlog(
                deliveries=found, looked=looked, more=len(operations) == BATCH_OPERATIONS
            )

        return self._database.read(query)

    def claim(self, webhook_id: str, *, owner: str, lease_ms: int) -> Future[bool]:
        """Become the one who tells this webhook for a while; False while another is."""
        now = self._clock()
        until = Instant(now + lease_ms)
        return self._database.write(
            lambda tx: store.claim(tx, webhook_id, owner=owner, now=now, until=until)
        )

    def told(self, webhook_id: str, cursor: Cursor) -> Future[None]:
        """Note how far the webhook has been told."""
        return self._database.write(lambda tx: store.advance(tx, webhook_id, cursor))

    def release(self, *, owner: str) -> Future[None]:
        """Let others tell what `owner` told."""
        return self._database.write(lambda tx: store.release(tx, owner=owner))


def _deliveries(
    connection: Connection, subscription: Subscription, operation: Operation
) -> list[Delivery]:
    notices = notices_of(operation, of_prompt=lambda: _of_prompt(connection, operation))
    return [
        _delivery(subscription, operation, index, notice)
        for index, notice in enumerate(notices)
        if notice.event in subscription.events
    ]


def _delivery(
    subscription: Subscription, operation: Operation, index: int, notice: Notice
) -> Delivery:
    return Delivery(
        delivery_id=delivery_id(subscription.webhook_id, operation.seq, index),
        body=payload_of(operation, notice),
        at_ms=operation.at_ms,
        then=Cursor(operation.seq - 1, index + 1),
    )


def _of_prompt(connection: Connection, operation: Operation) -> bool:
    """Whether the operation's model is a prompt; also if it was deleted since."""
    if (model := rows.model_named(connection, operation.model)) is not None:
        return is_prompt(rows.tags_of_model(connection, model.id))
    made = log.creation_of(connection, operation.model, before_seq=operation.seq)
    changes = made.changes if made else ()
    return any(is_prompt(c.tags) for c in changes if isinstance(c, ModelCreated))


def _existing(connection: Connection, webhook_id: str) -> Subscription:
    found = store.webhook_of(connection, webhook_id)
    if found is None:
        raise _not_found(webhook_id)
    return found


def _not_found(webhook_id: str) -> NotFound:
    return NotFound(f"Webhook with ID {printable(webhook_id)} not found.")


def _changed(subscription: Subscription, change: WebhookChange) -> Subscription:
    given = {
        "name": change.name,
        "url": change.url,
        "description": change.description,
        # Each once, in MLflow's order.
        "events": tuple(sorted(set(change.events), key=attrgetter("entity", "action")))
        if change.events is not None
        else None,
        "active": change.active,
    }
    return replace(subscription, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]  # as named


def _check(change: WebhookChange) -> None:
    if change.name is not None and not _NAME.match(change.name):
        raise InvalidInput(
            f"Webhook name '{printable(change.name)}' is invalid. It must start and end with a letter or digit, "
            "be less than 63 characters long, and contain only letters, digits, dots (.), underscores (_), "
            "and hyphens (-)."
        )
    if change.url is not None:
        parse_destination(change.url)
    if change.events is not None and not change.events:
        raise InvalidInput("Webhook events must be a non-empty list")
    for what, text, length_max in (
        ("description", change.description, DESCRIPTION_LENGTH_MAX),
        ("secret", change.secret, SECRET_LENGTH_MAX),
    ):
        if text is not None and len(text) > length_max:
            raise InvalidInput(f"'{what}' exceeds the maximum length of {length_max} characters")


def _position(after: Sequence[object]) -> tuple[int, str] | None:
    match list(after):
        case []:
            return None
        case [int(created_ms), str(webhook_id)]:
            return created_ms, webhook_id
    raise InvalidInput("Invalid page token", hint="use the token that the same search returned")

"""The courier: tells webhooks what happened, in the order in which it happened to each.

One thread with a loop of its own: a receiver that is slow, or a hundred that are down, cost the
requests of clients nothing. What is waiting is not queued here: it is in the log.
"""

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from lastgood.api.webhooks.sender import Sender
from lastgood.core.destinations import Outcome, pause_before_retry
from lastgood.core.webhooks import Subscription
from lastgood.engine.kernel import Kernel
from lastgood.engine.webhooks import Cursor, Delivery, Webhooks
from lastgood.errors import IntegrityFailure, LastgoodError, NotFound

__all__ = ["Courier"]

LOOK_EVERY_S = 1.0  # while no operation rings the bell
LEASE_S = 90.0  # longer than an attempt; how long another server waits for one that died
SENDING_MAX = 10  # attempts at once
BACK_OFF_S = 30.0  # after something that should not happen
NOTED_EVERY = 1_000  # operations without an event for a webhook, until its place is noted
STOP_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Place:
    """Where this process is with one webhook."""

    looked: Cursor
    noted: Cursor
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Loop:
    """What belongs to the courier's loop."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    sending: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SENDING_MAX))
    places: dict[str, _Place] = field(default_factory=dict)


class Courier:
    """Delivers from entering to leaving its context.

    Args:
        kernel: Gives the bell and the clock.
        webhooks: Who is to be told what.
        sender: How.
        owner: The same name after a restart takes over at once; servers that run at the same time need
            different ones.
    """

    def __init__(self, kernel: Kernel, webhooks: Webhooks, sender: Sender, *, owner: str) -> None:
        self._kernel = kernel
        self._webhooks = webhooks
        self._sender = sender
        self._owner = owner
        self._loop: asyncio.AbstractEventLoop | None = None
        self._parts: _Loop | None = None
        self._listening = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lastgood-webhooks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(STOP_TIMEOUT_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._parts is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._parts.stop.set)
            self._loop.call_soon_threadsafe(self._parts.wake.set)
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        asyncio.run(self._look_for_ever())

    async def _look_for_ever(self) -> None:
        self._loop = asyncio.get_running_loop()
        parts = self._parts = _Loop()
        self._ready.set()
        while not parts.stop.is_set():
            parts.wake.clear()
            try:
                self._look(parts)
            except LastgoodError as error:  # a disk that fails for a moment must not end deliveries
                _log.warning("webhooks: %s", error.message)
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await parts.wake.wait()
            except TimeoutError:
                continue
        await self._leave(parts)

    def _look(self, parts: _Loop) -> None:
        """Start a task for each webhook that has something to look at and none that runs."""
        cursors = self._webhooks.cursors()
        for gone in parts.places.keys() - cursors.keys():
            if (place := parts.places.pop(gone)).task is not None:
                place.task.cancel()
        if not cursors:
            return
        if not self._listening:
            self._kernel.bell.subscribe(self._rung)
            self._listening = True
        head = self._kernel.head()
        for webhook_id, noted in cursors.items():
            place = parts.places.setdefault(webhook_id, _Place(noted, noted))
            place.noted = max(place.noted, noted)
            place.looked = max(place.looked, noted)
            if place.looked.seq < head and (place.task is None or place.task.done()):
                place.task = asyncio.create_task(self._catch_up(webhook_id, place, parts))

    def _rung(self, _seq: int) -> None:
        if self._loop is not None and self._parts is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._parts.wake.set)

    async def _leave(self, parts: _Loop) -> None:
        tasks = [place.task for place in parts.places.values() if place.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if parts.places:
            try:
                await asyncio.wrap_future(self._webhooks.release(owner=self._owner))
            except LastgoodError as error:
                _log.warning("webhooks: %s", error.message)

    async def _catch_up(self, webhook_id: str, place: _Place, parts: _Loop) -> None:
        try:
            while await self._tell(webhook_id, place, parts):
                pass
        except NotFound:  # deleted meanwhile
            return
        except Exception:  # a task's edge: the others go on, and this one is tried again
            _log.exception("webhook %s: delivery failed; trying again later", webhook_id)
            await asyncio.sleep(BACK_OFF_S)

    async def _tell(self, webhook_id: str, place: _Place, parts: _Loop) -> bool:
        """Deliver what one batch of operations holds; whether to go on with the next."""
        backlog = self._webhooks.backlog(webhook_id, place.looked)
        for delivery in backlog.deliveries:
            if not await self._deliver(webhook_id, delivery, parts):
                return False
            await asyncio.wrap_future(self._webhooks.told(webhook_id, delivery.then))
            place.looked = place.noted = delivery.then
        place.looked = backlog.looked
        if place.looked.seq - place.noted.seq >= NOTED_EVERY:
            await asyncio.wrap_future(self._webhooks.told(webhook_id, place.looked))
            place.noted = place.looked
        return backlog.more

    async def _deliver(self, webhook_id: str, delivery: Delivery, parts: _Loop) -> bool:
        """Try until it is delivered or given up; False if it is not for this process to tell."""
        attempts = 0
        while True:
            claimed = self._webhooks.claim(
                webhook_id, owner=self._owner, lease_ms=int(LEASE_S * 1000)
            )
            if not await asyncio.wrap_future(claimed):
                return False
            subscription = self._webhooks.get(webhook_id)  # its address may have been put right
            if not subscription.active:
                return False
            attempts += 1
            outcome = await self._attempt(subscription, delivery, parts)
            if outcome.delivered:
                return True
            age_s = (self._kernel.clock() - delivery.at_ms) / 1000
            pause = pause_before_retry(outcome, attempts=attempts, age_s=age_s)
            _note(subscription, delivery, outcome, attempts=attempts, pause=pause)
            if pause is None:
                return True
            await asyncio.sleep(pause)

    async def _attempt(
        self, subscription: Subscription, delivery: Delivery, parts: _Loop
    ) -> Outcome:
        try:
            secret = self._webhooks.secret_of(subscription.webhook_id)
        except IntegrityFailure as error:  # unsigned it must not go out
            return Outcome(error=error.message, forbidden=True)
        async with parts.sending:
            return await self._sender.send(
                subscription.url,
                delivery=delivery.delivery_id,
                body=delivery.body,
                secret=secret,
            )


def _note(
    subscription: Subscription,
    delivery: Delivery,
    outcome: Outcome,
    *,
    attempts: int,
    pause: float | None,
) -> None:
    """Log what went wrong, without the URL: it may hold a secret."""
    what = f"answered {outcome.status}" if outcome.status is not None else outcome.error
    name = f"webhook {subscription.name} ({subscription.webhook_id})"
    if pause is None:
        _log.error(
            "%s: delivery %s given up after %d attempts: %s",
            *(name, delivery.delivery_id, attempts, what),
        )
    elif attempts == 1:
        _log.warning("%s: delivery %s failed, to be repeated: %s", name, delivery.delivery_id, what)

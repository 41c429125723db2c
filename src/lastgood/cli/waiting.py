"""Waiting until every gateway serves what was ordered."""

import time
from collections.abc import Callable
from shlex import quote

from lastgood.core.ids import ModelName, RefName, VersionNumber
from lastgood.core.ports import Registry
from lastgood.core.views import LiveView, ObservedSlot
from lastgood.errors import Conflict, NotConverged

__all__ = ["behind", "wait_until_served"]

LOOK_EVERY_S = 0.1
WAIT_S_MAX = 3600.0
GONE_AFTER_MS = (
    60_000  # twelve signs of life missed: whatever it is, waiting will not bring it back
)


def wait_until_served(
    registry: Registry,
    model: ModelName,
    ref: RefName,
    version: VersionNumber | None,
    *,
    timeout_s: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> LiveView:
    """Wait until at least one gateway follows the ref and all that do serve the version.

    A gateway not heard of for a minute is not waited for; `lastgood live` goes on showing it.

    Raises:
        NotConverged: that was not so in time; the message says who is behind.
        Conflict: meanwhile somebody pointed the ref elsewhere.
    """
    deadline = clock() + min(timeout_s, WAIT_S_MAX)
    while True:
        view = next((v for v in registry.live(model) if v.ref == ref), None)
        if view is not None and view.version != version:
            raise Conflict(
                f"{model}@{ref} was pointed at {view.version or 'nothing'} by {view.operation or 'another act'} meanwhile",
                hint=f"lastgood log {quote(model)} --env {ref}",
            )
        waited_for = behind(view)
        if view is not None and not waited_for:
            return view
        if clock() >= deadline:
            raise NotConverged(
                f"The order stands, but after {timeout_s:g} s not every gateway follows it: {waited_for}",
                hint=f"lastgood live {quote(model)}",
            )
        sleep(LOOK_EVERY_S)


def behind(view: LiveView | None) -> str:
    """Which gateways do not serve what is ordered, in words; empty if all do. No gateway at all is no agreement."""
    if view is None or not view.observed:
        return "no gateway follows it"
    present = [
        slot
        for slot in view.observed
        if slot.state != "silent" or view.at_ms - slot.last_seen_ms <= GONE_AFTER_MS
    ]
    if not present:
        return "no gateway that follows it was heard of for a minute"
    return ", ".join(_slot(slot) for slot in present if not slot.agrees)


def _slot(slot: ObservedSlot) -> str:
    version = (
        f" version {slot.version}" if slot.version is not None and slot.state != "silent" else ""
    )
    detail = f" ({slot.detail})" if slot.detail else ""
    return f"{slot.gateway} on {slot.host} is {slot.state}{version}{detail}"

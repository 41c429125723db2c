"""Who answers: tenures, and the immutable table that the request path reads."""

import asyncio
from dataclasses import dataclass

from lastgood.core.ids import Digest, VersionNumber
from lastgood.core.views import Target
from lastgood.serve.receipts import TrafficMeter
from lastgood.serve.slot import Slot

__all__ = ["Router", "Table", "Tenure"]


class Tenure:
    """One stay of a version in the ref: the order that placed it and the slot that answers.

    The same slot may serve several tenures: after a rollback the version answers for a new order.
    Requests hold leases; a tenure is drained when it was replaced and its last lease is returned.
    """

    __slots__ = (
        "_idle",
        "digest",
        "headers",
        "leases",
        "meter",
        "seq",
        "slot",
        "target",
        "version",
    )

    def __init__(self, target: Target, slot: Slot, meter: TrafficMeter) -> None:
        assert target.version is not None
        assert target.digest is not None
        self.target = target
        self.version: VersionNumber = target.version
        self.digest: Digest = target.digest
        self.seq = target.seq
        self.slot = slot
        self.meter = meter
        self.leases = 0
        self._idle: asyncio.Event | None = None
        self.headers = (
            (b"x-lastgood-version", str(target.version).encode()),
            (b"x-lastgood-digest", target.digest.encode()),
        )

    def take(self) -> None:
        """Begin a request."""
        self.leases += 1
        if self._idle is not None:
            self._idle.clear()

    def give_back(self) -> None:
        """End a request."""
        self.leases -= 1
        if self.leases == 0 and self._idle is not None:
            self._idle.set()

    async def idle(self, *, timeout_s: float) -> bool:
        """Wait until no request holds a lease; False if that took too long. For tenures that were replaced."""
        if self._idle is None:
            self._idle = asyncio.Event()
            if self.leases == 0:
                self._idle.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What is served now. Replaced as a whole, never changed."""

    active: Tenure | None = None
    warm: tuple[Tenure, ...] = ()
    """Former tenures whose slots are kept running, newest first."""

    def route(self) -> Tenure | None:
        """Who answers the next request.

        The active version, also while its worker restarts: an answer from another version is worse
        than a short wait. Only when it cannot come back, a warm one; its answers say so.
        """
        active = self.active
        if active is None or not active.slot.broken:
            return active
        return next((tenure for tenure in self.warm if not tenure.slot.broken), active)

    def slot_of(self, digest: Digest) -> Slot | None:
        """The loaded slot with that version, if it can answer."""
        for tenure in self.tenures():
            if tenure.digest == digest and not tenure.slot.broken:
                return tenure.slot
        return None

    def tenures(self) -> tuple[Tenure, ...]:
        """Every tenure that the table holds."""
        return (*((self.active,) if self.active is not None else ()), *self.warm)

    def slots(self) -> frozenset[Slot]:
        """Every slot that the table holds."""
        return frozenset(tenure.slot for tenure in self.tenures())

    def with_active(self, new: Tenure, *, keep_warm: int) -> "Table":
        """The table after a swap: the former active becomes the newest warm one."""
        warm: list[Tenure] = []
        digests = {new.digest}
        for tenure in self.tenures():
            if tenure.digest not in digests and not tenure.slot.broken:
                warm.append(tenure)
                digests.add(tenure.digest)
        return Table(active=new, warm=tuple(warm[:keep_warm]))

    def with_warm(self, tenure: Tenure) -> "Table":
        """The table with one more version kept warm."""
        return Table(active=self.active, warm=(*self.warm, tenure))

    def without(self, slot: Slot) -> "Table":
        """The table without that slot among the warm ones."""
        return Table(active=self.active, warm=tuple(t for t in self.warm if t.slot is not slot))


class Router:
    """Holds the current table. The request path reads `table` once per request."""

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table = Table()

"""What requests leave behind: a bounded ring of receipts and counters per tenure.

Written by the event loop, read by the reporter's thread. Counters only grow and windows are
differences between two readings, so that neither side needs a lock.
"""

from collections import deque
from collections.abc import Iterator

from lastgood.core.ids import Digest, Instant, ModelName, RefName, VersionNumber
from lastgood.core.observations import Receipt, Traffic

__all__ = ["ReceiptRing", "TrafficMeter"]

RECEIPTS_MAX = 100_000


class ReceiptRing:
    """The newest receipts that are not sent yet. The oldest is dropped, and counted, when it is full."""

    def __init__(self, size: int = RECEIPTS_MAX) -> None:
        self._size = size
        self._ring: deque[Receipt] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._ring)

    def add(self, receipt: Receipt) -> None:
        """Keep a receipt. Never blocks."""
        if len(self._ring) >= self._size:
            self.dropped += 1
            try:
                self._ring.popleft()
            except IndexError:  # the reporter took all of them meanwhile
                self.dropped -= 1
        self._ring.append(receipt)

    def take(self, limit: int) -> tuple[Receipt, ...]:
        """Remove and return at most `limit` of the oldest."""
        return tuple(self._pop(limit))

    def _pop(self, limit: int) -> Iterator[Receipt]:
        for _ in range(limit):
            try:
                yield self._ring.popleft()
            except IndexError:
                return


class TrafficMeter:
    """Requests and failures of one tenure, cut into windows."""

    def __init__(
        self,
        *,
        model: ModelName,
        ref: RefName,
        version: VersionNumber,
        digest: Digest,
        seq: int,
        since: Instant,
    ) -> None:
        self._key = (model, ref, version, digest, seq)
        self.requests = 0
        self.failures = 0
        self._window_from = since
        self._sent = (0, 0)

    def count(self, *, failed: bool) -> None:
        """One request was answered."""
        self.requests += 1
        if failed:
            self.failures += 1

    def window(self, now: Instant) -> Traffic | None:
        """What was counted since the last window; None, and the window stays open, if nothing was."""
        # Failures first: read while the loop counts, a window must not have more failures than requests.
        failures = self.failures
        requests = self.requests
        sent_requests, sent_failures = self._sent
        if requests == sent_requests:
            return None
        model, ref, version, digest, seq = self._key
        traffic = Traffic(
            from_ms=self._window_from,
            to_ms=now,
            model=model,
            ref=ref,
            version=version,
            digest=digest,
            seq=seq,
            requests=requests - sent_requests,
            failures=failures - sent_failures,
        )
        self._sent = (requests, failures)
        self._window_from = now
        return traffic

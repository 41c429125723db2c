"""Sends what the gateway saw to the registry, from a thread of its own."""

import logging
import random
import socket
import threading
import time
from collections import deque
from dataclasses import replace

from lastgood.core.ids import GatewayId, Instant
from lastgood.core.observations import GatewayReport, Receipt, SlotEvent
from lastgood.core.ports import RegistryFeed
from lastgood.serve.receipts import ReceiptRing, TrafficMeter

__all__ = ["Reporter", "now_ms"]

REPORT_EVERY_S = 0.5
SIGN_OF_LIFE_S = 5.0
FLUSH_TIMEOUT_S = 3.0
FLUSH_RETRY_S = 0.1
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 10.0
RECEIPTS_PER_REPORT = 5000
EVENTS_PER_REPORT = 1000
EVENTS_MAX = 5000
DETAIL_LENGTH_MAX = 4000

_log = logging.getLogger(__name__)


def now_ms() -> Instant:
    """The present moment."""
    return Instant(time.time_ns() // 1_000_000)


class Reporter:
    """Batches of events, traffic and receipts. The request path only appends to memory.

    A batch that the registry did not take is sent again unchanged, with the same number, until it
    does; what happens meanwhile waits in bounded buffers.
    """

    def __init__(self, feed: RegistryFeed, *, gateway: GatewayId, url: str) -> None:
        self._feed = feed
        self._gateway = gateway
        self._url = url
        self._ring = ReceiptRing()
        self._events: deque[SlotEvent] = deque(maxlen=EVENTS_MAX)
        self._meters: list[TrafficMeter] = []
        self._closed: set[TrafficMeter] = set()
        # Time in ms: grows across restarts without a file to keep.
        self._batch = now_ms()
        self._pending: GatewayReport | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._last_sent = 0.0
        self._give_up_at = 0.0
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self.last_contact: float | None = None
        """Monotonic time of the last report that the registry took."""
        self.last_error = ""

    @property
    def dropped(self) -> int:
        """Receipts lost because the ring was full."""
        return self._ring.dropped

    @property
    def waiting(self) -> int:
        """Receipts not sent yet."""
        return len(self._ring)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def event(self, event: SlotEvent) -> None:
        """Report an event at once."""
        self._events.append(replace(event, detail=event.detail[:DETAIL_LENGTH_MAX]))
        self._wake.set()

    def receipt(self, receipt: Receipt) -> None:
        """Keep a receipt for the next batch."""
        self._ring.add(receipt)

    def watch_meter(self, meter: TrafficMeter) -> None:
        """Report its windows from now on."""
        self._meters.append(meter)

    def close_meter(self, meter: TrafficMeter) -> None:
        """Its tenure is drained: forget it once its last window is sent."""
        self._closed.add(meter)

    def stop(self, *, timeout_s: float = FLUSH_TIMEOUT_S) -> None:
        """Send what is left, for a bounded time. Blocking."""
        self._give_up_at = time.monotonic() + timeout_s
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while True:
            stopping = self._stopping.is_set()
            sent = self._send_all(stopping=stopping)
            if sent:
                backoff_s = BACKOFF_FIRST_S
                if stopping:
                    return
                self._wake.wait(REPORT_EVERY_S)
            elif stopping:
                if time.monotonic() > self._give_up_at:
                    return
                time.sleep(FLUSH_RETRY_S)
            else:
                # While the registry is away new events must not hurry the next attempt.
                self._stopping.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
                backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
            self._wake.clear()

    def _send_all(self, *, stopping: bool) -> bool:
        """Send until nothing is left; False if the registry did not take it."""
        while True:
            report = self._pending or self._next_report(stopping=stopping)
            if report is None:
                return True
            self._pending = report
            try:
                self._feed.observe(report)
            except (
                Exception
            ) as error:  # the thread's edge: reporting must outlive whatever a feed raises
                if not self.last_error:
                    _log.warning("the registry does not take reports: %s", error)
                self.last_error = str(error)
                return False
            self._pending = None
            self.last_error = ""
            self.last_contact = self._last_sent = time.monotonic()

    def _next_report(self, *, stopping: bool) -> GatewayReport | None:
        closed = tuple(self._closed)
        at = now_ms()
        windows = tuple(
            window for meter in self._meters if (window := meter.window(at)) is not None
        )
        for meter in closed:
            self._closed.discard(meter)
            if meter in self._meters:
                self._meters.remove(meter)
        events = tuple(
            self._events.popleft() for _ in range(min(len(self._events), EVENTS_PER_REPORT))
        )
        receipts = self._ring.take(RECEIPTS_PER_REPORT)
        due = time.monotonic() - self._last_sent >= SIGN_OF_LIFE_S
        if not (windows or events or receipts) and (stopping or not due):
            return None
        self._batch = Instant(self._batch + 1)
        return GatewayReport(
            gateway=self._gateway,
            host=socket.gethostname(),
            url=self._url,
            events=events,
            traffic=windows,
            receipts=receipts,
            receipts_dropped=self._ring.dropped,
            batch=self._batch,
        )

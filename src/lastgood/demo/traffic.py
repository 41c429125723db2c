"""A steady stream of requests, one customer each, over connections that stay open."""

import http.client
import json
import threading
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from lastgood.core.ids import RequestId, VersionNumber
from lastgood.demo.episode import Answer

__all__ = ["CONNECTIONS", "REQUESTS_PER_SECOND", "Traffic"]

REQUESTS_PER_SECOND = 60.0
CONNECTIONS = 24
"""Enough that the rate holds even when an answer takes four tenths of a second."""
ANSWER_TIMEOUT_S = 10.0
STREAM_MAX_S = 300.0
"""A forgotten stream ends by itself."""
BACKLOG_MAX_S = 2.0
"""After a stall, at most this much of the schedule is made up for."""


class Traffic:
    """Sends requests from `start` to `stop` and remembers every answer.

    Nothing is retried and every connection error counts: the stream sees what an application would see.
    """

    def __init__(
        self,
        url: str,
        bodies: Sequence[bytes],
        *,
        per_second: float = REQUESTS_PER_SECOND,
        connections: int = CONNECTIONS,
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._bodies = bodies
        self._interval_s = connections / per_second
        self._answers: list[Answer] = []
        self._stop = threading.Event()
        self._threads = tuple(
            threading.Thread(
                target=self._run, args=(number, connections), name=f"traffic-{number}", daemon=True
            )
            for number in range(connections)
        )

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more, and wait for the answers still under way."""
        self._stop.set()
        end = time.monotonic() + ANSWER_TIMEOUT_S + 1
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout=max(0.0, end - time.monotonic()))

    def ask(self, customer: int) -> Answer:
        """Ask about one customer, outside of the stream."""
        connection = self._connect()
        answer = self._ask(connection, customer)
        connection.close()
        return answer

    def answers(self) -> tuple[Answer, ...]:
        """All answers so far, in the order in which they came."""
        return tuple(self._answers)  # appending to a list is atomic, and so is copying one

    def _run(self, number: int, connections: int) -> None:
        connection = self._connect()
        end = time.monotonic() + STREAM_MAX_S
        due = time.monotonic() + self._interval_s * number / connections
        index = number
        while not self._stop.wait(max(0.0, due - time.monotonic())) and time.monotonic() < end:
            self._answers.append(self._ask(connection, index % len(self._bodies)))
            index += connections
            due = max(due + self._interval_s, time.monotonic() - BACKLOG_MAX_S)
        connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_TIMEOUT_S)

    def _ask(self, connection: http.client.HTTPConnection, customer: int) -> Answer:
        body = self._bodies[customer]
        sent_ms = time.time() * 1000
        try:
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return Answer(
                customer=customer,
                sent_ms=sent_ms,
                answered_ms=time.time() * 1000,
                status=0,
                error=type(error).__name__,
            )
        version = response.getheader("X-Lastgood-Version", "")
        return Answer(
            customer=customer,
            sent_ms=sent_ms,
            answered_ms=time.time() * 1000,
            status=response.status,
            version=VersionNumber(int(version)) if version.isdigit() else None,
            request_id=RequestId(response.getheader("X-Lastgood-Request-Id", "")),
            churner=_churner(content),
            error="" if response.status == 200 else content[:200].decode(errors="replace"),
        )


def _churner(content: bytes) -> bool | None:
    """The prediction in an answer; None if there is none."""
    try:
        return bool(json.loads(content)["predictions"][0])
    except (ValueError, KeyError, IndexError, TypeError):
        return None

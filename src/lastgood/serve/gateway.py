"""The gateway's HTTP side: a plain ASGI application, since every layer costs more than the routing does."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import msgspec

from lastgood.core.ids import ModelName, RefName, RequestId
from lastgood.core.observations import Receipt
from lastgood.serve.options import ServeOptions
from lastgood.serve.reporter import Reporter, now_ms
from lastgood.serve.slot import SlotBroken, WorkerDied
from lastgood.serve.table import Router, Tenure
from lastgood.serve.wire import JSON_TYPE, Reply, parse_content_type, problem, request_id

__all__ = ["Counters", "Gateway"]

OUTPUT_LENGTH_MAX = 200
RETRY_AFTER_S = 1

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_NO_VERSION = ((b"x-lastgood-version", b"none"), (b"x-lastgood-digest", b"none"))
_REQUEST_HEADS = {
    mime: msgspec.json.encode({"mime": mime}) for mime in ("application/json", "text/csv")
}


class Counters(msgspec.Struct):
    """Since the gateway started."""

    requests: int = 0
    failures: int = 0
    bad_input: int = 0
    timeouts: int = 0
    rejected: int = 0
    in_flight: int = 0
    queued_bytes: int = 0


class ClientGone(Exception):  # not an error
    """The client hung up before its request was read."""


class Gateway:
    """Answers HTTP.

    Args:
        options: Limits and names.
        router: Holds the table of who answers.
        reporter: Gets a receipt of each answer that a version gave.
        status: What `GET /status` shows.
        mlflow_version: The version of mlflow in the workers, empty until known.
    """

    def __init__(
        self,
        options: ServeOptions,
        *,
        router: Router,
        reporter: Reporter,
        status: Callable[[], dict[str, Any]],
        mlflow_version: Callable[[], str],
    ) -> None:
        self._options = options
        self._model: ModelName = options.model
        self._ref: RefName = options.ref
        self._router = router
        self._reporter = reporter
        self._status = status
        self._mlflow_version = mlflow_version
        self.counters = Counters()
        self._routes: dict[str, tuple[str, Callable[..., Awaitable[None]]]] = {
            "/invocations": ("POST", self._invocations),
            "/ping": ("GET", self._ping),
            "/health": ("GET", self._health),
            "/version": ("GET", self._version),
            "/status": ("GET", self._show_status),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        exchange = Exchange(send, request_id(headers.get(b"x-request-id")), self._router)
        route = self._routes.get(scope["path"])
        if route is None:
            await exchange.reply(Reply(status=404, body=b'{"detail":"Not Found"}'))
        elif route[0] != scope["method"]:
            await exchange.reply(Reply(status=405, body=b'{"detail":"Method Not Allowed"}'))
        else:
            try:
                await route[1](exchange, headers, receive)
            except Exception:  # the edge: a fault of ours must be an answer like any other
                _log.exception("a request to %s failed", scope["path"])
                if not exchange.begun:
                    await exchange.reply(
                        problem(500, "INTERNAL_ERROR", "The gateway failed; its log says why")
                    )

    async def _invocations(
        self, exchange: "Exchange", headers: dict[bytes, bytes], receive: Receive
    ) -> None:
        counters = self.counters
        if counters.in_flight >= self._options.in_flight_max:
            counters.rejected += 1
            await exchange.reply(_busy("too many requests wait already", close=True))
            return
        counters.in_flight += 1
        counters.requests += 1
        try:
            body = await self._read(headers, receive)
            mime = parse_content_type(headers.get(b"content-type"))
            if isinstance(body, Reply):
                await exchange.reply(body)
            elif isinstance(mime, Reply):
                await exchange.reply(mime)
            else:
                await self._answer(exchange, _REQUEST_HEADS[mime], body)
        except ClientGone:
            pass
        finally:
            counters.in_flight -= 1

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | Reply:
        limit = self._options.body_bytes_max
        too_large = problem(
            413, "INVALID_PARAMETER_VALUE", f"The request exceeds {limit:,} bytes", close=True
        )
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            return too_large
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            return too_large if len(body) > limit else body
        parts = bytearray()
        try:
            async with asyncio.timeout(self._options.request_timeout_s):
                while True:
                    if message["type"] != "http.request":
                        raise ClientGone
                    parts += message.get("body", b"")
                    if len(parts) > limit:
                        return too_large
                    if not message.get("more_body"):
                        return bytes(parts)
                    message = await receive()
        except TimeoutError:
            return problem(
                408, "BAD_REQUEST", "The request was not sent completely in time", close=True
            )

    async def _answer(self, exchange: "Exchange", head: bytes, body: bytes) -> None:
        """Route, ask the worker, answer, keep the receipt."""
        counters = self.counters
        if counters.queued_bytes + len(body) > self._options.queued_bytes_max:
            counters.rejected += 1
            await exchange.reply(_busy("too much data waits already"))
            return
        tenure = self._router.table.route()
        if tenure is None:
            counters.rejected += 1
            await exchange.reply(_busy(f"no version of {self._model}@{self._ref} is loaded yet"))
            return
        started = time.perf_counter_ns()
        counters.queued_bytes += len(body)
        tenure.take()
        try:
            answer, failed, rows = await self._ask(tenure, head, body)
            self._count(answer.status, failed=failed)
            tenure.meter.count(failed=failed)
            self._keep(exchange.request_id, tenure, answer, rows, started)
            await exchange.send(answer, tenure)
        finally:
            tenure.give_back()
            counters.queued_bytes -= len(body)

    async def _ask(self, tenure: Tenure, head: bytes, body: bytes) -> tuple[Reply, bool, int]:
        """The answer, whether the version failed, and the rows it was asked about."""
        options = self._options
        try:
            async with asyncio.timeout(options.request_timeout_s):
                answer = await tenure.slot.predict(
                    head, body, restart_wait_s=options.restart_wait_s
                )
        except TimeoutError:
            self.counters.timeouts += 1
            return (
                problem(504, "DEADLINE_EXCEEDED", "Request processing time exceeded limit"),
                True,
                0,
            )
        except SlotBroken as error:
            message = f"Version {tenure.version} cannot answer: {error}"
            return (
                problem(503, "TEMPORARILY_UNAVAILABLE", message, retry_after_s=RETRY_AFTER_S),
                True,
                0,
            )
        except WorkerDied:
            return (
                problem(500, "INTERNAL_ERROR", "The worker died while it answered, twice"),
                True,
                0,
            )
        return (
            Reply(status=answer.head.status, body=answer.body),
            answer.head.failed,
            answer.head.rows,
        )

    def _count(self, status: int, *, failed: bool) -> None:
        if failed:
            self.counters.failures += 1
        elif status >= 400:
            self.counters.bad_input += 1

    def _keep(
        self, request: RequestId, tenure: Tenure, answer: Reply, rows: int, started_ns: int
    ) -> None:
        self._reporter.receipt(
            Receipt(
                request_id=request,
                at_ms=now_ms(),
                model=self._model,
                ref=self._ref,
                version=tenure.version,
                digest=tenure.digest,
                seq=tenure.seq,
                status=answer.status,
                latency_us=(time.perf_counter_ns() - started_ns) // 1000,
                rows=rows,
                # A character takes at most four bytes.
                output=answer.body[: 4 * OUTPUT_LENGTH_MAX].decode(errors="replace")[
                    :OUTPUT_LENGTH_MAX
                ],
            )
        )

    def _serves(self) -> bool:
        tenure = self._router.table.route()
        return tenure is not None and not tenure.slot.broken

    async def _ping(
        self, exchange: "Exchange", headers: dict[bytes, bytes], receive: Receive
    ) -> None:
        await exchange.reply(Reply(status=200 if self._serves() else 503, body=b"\n"))

    async def _health(
        self, exchange: "Exchange", headers: dict[bytes, bytes], receive: Receive
    ) -> None:
        tenure = self._router.table.route()
        serves = self._serves()
        body = msgspec.json.encode(
            {
                "status": "ok" if serves else "no version serves",
                "model": self._model,
                "ref": self._ref,
                "version": tenure.version if tenure is not None else None,
                "digest": tenure.digest if tenure is not None else None,
            }
        )
        await exchange.reply(Reply(status=200 if serves else 503, body=body))

    async def _version(
        self, exchange: "Exchange", headers: dict[bytes, bytes], receive: Receive
    ) -> None:
        version = self._mlflow_version()
        if version:
            await exchange.reply(Reply(status=200, body=version.encode(), type=JSON_TYPE))
        else:
            await exchange.reply(_busy("the worker has not started yet"))

    async def _show_status(
        self, exchange: "Exchange", headers: dict[bytes, bytes], receive: Receive
    ) -> None:
        await exchange.reply(Reply(status=200, body=msgspec.json.encode(self._status())))


class Exchange:
    """One request's way back: whatever is sent carries the three headers."""

    __slots__ = ("_router", "_send", "begun", "request_id")

    def __init__(self, send: Send, request: RequestId, router: Router) -> None:
        self._send = send
        self._router = router
        self.request_id = request
        self.begun = False
        """Whether an answer is on its way already."""

    async def reply(self, answer: Reply) -> None:
        """Answer in the name of the version that would be asked now."""
        await self.send(answer, self._router.table.route())

    async def send(self, answer: Reply, tenure: Tenure | None) -> None:
        """Answer in the name of that version."""
        origin: Sequence[tuple[bytes, bytes]] = (
            tenure.headers if tenure is not None else _NO_VERSION
        )
        headers = [
            (b"content-type", answer.type),
            (b"content-length", str(len(answer.body)).encode()),
            *origin,
            (b"x-lastgood-request-id", self.request_id.encode()),
        ]
        if answer.retry_after_s is not None:
            headers.append((b"retry-after", str(answer.retry_after_s).encode()))
        if answer.close:
            headers.append((b"connection", b"close"))
        await self._send(
            {"type": "http.response.start", "status": answer.status, "headers": headers}
        )
        await self._send({"type": "http.response.body", "body": answer.body})


def _busy(message: str, *, close: bool = False) -> Reply:
    sentence = message[0].upper() + message[1:]
    return problem(
        503, "TEMPORARILY_UNAVAILABLE", sentence, retry_after_s=RETRY_AFTER_S, close=close
    )

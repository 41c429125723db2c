"""An HTTP server on a socket that is bound already: uvicorn, and the limits that a server needs towards strangers.

uvicorn bounds neither how long the head of a request may take nor how large it may be, and takes any number of
connections. What comes after the head is for the application to bound.
"""

import asyncio
import logging
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["BACKLOG", "HttpServer", "Limits", "connections_max"]

BACKLOG = 1024
HEAD_MAX = 160 * 1024  # bytes; who answers may draw the line sooner, and say so
HEADERS_MAX = 100
ADDRESS_MAX = 65_535  # bytes; the parser knows no longer ones
HEAD_TIMEOUT_S = 30.0
# Bytes of a body that wait for the application, and up to a piece of 256 KiB more; then nothing is read on. With
# uvicorn's own 64 KiB an upload stops and goes on at every piece, and takes a third longer.
BODY_AHEAD_MAX = 1 << 20

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a server takes on."""

    connections: int
    """Open at once, most of them idle; further ones are told to come back, and closed."""
    head_s: float = HEAD_TIMEOUT_S
    """For the head of a request; also how long a connection may stay idle."""
    drain_s: float
    """For what is being answered when the server stops."""


def connections_max(wanted: int, *, other_files: int) -> int:
    """As many connections as wanted, or as the system allows; its usual soft limit of 1,024 files is raised for them.

    Args:
        wanted: How many would be enough.
        other_files: Descriptors that the process may need beside them.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted + other_files
    if soft != resource.RLIM_INFINITY and soft < files:
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - other_files, soft // 2)
    return wanted


class HttpServer(uvicorn.Server):
    """Serves an application until it is stopped.

    Args:
        app: An ASGI application.
        listener: Listens already; closed in the end.
        limits: How much is taken on.
        lifespan: Whether the application wants to be told of start and end.
    """

    def __init__(
        self, app: App, listener: socket.socket, *, limits: Limits, lifespan: bool
    ) -> None:
        config = _Config(
            app,
            http=_Protocol,
            ws="none",
            loop="none",  # the one that runs
            lifespan="on" if lifespan else "off",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level=logging.WARNING,
            backlog=BACKLOG,
            timeout_keep_alive=limits.head_s,  # type: ignore[arg-type]  # it may be a fraction
            timeout_graceful_shutdown=limits.drain_s,  # type: ignore[arg-type]  # it may be a fraction
        )
        config.limits = limits
        super().__init__(config)
        self._listener = listener

    async def run_until_stopped(self) -> None:
        """Answer; returns when it was stopped and what was being answered has ended."""
        await self.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Take nothing more, finish what runs."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs this."""
        yield


class _Config(uvicorn.Config):
    limits: Limits


class _Pieces(bytearray):
    """What came of a body and was not read yet; as uvicorn keeps it, but copied only if there are several pieces."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._size = 0

    def __iadd__(self, piece: bytes) -> Self:  # type: ignore[misc, override]
        self._pieces.append(piece)
        self._size += len(piece)
        return self

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


class _Protocol(HttpToolsProtocol):
    """One connection.

    uvicorn's own alarm for idle connections stays on here until the head of the next request is complete, and not
    only until its first byte has come.
    """

    config: _Config

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        limits = self.config.limits
        self._in_head = self._feeding = False
        self._head_size = 0
        if len(self.connections) > limits.connections:
            self._refuse(
                "503 Service Unavailable",
                "Too many connections: try again soon",
                headers="retry-after: 1\r\n",
            )
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            limits.head_s, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        self._feeding = True
        try:
            super().data_received(data)
        finally:
            self._feeding = False
        if was_in_head and self._in_head:
            self._head_size += len(data)
            if self._head_size > HEAD_MAX:
                self._refuse_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > ADDRESS_MAX:
            self._refuse("414 URI Too Long", f"The address is longer than {ADDRESS_MAX:,} bytes")
            raise ValueError("address too long")  # which ends the parser's work

    def _unset_keepalive_if_required(self) -> None:
        if not self._feeding:
            super()._unset_keepalive_if_required()

    def on_message_begin(self) -> None:
        self._head_size, self._in_head = 0, True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            self._refuse_head()
            raise ValueError("too many headers")

    def on_headers_complete(self) -> None:
        self._in_head = False
        super()._unset_keepalive_if_required()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if cycle.response_complete:
            return
        if not isinstance(cycle.body, _Pieces):
            cycle.body = _Pieces()
        cycle.body += body
        if len(cycle.body) > BODY_AHEAD_MAX:
            self.flow.pause_reading()
        cycle.message_event.set()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: clients offer HTTP/2 so, and go on without it."""

    def _refuse_head(self) -> None:
        self._refuse(
            "431 Request Header Fields Too Large",
            f"A request may have {HEADERS_MAX} headers, and a head of {HEAD_MAX:,} bytes",
        )

    def _refuse(self, status: str, sentence: str, *, headers: str = "") -> None:
        """Answer at once, and hang up."""
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"content-length: {len(sentence)}\r\n{headers}connection: close\r\n\r\n"
        )
        self.transport.write((head + sentence).encode())
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():  # else it was refused already
            super().send_400_response(msg)

"""The way of a request to the native API: bounded, admitted, and handed to FastAPI.

FastAPI takes long to import. It is imported in a thread once the server listens, so that a server is
ready for its first request in a fraction of the time.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lastgood.api.admission import Admission, BodyRoom
from lastgood.api.limits import WITH_CONTENT, headers_of, read_body
from lastgood.api.pace import paced_receive, paced_send
from lastgood.errors import LastgoodError, StoreUnavailable

__all__ = ["NATIVE", "NativeDoor"]

NATIVE = "/api/v1"
BODY_BYTES_MAX = 64 * 2**20  # the manifest of 100,000 files with long paths
WATCHES = f"{NATIVE}/target/"
"""Gateways wait here for a ref to move, up to a minute each."""
OBJECTS = f"{NATIVE}/objects/"
"""Bytes stream here, in either direction and without a limit."""
MISSING = f"{OBJECTS}missing"


class NativeDoor:
    """Serves the native API.

    Args:
        make: Makes the application; called once, in a thread.
        admission: The lanes of this server.
    """

    def __init__(self, make: Callable[[], ASGIApp], admission: Admission) -> None:
        self._make = make
        self._admission = admission
        self._app: asyncio.Task[ASGIApp] | None = None
        self._watches: set[asyncio.Task[None]] = set()
        self._stopping = False

    def prepare(self) -> "asyncio.Task[ASGIApp]":
        """Begin to import it, unless that has begun."""
        if self._app is None:
            self._app = asyncio.ensure_future(run_in_threadpool(self._make))
        return self._app

    def release_watches(self) -> None:
        """End the requests that wait for something to happen, so that the server can stop at once."""
        self._stopping = True
        for watch in self._watches:
            watch.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app = await asyncio.shield(self.prepare())
        path = scope["path"]
        try:
            if path.startswith(WATCHES):
                with self._admission.watching:
                    await self._watch(app, scope, receive, send)
            elif path.startswith(OBJECTS) and path != MISSING:
                with self._admission.streaming:
                    await app(scope, paced_receive(receive), paced_send(send))
            else:
                await self._answer(app, scope, receive, send)
        except LastgoodError as error:
            await _refuse(error, scope, receive, send)
        except ClientDisconnect:  # nobody is left to read an answer
            return

    async def _answer(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        with (room := BodyRoom(self._admission)):
            # Read before there is a place among the requests in work: a body that trickles in holds none.
            if scope["method"] in WITH_CONTENT:
                headers = headers_of(scope)
                body = await read_body(headers, receive, limit=BODY_BYTES_MAX, room=room)
                receive = _replayed(body, receive)
            with self._admission.answering:
                await app(scope, receive, send)

    async def _watch(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        watch = asyncio.ensure_future(_as_coroutine(app(scope, receive, send)))
        self._watches.add(watch)
        if self._stopping:
            watch.cancel()
        try:
            await watch
        except asyncio.CancelledError:
            if not watch.cancelled():
                raise
            raise StoreUnavailable("The server is stopping", hint="try again") from None
        finally:
            self._watches.discard(watch)


async def _refuse(error: LastgoodError, scope: Scope, receive: Receive, send: Send) -> None:
    from lastgood.api.native.replies import error_reply  # imports FastAPI, as the application did

    await error_reply(error)(scope, receive, send)


def _replayed(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replaying() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replaying


async def _as_coroutine(answering: Awaitable[None]) -> None:
    await answering

"""A body that nobody read when its request is answered: refused at its head, or too large.

A connection on which such a body is still to come cannot take another request. The server behind
us hangs up then, without a word, and a client that keeps its connections sends its next request
into the void. So a small rest is read first, and of a large one the answer says that this was the
connection's last.
"""

import asyncio
from collections.abc import Mapping

from starlette.types import Message, Receive, Send

from lastgood.api.limits import LENGTH_DIGITS_MAX

__all__ = ["Body"]

REST_MAX = 65_536  # bytes that are read only to be thrown away
REST_TIMEOUT_S = 1.0

_CLOSE = (b"connection", b"close")


class Body:
    """What is still to come of a request.

    Args:
        headers: Of the request.
        receive: Where its body comes from; read it from here.
        send: Where its answer goes; send it here.
    """

    __slots__ = ("_complete", "_receive", "_send", "_small")

    def __init__(self, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
        length = headers.get(b"content-length", b"")
        announced = length.isdigit() and int(length[:LENGTH_DIGITS_MAX])
        self._complete = not announced and b"transfer-encoding" not in headers
        self._small = 0 < announced <= REST_MAX
        self._receive = receive
        self._send = send

    async def receive(self) -> Message:
        """The next of it."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._complete = True
        return message

    async def send(self, message: Message) -> None:
        """Answer; if not all of the body was read, so that the client knows what that means."""
        if not self._complete and message["type"] == "http.response.start":
            if self._small:
                await self._pass_over()
            if not self._complete:
                message = {**message, "headers": [*message["headers"], _CLOSE]}
        await self._send(message)

    async def _pass_over(self) -> None:
        try:
            async with asyncio.timeout(REST_TIMEOUT_S):
                while not self._complete:
                    await self.receive()
        except TimeoutError:
            return

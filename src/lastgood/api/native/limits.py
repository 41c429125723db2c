"""How much a client may send in one request."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LimitBody"]


class LimitBody:
    """Ends the reading of a body that is too long, whatever its headers announced.

    Args:
        app: The application.
        bytes_max: The limit.
        except_under: Addresses below this one stream their bodies and have no limit.
    """

    def __init__(self, app: ASGIApp, *, bytes_max: int, except_under: str) -> None:
        self._app = app
        self._bytes_max = bytes_max
        self._except_under = except_under

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        streams = scope["type"] != "http" or (
            scope["method"] == "PUT" and scope["path"].startswith(self._except_under)
        )
        await self._app(scope, receive if streams else self._counting(receive), send)

    def _counting(self, receive: Receive) -> Receive:
        count = 0

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > self._bytes_max:
                raise HTTPException(413, f"the request is larger than {self._bytes_max:,} bytes")
            return message

        return counted

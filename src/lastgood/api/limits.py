"""What every request must keep to, whatever it asks for: where it comes from, how much it may send.

The server has no access control yet and therefore listens on loopback only. A browser on the same
machine can still be led to it by a foreign page; the checks of Host and Origin stop that.
"""

import asyncio
import re

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from lastgood.errors import InvalidInput, Refused, TooLarge

__all__ = ["JSON_BODY_MAX", "check_came_from_here", "check_json", "header_of", "read_body"]

JSON_BODY_MAX = 16 * 2**20  # bytes
BODY_TIMEOUT_S = 60.0  # for a JSON body to arrive
_LOOPBACK_NAME = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?\Z")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})


def header_of(scope: Scope, name: bytes) -> str:
    """The first header of that lower-case name; empty if it was not sent."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""


def check_came_from_here(scope: Scope) -> None:
    """Refuse requests that a browser was led to send from elsewhere.

    Raises:
        Refused: the Host is no loopback name (DNS rebinding), or a page of another origin wants a change.
    """
    host = header_of(scope, b"host")
    if not _LOOPBACK_NAME.match(host.lower()):
        raise Refused(
            "Invalid Host header: this server answers to loopback names only",
            hint="use http://127.0.0.1 or http://localhost",
        )
    if scope["method"] in _READING:
        return
    origin = header_of(scope, b"origin")
    if origin and origin.partition("://")[2] != host:
        raise Refused(
            "Cross-origin request blocked: pages of other origins may not change anything"
        )
    if header_of(scope, b"sec-fetch-site") in {"cross-site", "same-site"}:
        raise Refused("Cross-site request blocked: pages of other sites may not change anything")


def check_json(scope: Scope) -> None:
    """Refuse a body that does not say it is JSON; a form of a web page cannot say so unasked.

    Raises:
        InvalidInput: the Content-Type is another, and there is a body.
    """
    if scope["method"] not in _WITH_CONTENT or header_of(scope, b"content-length") == "0":
        return
    kind = header_of(scope, b"content-type").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidInput("Bad Request. Content-Type must be one of ['application/json'].")


async def read_body(scope: Scope, receive: Receive, *, limit: int = JSON_BODY_MAX) -> bytes:
    """The whole body, if it is small and comes soon.

    Raises:
        TooLarge: it is, or says it is, longer than `limit` bytes; the rest is not read.
        InvalidInput: it did not arrive within a minute.
        ClientDisconnect: the client went away.
    """
    length = header_of(scope, b"content-length")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _read(receive, limit)
    except TimeoutError:
        raise InvalidInput(f"The request did not arrive within {BODY_TIMEOUT_S:g} s") from None


async def _read(receive: Receive, limit: int) -> bytes:
    message = await receive()
    if not message.get("more_body", False) and message["type"] == "http.request":
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        return body
    chunks = bytearray()
    while message["type"] == "http.request":
        chunks += message.get("body", b"")
        if len(chunks) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(chunks)
        message = await receive()
    raise ClientDisconnect


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request is larger than {limit:,} bytes", hint="send it in smaller parts")

"""What every request must keep to, whatever it asks for: where it comes from, how much it may send.

The server has no access control yet and therefore listens on loopback only. A browser on the same
machine can still be led to it by a foreign page; the checks of Host and Origin stop that.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from lastgood.api.admission import BodyRoom
from lastgood.errors import InvalidInput, Refused, TooLarge, TooSlow

__all__ = [
    "JSON_BODY_MAX",
    "LENGTH_DIGITS_MAX",
    "WITH_CONTENT",
    "BodyTooLarge",
    "check_came_from_here",
    "check_head",
    "check_json",
    "headers_of",
    "read_body",
]

JSON_BODY_MAX = 16 * 2**20  # bytes
PATH_LENGTH_MAX = 8_192  # bytes
QUERY_LENGTH_MAX = 60_000
HEADERS_LENGTH_MAX = 65_536  # of all together
LENGTH_DIGITS_MAX = 20  # of a Content-Length; more are a large number all the same
HOSTS_REMEMBERED = 64
_LOOPBACK_NAME = re.compile(rb"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?\Z")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
WITH_CONTENT = frozenset({"POST", "PUT", "PATCH"})
# Like MLflow: a PATCH may say what it likes, as `curl -d` does. No web page can send one unasked.
_SAYS_ITS_TYPE = frozenset({"POST", "PUT"})


class AddressTooLong(TooLarge):
    """The path or the query."""

    http_status = 414


class HeadersTooLarge(TooLarge):
    """All headers together."""

    http_status = 431


class BodyTooLarge(TooLarge):
    """The rest of the body will not be read."""


def check_head(scope: Scope) -> None:
    """Bound what comes before the body.

    Raises:
        AddressTooLong: the path or the query is. HeadersTooLarge: the headers are.
    """
    for what, text, most in (
        ("path", scope["raw_path"], PATH_LENGTH_MAX),
        ("query", scope["query_string"], QUERY_LENGTH_MAX),
    ):
        if len(text) > most:
            raise AddressTooLong(f"The {what} of the address is longer than {most:,} bytes")
    if sum(map(len, chain.from_iterable(scope["headers"]))) > HEADERS_LENGTH_MAX:
        raise HeadersTooLarge(f"The headers are larger than {HEADERS_LENGTH_MAX:,} bytes")


def headers_of(scope: Scope) -> Mapping[bytes, bytes]:
    """The headers by their lower-case names; of a repeated one the first."""
    return dict(reversed(scope["headers"]))


def check_came_from_here(method: str, headers: Mapping[bytes, bytes]) -> None:
    """Refuse requests that a browser was led to send from elsewhere.

    Raises:
        Refused: the Host is no loopback name (DNS rebinding), or a page of another origin asks; following a link
            from there is no harm.
    """
    host = headers.get(b"host", b"")
    if not _is_loopback(host):
        raise Refused(
            "Invalid Host header: this server answers to loopback names only",
            hint="use http://127.0.0.1 or http://localhost",
        )
    origin = headers.get(b"origin")
    if origin and origin.partition(b"://")[2] != host:
        raise Refused("Cross-origin request blocked: pages of other origins have no business here")
    if headers.get(b"sec-fetch-site") in {b"cross-site", b"same-site"} and not (
        method in _READING and headers.get(b"sec-fetch-mode") == b"navigate"
    ):
        raise Refused("Cross-site request blocked: pages of other sites have no business here")


@lru_cache(maxsize=HOSTS_REMEMBERED)
def _is_loopback(host: bytes) -> bool:
    return _LOOPBACK_NAME.match(host.lower()) is not None


def check_json(method: str, headers: Mapping[bytes, bytes]) -> None:
    """Refuse a body that does not say it is JSON; a form of a web page cannot say so unasked.

    Raises:
        InvalidInput: the Content-Type is another, and there is a body.
    """
    kind = headers.get(b"content-type", b"")
    if kind == b"application/json" or method not in _SAYS_ITS_TYPE:
        return
    if headers.get(b"content-length") == b"0":
        return
    if kind.partition(b";")[0].strip().lower() != b"application/json":
        raise InvalidInput("Bad Request. Content-Type must be one of ['application/json'].")


async def read_body(
    headers: Mapping[bytes, bytes],
    receive: Receive,
    *,
    room: BodyRoom,
    limit: int = JSON_BODY_MAX,
) -> bytes:
    """The whole body, if it is small and comes soon.

    Raises:
        BodyTooLarge: it is, or says it is, longer than `limit` bytes; the rest is not read.
        TooSlow: it did not arrive within a minute.
        Overloaded: there is no room in memory for it beside the others.
        ClientDisconnect: the client went away.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:LENGTH_DIGITS_MAX]) > limit:
        raise _too_large(limit)
    try:
        return await room.patience.wait(_read(receive, limit, room))
    except TimeoutError:
        raise TooSlow(f"The request did not arrive within {room.patience.limit_s:g} s") from None


async def _read(receive: Receive, limit: int, room: BodyRoom) -> bytes:
    message = await receive()
    if not message.get("more_body", False) and message["type"] == "http.request":
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        room.take(len(body))
        return body
    chunks = bytearray()
    while message["type"] == "http.request":
        chunks += message.get("body", b"")
        if len(chunks) > limit:
            raise _too_large(limit)
        room.take(len(message.get("body", b"")))
        if not message.get("more_body", False):
            return bytes(chunks)
        message = await receive()
    raise ClientDisconnect


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The request is larger than {limit:,} bytes", hint="send it in smaller parts"
    )

"""The wire: what is read from a request and what error answers look like. Pure."""

import re
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import uuid4

import msgspec

from lastgood.core.ids import RequestId

__all__ = ["Reply", "parse_content_type", "problem", "request_id"]

Mime = Literal["application/json", "text/csv"]
JSON_TYPE = b"application/json"
TEXT_TYPE = b"text/plain; charset=utf-8"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that the gateway gives by itself."""

    status: int
    body: bytes
    type: bytes = JSON_TYPE
    retry_after_s: int | None = None
    close: bool = False
    """The body was not read: the connection cannot carry another request."""


def problem(
    status: int, code: str, message: str, *, retry_after_s: int | None = None, close: bool = False
) -> Reply:
    """An error answer in MLflow's form."""
    body = msgspec.json.encode({"error_code": code, "message": message})
    return Reply(status=status, body=body, retry_after_s=retry_after_s, close=close)


def request_id(given: bytes | None) -> RequestId:
    """The client's own id if it is 1 to 64 of ``A-Za-z0-9._-``, else a new one."""
    if given is not None and _REQUEST_ID.match(given):
        return RequestId(given.decode())
    return RequestId(uuid4().hex)


def parse_content_type(given: bytes | None) -> Mime | Reply:
    """The media type of the input, by the rules of MLflow's server.

    One differs: without a Content-Type header that server fails with 500; the request is at fault: 400.
    """
    if given is None or not given.strip():
        return problem(
            400,
            "BAD_REQUEST",
            "The header Content-Type is missing; send application/json or text/csv",
        )
    text = given.decode("latin-1")
    mime, *parameters = (part.strip() for part in text.split(";"))
    pairs = {
        key.strip().lower(): value.strip(" \"'").lower()
        for key, _, value in (parameter.partition("=") for parameter in parameters if parameter)
    }
    if pairs.get("charset", "utf-8") not in {"utf-8", "utf8"}:
        return _unsupported("The scoring server only supports UTF-8")
    if unknown := sorted(pairs.keys() - {"charset"}):
        return _unsupported(f"Unrecognized content type parameters: {', '.join(unknown)}.")
    for known in get_args(Mime):
        if mime.lower() == known:
            return known  # type: ignore[no-any-return]  # get_args is not typed
    types = list(get_args(Mime))
    return _unsupported(
        f"This predictor only supports the following content types: Types: {types}. Got '{text[:200]}'."
    )


def _unsupported(message: str) -> Reply:
    return Reply(status=415, body=message.encode(), type=TEXT_TYPE)

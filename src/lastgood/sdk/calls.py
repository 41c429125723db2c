"""How a verb becomes a request, and an answer a value."""

import uuid
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from lastgood.core.commands import Caller
from lastgood.core.views import Outcome
from lastgood.errors import ServerUnreachable
from lastgood.sdk.transport import Transport

__all__ = ["ACT_TIMEOUT_S", "Calls", "decode", "part", "who"]

T = TypeVar("T")

ACT_TIMEOUT_S = 600.0  # a registry hashes every byte of a version before it promotes it


class Calls:
    """What the parts of the client share."""

    _http: Transport

    def _get(self, path: str, answer: type[T], **params: Any) -> T:
        return decode(self._http.call("GET", path, params=params), answer)

    def _ask(self, path: str, command: object, answer: type[T], caller: Caller | None = None) -> T:
        headers = who(caller) if caller is not None else {}
        return decode(self._http.call("POST", path, body=command, headers=headers), answer)

    def _act(self, path: str, command: object, caller: Caller) -> Outcome:
        key = caller.idempotency_key or uuid.uuid4().hex
        headers = {"idempotency-key": key, **who(caller)}
        body = self._http.call(
            "POST", path, body=command, headers=headers, answer_timeout_s=ACT_TIMEOUT_S
        )
        return decode(body, Outcome)


def who(caller: Caller) -> dict[str, str]:
    """The headers that say who calls."""
    return {
        "x-lastgood-actor": quote(caller.actor.name),
        "x-lastgood-host": quote(caller.origin.host),
        **(
            {"user-agent": quote(caller.origin.program, safe="/ ();,.+-_")}
            if caller.origin.program
            else {}
        ),
    }


def part(text: str) -> str:
    """The text as one part of an address."""
    return quote(text, safe="")


def decode(body: bytes, answer: type[T]) -> T:
    """An answer as a value.

    Raises:
        ServerUnreachable: it cannot be read.
    """
    try:
        return msgspec.json.decode(body, type=answer)
    except msgspec.MsgspecError as error:
        raise ServerUnreachable(
            f"The registry's answer cannot be read: {error}",
            hint="do server and client have the same version?",
        ) from error

"""HTTP to a registry: errors as they were raised there, bounded retries, one key per act."""

import ipaddress
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from lastgood import __version__
from lastgood.core.ids import printable
from lastgood.errors import (
    InvalidInput,
    LastgoodError,
    Overloaded,
    ServerUnreachable,
    TooLarge,
    error_class,
)

__all__ = ["RETRY_DELAYS_S", "Transport", "error_of", "unreachable"]

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
RETRY_DELAYS_S = (0.1, 0.4, 1.0)
"""A server that restarts is back within these."""
RETRY_AFTER_S_MAX = 10  # whatever a busy server says
CONNECTIONS_MAX = 16
SERVER_HINT = "is it running? start one with: lastgood server"


class _Error(msgspec.Struct):
    kind: str
    message: str
    hint: str = ""


class _ErrorBody(msgspec.Struct):
    error: _Error


class Transport:
    """One registry's address and the connections to it.

    Args:
        url: Where the registry is, for example ``http://127.0.0.1:5000``.
        headers: Sent with every request.
        retry_delays_s: Pauses before each repetition; none: never repeat.
        transport: Another way to carry requests, for example into an ASGI application.

    Raises:
        InvalidInput: the address is none.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = _checked(url)
        self._retry_delays_s = tuple(retry_delays_s)
        self._client = httpx.Client(
            base_url=f"{self.url}/api/v1/",
            headers={"user-agent": f"lastgood/{__version__}", **headers},
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            transport=transport,
            # A proxy set for the outside world must not be asked for this machine.
            trust_env=not _is_loopback(self.url),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> bytes:
        """One request, repeated if the registry was away; the caller makes sure that repeating is harmless.

        Raises:
            ServerUnreachable: no registry answers. LastgoodError: whatever the registry raised.
        """
        request = self._client.build_request(
            method,
            path,
            params={k: v for k, v in (params or {}).items() if v is not None},
            content=None if body is None else msgspec.json.encode(body),
            headers={
                **({"content-type": "application/json"} if body is not None else {}),
                **(headers or {}),
            },
            timeout=httpx.Timeout(answer_timeout_s, connect=CONNECT_TIMEOUT_S),
        )
        return self.repeat(lambda: self._send(request))

    def stream(self, path: str) -> httpx.Response:
        """A response whose body is still to be read; close it. Raises as `call`."""

        def open_stream() -> httpx.Response:
            response = self._client.send(self._client.build_request("GET", path), stream=True)
            if response.is_success:
                return response
            try:
                response.read()
                raise error_of(response, self.url)
            finally:
                response.close()

        return self.repeat(open_stream)

    def put(
        self, path: str, content: Callable[[], Any], *, repeatable: bool, answer_timeout_s: float
    ) -> None:
        """Send a body in chunks; `content` begins it anew for each repetition. Raises as `call`."""

        def send() -> bytes:
            request = self._client.build_request(
                "PUT",
                path,
                content=content(),
                timeout=httpx.Timeout(answer_timeout_s, connect=CONNECT_TIMEOUT_S),
            )
            return self._send(request)

        self.repeat(send, repeatable=repeatable)

    def _send(self, request: httpx.Request) -> bytes:
        response = self._client.send(request)
        if response.is_success:
            return response.content
        raise error_of(response, self.url)

    def repeat(self, attempt: Callable[[], T], *, repeatable: bool = True) -> T:
        """Run `attempt`; again after a lost connection or while the registry is unavailable for a moment."""
        for delay_s in self._retry_delays_s if repeatable else ():
            try:
                return attempt()
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                time.sleep(delay_s)
            except LastgoodError as error:
                if error.http_status != 503:
                    raise
                time.sleep(error.retry_after_s if isinstance(error, Overloaded) else delay_s)
            except httpx.HTTPError as error:
                raise unreachable(self.url, error) from error
        try:
            return attempt()
        except httpx.HTTPError as error:
            raise unreachable(self.url, error) from error


def error_of(response: httpx.Response, url: str) -> LastgoodError:
    """What the registry raised: the same class, message and hint. The response has been read."""
    status = response.status_code
    try:
        sent = msgspec.json.decode(response.content, type=_ErrorBody).error
    except msgspec.MsgspecError:
        if status in {502, 503, 504}:
            return ServerUnreachable(
                f"The registry at {url} is not available (HTTP {status})", hint=SERVER_HINT
            )
        if status in {413, 414, 431}:
            return TooLarge(
                f"The request is larger than the registry at {url} takes",
                hint="does the model need that many files?",
            )
        return ServerUnreachable(
            f"What answers at {url} is no lastgood registry (HTTP {status})",
            hint="check the address",
        )
    if sent.kind == Overloaded.__name__:
        return Overloaded(sent.message, hint=sent.hint, retry_after_s=_retry_after_s(response))
    return error_class(sent.kind)(sent.message, hint=sent.hint)


def _retry_after_s(response: httpx.Response) -> int:
    told = response.headers.get("retry-after", "")
    return min(int(told), RETRY_AFTER_S_MAX) if re.fullmatch(r"[0-9]{1,6}", told) else 1


def unreachable(url: str, error: httpx.HTTPError) -> ServerUnreachable:
    """In our words, with what to do."""
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return ServerUnreachable(
            f"The registry at {url} did not answer in time",
            hint="what was asked for may still have happened: lastgood log",
        )
    return ServerUnreachable(
        f"No registry answers at {url}: {printable(str(error) or type(error).__name__)}",
        hint=SERVER_HINT,
    )


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidInput(
            f"'{printable(url)}' is not the address of a registry",
            hint="for example: http://127.0.0.1:5000",
        )
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

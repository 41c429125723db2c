"""One attempt to deliver: resolve, judge, connect to what was judged, sign, send, read a little of the answer."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from lastgood.core.destinations import (
    Destination,
    Outcome,
    Reach,
    check_addresses,
    parse_destination,
)
from lastgood.core.webhooks import signature
from lastgood.errors import InvalidInput

if TYPE_CHECKING:
    import httpx

__all__ = ["Sender"]

ATTEMPT_TIMEOUT_S = 30.0  # all of one attempt, as MLflow
CONNECT_TIMEOUT_S = 10.0
RESOLVE_TIMEOUT_S = 5.0
RESOLVING_MAX = 8  # names at once; a resolver that hangs must not collect threads
ANSWER_BYTES_MAX = 16_384
ANSWER_SHOWN_MAX = 1_000  # characters


class Sender:
    """Sends signed requests to where they may go.

    Args:
        reach: The server's setting.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._resolving = threading.BoundedSemaphore(RESOLVING_MAX)
        self._tls: ssl.SSLContext | None = None

    async def check(self, url: str) -> None:
        """Refuse a URL that webhooks may not be sent to.

        Raises:
            InvalidInput: by its form, its addresses, or because its host has none.
        """
        await self._address(parse_destination(url))

    async def send(self, url: str, *, delivery: str, body: bytes, secret: str) -> Outcome:
        """Try once. Whatever goes wrong is in the outcome."""
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                return await self._send(url, _headers(delivery, body, secret), body)
        except TimeoutError:
            return Outcome(error=f"no answer within {ATTEMPT_TIMEOUT_S:g} s")
        except InvalidInput as error:
            return Outcome(error=error.message, forbidden=True)

    async def _send(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        import httpx  # costs time that only webhooks need

        destination = parse_destination(url)
        try:
            address = await self._address(destination)
        except _UnresolvedError as error:  # the name may be back soon: to be tried again
            return Outcome(error=str(error))
        host = f"[{address}]" if address.version == 6 else str(address)
        target = f"{destination.scheme}://{host}:{destination.port}{destination.target}"
        headers = {**headers, "Host": destination.authority}
        # The certificate must be the name's, although the connection goes to the address.
        named = {"sni_hostname": destination.host}
        try:
            async with (
                self._client() as client,
                client.stream(
                    "POST", target, content=body, headers=headers, extensions=named
                ) as response,
            ):
                return Outcome(
                    status=response.status_code,
                    body=await _beginning(response),
                    retry_after_s=_seconds(response.headers.get("retry-after", "")),
                )
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return Outcome(error=f"{type(error).__name__}: {error}"[:ANSWER_SHOWN_MAX])

    @asynccontextmanager
    async def _client(self) -> "AsyncIterator[httpx.AsyncClient]":
        import httpx

        if self._tls is None:
            self._tls = ssl.create_default_context()
        # A client for each attempt: a kept connection would be shared by all names of one address. No
        # proxy from the environment: it would connect to where it likes.
        async with httpx.AsyncClient(
            timeout=httpx.Timeout(ATTEMPT_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=False,
            verify=self._tls,
        ) as client:
            yield client

    async def _address(self, destination: Destination) -> Any:
        addresses = await self._resolved(destination)
        return check_addresses(destination, addresses, reach=self._reach)

    async def _resolved(self, destination: Destination) -> list[str]:
        """All addresses of the host. The resolver blocks, so it gets a thread that may be left behind."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()
        if not self._resolving.acquire(blocking=False):
            raise _UnresolvedError("too many names are being resolved")

        def settle(found: list[str], problem: OSError | UnicodeError | None) -> None:
            if answer.done():
                return
            if problem is None:
                answer.set_result(found)
            else:
                answer.set_exception(_UnresolvedError(f"{destination.host}: {problem}"))

        def resolve() -> None:
            found: list[str] = []
            problem: OSError | UnicodeError | None = None
            try:
                infos = socket.getaddrinfo(
                    destination.host, destination.port, type=socket.SOCK_STREAM
                )
                found = [str(info[4][0]) for info in infos]
            except (OSError, UnicodeError) as error:
                problem = error
            finally:
                self._resolving.release()
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, found, problem)

        threading.Thread(target=resolve, name="lastgood-resolve", daemon=True).start()
        try:
            return await asyncio.wait_for(answer, RESOLVE_TIMEOUT_S)
        except TimeoutError:
            raise _UnresolvedError(
                f"{destination.host} was not resolved within {RESOLVE_TIMEOUT_S:g} s"
            ) from None


class _UnresolvedError(InvalidInput):
    """A host has no address just now."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"Cannot resolve Webhook URL hostname: {problem}")


def _headers(delivery: str, body: bytes, secret: str) -> dict[str, str]:
    timestamp = str(int(time.time()))  # receivers refuse what was signed long ago
    headers = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "lastgood-webhook",
        "X-MLflow-Delivery-Id": delivery,
        "X-MLflow-Timestamp": timestamp,
    }
    if secret:
        signed = signature(secret, delivery=delivery, timestamp=timestamp, body=body)
        headers["X-MLflow-Signature"] = signed
    return headers


async def _beginning(response: "httpx.Response") -> str:
    found = bytearray()
    async for chunk in response.aiter_raw():
        found += chunk
        if len(found) >= ANSWER_BYTES_MAX:
            break
    return found.decode("utf-8", "replace")[:ANSWER_SHOWN_MAX]


def _seconds(header: str) -> float | None:
    return float(header) if header.isdecimal() and len(header) < 10 else None

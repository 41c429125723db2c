"""Where webhooks may be sent, and when one is sent again. Pure rules.

A webhook makes the server speak to an address that a client named. Names are resolved first and all
their addresses judged; the connection then goes to an address that was judged, never to the name.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from lastgood.core.ids import printable
from lastgood.errors import InvalidInput

__all__ = [
    "Address",
    "Destination",
    "Outcome",
    "Reach",
    "check_addresses",
    "parse_destination",
    "pause_before_retry",
]

Reach = Literal["public", "loopback", "private"]
"""How far webhooks go: public addresses by https; also this machine; or anywhere."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

URL_LENGTH_MAX = 500
DAY_S = 86_400.0
PAUSE_S_MAX = 300.0
RETRY_AFTER_S_MAX = 3_600.0
FAILURES_REPEATED_MAX = 3  # of an endpoint that is there and fails, as MLflow
_UNREACHABLE = frozenset({429, 502, 503, 504})
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A URL that webhooks may be sent to, if its addresses are allowed too."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""

    @property
    def authority(self) -> str:
        """Host and port as the Host header names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt; without a status nobody answered."""

    status: int | None = None
    body: str = ""
    """The beginning of the answer."""
    error: str = ""
    retry_after_s: float | None = None
    forbidden: bool = False
    """It was not even tried: the address is not allowed, or the secret cannot be read."""

    @property
    def delivered(self) -> bool:
        """Whether it arrived. A redirect did not: it is not followed."""
        return self.status is not None and 200 <= self.status < 300


def parse_destination(url: str) -> Destination:
    """A URL that webhooks might be sent to.

    Raises:
        InvalidInput: too long, not http or https, with credentials, without a host, or an odd spelling of
            an address, which the resolver might read otherwise than we do.
    """
    shown = printable(url, length_max=100)
    if not url.strip():
        raise InvalidInput(f"Webhook URL cannot be empty or just whitespace: '{shown}'")
    if len(url) > URL_LENGTH_MAX:
        raise InvalidInput(f"'url' exceeds the maximum length of {URL_LENGTH_MAX} characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidInput(f"Invalid Webhook URL '{shown}'") from None
    if parts.scheme not in {"http", "https"}:
        raise InvalidInput(f"Invalid Webhook URL scheme: '{printable(parts.scheme)}' in '{shown}'")
    if parts.username or parts.password:
        raise InvalidInput("Webhook URL must not include embedded credentials")
    if (
        not host
        or not url.isascii()
        or not url.isprintable()
        or any(c in url for c in ' \\"<>^`{|}')
    ):
        raise InvalidInput(f"Webhook URL must include a hostname, and only ASCII: '{shown}'")
    if ":" in host or host.replace(".", "").isdigit() or host.startswith("0x"):
        _canonical(host)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    default = 443 if parts.scheme == "https" else 80
    return Destination(scheme=parts.scheme, host=host, port=port or default, target=target)


def check_addresses(destination: Destination, addresses: Iterable[str], *, reach: Reach) -> Address:
    """The address to connect to.

    Args:
        destination: Where to.
        addresses: All that its host resolves to.
        reach: The server's setting.

    Raises:
        InvalidInput: there is none, or one of them is out of reach.
    """
    found = [ipaddress.ip_address(text.partition("%")[0]) for text in addresses]
    for address in found:
        _check_reach(destination, address, reach)
    if not found:
        raise InvalidInput(f"Cannot resolve Webhook URL hostname '{printable(destination.host)}'")
    return found[0]


def pause_before_retry(outcome: Outcome, *, attempts: int, age_s: float) -> float | None:
    """Seconds until the next attempt; None to give up.

    An endpoint that cannot be reached is tried again for a day: it is being deployed, or the network
    is down. One that answers with another failure is tried again three times: it may fail at this
    very event, and the events after it must not wait for ever. Other answers are final.

    Args:
        outcome: What became of the last attempt.
        attempts: How many there were.
        age_s: How long ago the event happened.
    """
    if outcome.delivered or outcome.forbidden:
        return None
    unreachable = outcome.status is None or outcome.status in _UNREACHABLE
    failed = outcome.status is not None and outcome.status >= 500
    if not unreachable and not (failed and attempts <= FAILURES_REPEATED_MAX):
        return None
    if unreachable and age_s > DAY_S:
        return None
    pause = min(2.0 ** min(attempts - 1, 10), PAUSE_S_MAX)
    return max(pause, min(outcome.retry_after_s or 0.0, RETRY_AFTER_S_MAX))


def _check_reach(destination: Destination, address: Address, reach: Reach) -> None:
    plain = _embedded(address)
    if plain.is_loopback:  # asked first: Python calls ::1 reserved as well
        allowed = reach != "public"
    elif plain.is_multicast or plain.is_unspecified or plain.is_reserved:
        allowed = False
    elif reach == "private":
        allowed = True
    else:
        allowed = plain.is_global and destination.scheme == "https"
    if not allowed:
        raise InvalidInput(
            f"Webhook URL must not resolve to a non-public IP address, nor use http outside of this machine: "
            f"'{printable(destination.host)}' resolves to {address}",
            hint='[webhooks] reach = "private" in config.toml allows it',
        )


def _embedded(address: Address) -> Address:
    """The IPv4 address inside of an IPv6 one that only wraps it."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inner or address
    return address


def _canonical(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise InvalidInput(
            f"Webhook URL host '{printable(host)}' is not a canonical IP address literal"
        ) from None

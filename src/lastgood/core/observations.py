"""What was seen rather than ordered: gateways, the versions they loaded, the traffic they served, receipts.

Append-only, reported by gateways, never mixed with operations.
"""

from dataclasses import dataclass
from typing import Literal

from lastgood.core.ids import (
    Digest,
    GatewayId,
    Instant,
    ModelName,
    RefName,
    RequestId,
    VersionNumber,
)

__all__ = ["GatewayReport", "Receipt", "SlotEvent", "SlotEventKind", "Traffic"]

SlotEventKind = Literal[
    "following",  # the gateway began to follow the ref
    "loading",  # it fetches, verifies and loads the version
    "loaded",  # the version answered its warm-up
    "load_failed",  # it could not be loaded or warmed up; the swap does not happen
    "serving",  # requests now go to the version
    "drained",  # its last request was answered
    "crashed",  # its worker died
    "unfollowed",  # the ref points nowhere; the gateway keeps answering with what it has
    "stopped",  # the gateway ended in good order
]

REPORT_ITEMS_MAX = 10_000
DETAIL_LENGTH_MAX = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotEvent:
    """One thing that happened to one version in one gateway."""

    at_ms: Instant
    kind: SlotEventKind
    model: ModelName
    ref: RefName
    version: VersionNumber | None = None
    digest: Digest | None = None
    seq: int = 0
    """The operation that ordered the version there."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests that one version answered in one gateway within a window of time."""

    from_ms: Instant
    to_ms: Instant
    model: ModelName
    ref: RefName
    version: VersionNumber
    digest: Digest
    seq: int
    requests: int
    failures: int
    """Requests the model failed: it raised, timed out or its worker died. Bad input is not a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What ties one answered request to version, digest, ref and operation. Holds no inputs."""

    request_id: RequestId
    at_ms: Instant
    model: ModelName
    ref: RefName
    version: VersionNumber
    digest: Digest
    seq: int
    status: int
    """HTTP status of the answer."""
    latency_us: int
    rows: int = 0
    output: str = ""
    """The beginning of the answer, at most 200 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayReport:
    """A batch from one gateway. An empty one is a sign of life."""

    gateway: GatewayId
    host: str
    url: str
    events: tuple[SlotEvent, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    receipts_dropped: int = 0
    """Receipts lost since the gateway started because its buffer was full."""
    batch: int = 0
    """Counts up per gateway, so that a repeated batch is stored once; 0 is never stored twice either way."""

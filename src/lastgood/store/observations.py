"""Observations: what gateways reported. Written in batches, never mixed with operations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import sqlalchemy as sa

from lastgood.core.ids import Digest, GatewayId, Instant, RefName, VersionNumber
from lastgood.core.observations import GatewayReport, Receipt, SlotEvent, Traffic
from lastgood.store.database import Connection
from lastgood.store.schema import gateways, receipts, slot_events, traffic
from lastgood.store.statement import Row, Statement

__all__ = [
    "EventRow",
    "GatewayRow",
    "TrafficSum",
    "events_of",
    "followed_refs",
    "gateway_rows",
    "receipt_of",
    "record",
    "traffic_sums",
]

MINUTE_MS = 60_000
RECEIPTS_KEPT = 2_000_000  # about 500 MB; the oldest go first
PRUNE_EVERY = 1_000  # receipts stored between two looks at how many there are
EVENTS_READ_MAX = 50_000
MOMENT_MAX = 2**62


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """A gateway and when it was last heard of."""

    gateway: GatewayId
    host: str
    url: str
    last_seen_ms: Instant
    last_batch: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """A slot event as stored."""

    id: int
    gateway: GatewayId
    at_ms: Instant
    kind: str
    ref: RefName
    version: VersionNumber | None
    digest: Digest | None
    seq: int
    detail: str


@dataclass(frozen=True, slots=True)
class TrafficSum:
    """All requests that one tenure answered."""

    seq: int
    version: VersionNumber
    requests: int
    failures: int
    first_ms: Instant
    last_ms: Instant


_g, _e, _t, _r = gateways.c, slot_events.c, traffic.c, receipts.c
_gateway = Statement(sa.select(_g.last_batch).where(_g.gateway == sa.bindparam("gateway")))
_update_gateway = Statement(
    gateways.update()
    .where(_g.gateway == sa.bindparam("gateway_"))
    .values(
        host=sa.bindparam("host_"),
        url=sa.bindparam("url_"),
        last_seen_ms=sa.bindparam("last_seen_"),
        last_batch=sa.bindparam("last_batch_"),
        receipts_dropped=sa.bindparam("dropped_"),
    )
)
_traffic_key = sa.and_(
    *(
        _t[name] == sa.bindparam(f"{name}_")
        for name in ("model_id", "ref", "seq", "version", "gateway", "minute_ms")
    )
)
_add_traffic = Statement(
    traffic.update()
    .where(_traffic_key)
    .values(
        requests=_t.requests + sa.bindparam("requests_"),
        failures=_t.failures + sa.bindparam("failures_"),
        last_ms=sa.case(
            (_t.last_ms < sa.bindparam("last_"), sa.bindparam("last_")), else_=_t.last_ms
        ),
        first_ms=sa.case(
            (_t.first_ms > sa.bindparam("first_"), sa.bindparam("first_")), else_=_t.first_ms
        ),
    )
)
_insert_gateway = Statement(gateways.insert())
_EVENT = ("gateway", "at_ms", "kind", "model_id", "ref", "version", "digest", "seq", "detail")
_insert_events = Statement(slot_events.insert(), _EVENT)
_insert_traffic = Statement(traffic.insert())
_RECEIPT = tuple(field.name for field in fields(Receipt))
_insert_receipts = Statement(receipts.insert(), [*_RECEIPT, "gateway"])
_known_receipt = Statement(sa.select(_r.id).where(_r.request_id == sa.bindparam("request_id")))
_newest_receipt = Statement(sa.select(sa.func.max(_r.id)))
_prune_receipts = Statement(receipts.delete().where(_r.id <= sa.bindparam("oldest")))
_gateways = Statement(sa.select(_g.gateway, _g.host, _g.url, _g.last_seen_ms, _g.last_batch))
_events_of = Statement(
    sa.select(
        _e.id,
        _e.gateway,
        _e.at_ms,
        _e.kind,
        _e.ref,
        _e.version,
        _e.digest,
        _e.seq,
        _e.detail,
    )
    .where(
        _e.model_id == sa.bindparam("model_id"),
        _e.ref == sa.bindparam("ref"),
        _e.at_ms <= sa.bindparam("until"),
    )
    .order_by(_e.id.desc())
    .limit(EVENTS_READ_MAX)
)
_followed = Statement(
    sa.select(_e.ref)
    .where(_e.model_id == sa.bindparam("model_id"), _e.kind == "following")
    .distinct()
)
_sums = Statement(
    sa.select(
        _t.seq,
        _t.version,
        # PostgreSQL's sum of BIGINT is NUMERIC, which Python gets as a Decimal.
        sa.cast(sa.func.sum(_t.requests), _t.requests.type),
        sa.cast(sa.func.sum(_t.failures), _t.failures.type),
        sa.func.min(_t.first_ms),
        sa.func.max(_t.last_ms),
    )
    .where(_t.model_id == sa.bindparam("model_id"), _t.ref == sa.bindparam("ref"))
    .group_by(_t.seq, _t.version)
)
_receipt_of = Statement(
    sa.select(_r.gateway, *(_r[name] for name in _RECEIPT)).where(
        _r.request_id == sa.bindparam("request_id")
    )
)


def record(
    tx: Connection, report: GatewayReport, *, model_ids: Mapping[str, int], now: Instant
) -> bool:
    """Store a report; False if this batch was stored before.

    Args:
        tx: A write transaction.
        report: What the gateway saw.
        model_ids: The ids of the models it names; items of other models are left out.
        now: The registry's time: a gateway's sign of life does not depend on its own clock.
    """
    known = _gateway.scalar(tx, {"gateway": report.gateway})
    if known is not None and report.batch and report.batch <= known:
        return False
    _see(tx, report, known=known, now=now)
    events = [
        _event(report.gateway, e, model_ids[e.model]) for e in report.events if e.model in model_ids
    ]
    _insert_events.run_many(tx, events)
    for item in report.traffic:
        if item.model in model_ids and item.requests > 0:
            _add(tx, report.gateway, item, model_ids[item.model])
    _store_receipts(tx, report.gateway, report.receipts)
    return True


def _see(tx: Connection, report: GatewayReport, *, known: int | None, now: Instant) -> None:
    if known is None:
        row = {
            "gateway": report.gateway,
            "host": report.host,
            "url": report.url,
            "first_seen_ms": now,
            "last_seen_ms": now,
            "last_batch": report.batch,
            "receipts_dropped": report.receipts_dropped,
        }
        _insert_gateway.run(tx, row)
        return
    values = {
        "gateway_": report.gateway,
        "host_": report.host,
        "url_": report.url,
        "last_seen_": now,
        "last_batch_": max(known, report.batch),
        "dropped_": report.receipts_dropped,
    }
    _update_gateway.run(tx, values)


def _event(gateway: GatewayId, event: SlotEvent, model_id: int) -> Row:
    return (
        gateway,
        event.at_ms,
        event.kind,
        model_id,
        event.ref,
        event.version,
        event.digest,
        event.seq,
        event.detail,
    )


def _add(tx: Connection, gateway: GatewayId, item: Traffic, model_id: int) -> None:
    key = {
        "model_id": model_id,
        "ref": item.ref,
        "seq": item.seq,
        "version": item.version,
        "gateway": gateway,
        "minute_ms": item.from_ms - item.from_ms % MINUTE_MS,
    }
    added = {
        **{f"{name}_": value for name, value in key.items()},
        "requests_": item.requests,
        "failures_": item.failures,
        "first_": item.from_ms,
        "last_": item.to_ms,
    }
    if _add_traffic.count(tx, added) == 0:
        row = {
            **key,
            "digest": item.digest,
            "first_ms": item.from_ms,
            "last_ms": item.to_ms,
            "requests": item.requests,
            "failures": item.failures,
        }
        _insert_traffic.run(tx, row)


def _store_receipts(tx: Connection, gateway: GatewayId, items: Sequence[Receipt]) -> None:
    rows: dict[str, Row] = {}
    for item in items:
        # A client may send the same request id twice; the first answer keeps it.
        if (
            item.request_id not in rows
            and _known_receipt.first(tx, {"request_id": item.request_id}) is None
        ):
            rows[item.request_id] = (*(getattr(item, name) for name in _RECEIPT), gateway)
    if not rows:
        return
    _insert_receipts.run_many(tx, list(rows.values()))
    newest = _newest_receipt.scalar(tx) or 0
    if newest // PRUNE_EVERY != (newest - len(rows)) // PRUNE_EVERY:
        _prune_receipts.run(tx, {"oldest": newest - RECEIPTS_KEPT})


def gateway_rows(connection: Connection) -> dict[GatewayId, GatewayRow]:
    """All gateways ever heard of."""
    return {row[0]: GatewayRow(*row) for row in _gateways.all(connection)}


def events_of(
    connection: Connection, model_id: int, ref: str, *, until_ms: Instant | None = None
) -> list[EventRow]:
    """What gateways did for one ref, oldest first."""
    parameters = {
        "model_id": model_id,
        "ref": ref,
        "until": MOMENT_MAX if until_ms is None else until_ms,
    }
    return [EventRow(*row) for row in reversed(_events_of.all(connection, parameters))]


def followed_refs(connection: Connection, model_id: int) -> set[RefName]:
    """The refs of the model that a gateway ever followed."""
    return {row[0] for row in _followed.all(connection, {"model_id": model_id})}


def traffic_sums(
    connection: Connection, model_id: int, ref: str
) -> dict[tuple[int, VersionNumber], TrafficSum]:
    """Requests per tenure (operation and version) of a ref, over all gateways."""
    sums = _sums.all(connection, {"model_id": model_id, "ref": ref})
    return {(row[0], row[1]): TrafficSum(*row) for row in sums}


def receipt_of(connection: Connection, request_id: str) -> tuple[GatewayId, Receipt] | None:
    """The receipt of one request and the gateway that wrote it."""
    row = _receipt_of.first(connection, {"request_id": request_id})
    if row is None:
        return None
    gateway, *values = row
    return gateway, Receipt(**dict(zip(_RECEIPT, values, strict=True)))

"""Reading what happened: log, live, why."""

from typing import Any

import msgspec

from lastgood.core.changes import RefMoved
from lastgood.core.ids import Instant, ModelName, RefName
from lastgood.core.moments import Moment
from lastgood.core.operations import Operation
from lastgood.core.references import DEFAULT_ENVIRONMENT
from lastgood.core.views import LiveView, LogEntry, WhyView
from lastgood.engine.evidence import find_last_good, observed_slots
from lastgood.engine.past import Point, existed, point_at, read_past
from lastgood.engine.resolve import model_of, version_of
from lastgood.engine.settings import Settings
from lastgood.engine.show import version_view
from lastgood.errors import NotFound
from lastgood.store import log, observations
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["live", "log_entries", "log_entry", "why"]


def log_entries(
    connection: Connection,
    *,
    model: ModelName | None,
    environment: RefName | None,
    limit: int,
    before_seq: int | None,
    at: Moment | None = None,
) -> list[LogEntry]:
    """Operations, newest first.

    Raises:
        NotFound: the model never existed.
    """
    end = point_at(connection, at).seq if at is not None else None
    if end is not None:
        before_seq = end + 1 if before_seq is None else min(before_seq, end + 1)
    operations = log.page(
        connection, model=model, ref=environment, limit=limit, before_seq=before_seq
    )
    if model is not None and not operations and (before_seq is None or at is not None):
        model_of(connection, model)
    return [log_entry(connection, operation, end=end) for operation in operations]


def log_entry(connection: Connection, operation: Operation, *, end: int | None = None) -> LogEntry:
    """An operation as history shows it; with `end`, as of the end of that position."""
    changes: list[dict[str, Any]] = [msgspec.to_builtins(change) for change in operation.changes]
    return LogEntry(
        seq=operation.seq,
        operation=operation.id,
        at_ms=operation.at_ms,
        kind=operation.kind,
        model=operation.model,
        actor=operation.actor,
        origin=operation.origin,
        reason=operation.reason,
        summary=operation.summary,
        changes=tuple(changes),
        hash=operation.hash,
        previous=operation.previous,
        active_ms=_active_ms(connection, operation, end=end),
    )


def _active_ms(connection: Connection, operation: Operation, *, end: int | None) -> int | None:
    """How long the first ref that it moved stayed there; None while it does, or did at operation `end`."""
    moved = next((c for c in operation.changes if isinstance(c, RefMoved)), None)
    model = rows.model_named(connection, operation.model) if moved else None
    if moved is None or model is None:
        return None
    following = rows.next_move(connection, model.id, moved.ref, operation.seq)
    if following is None or (end is not None and following.seq > end):
        return None
    return following.at_ms - operation.at_ms


def live(
    connection: Connection,
    settings: Settings,
    *,
    model: ModelName | None,
    at: Moment | None,
    now: Instant,
) -> list[LiveView]:
    """Ordered and observed state of every ref, now or as of a moment.

    Raises:
        NotFound: there is no such model.
    """
    point = point_at(connection, at) if at is not None else None
    if model is None or at is None or point is None or existed(connection, model, point):
        return _live(connection, settings, model=model, point=point, now=now)
    # A model that was deleted since: its refs are in the log only.
    try:
        return read_past(
            connection,
            at,
            model,
            lambda past: _live(past, settings, model=model, point=point, now=now),
        )
    except NotFound:
        model_of(connection, model)
        return []  # it was made later: nothing was live then


def _live(
    connection: Connection,
    settings: Settings,
    *,
    model: ModelName | None,
    point: Point | None,
    now: Instant,
) -> list[LiveView]:
    chosen = [model_of(connection, model)] if model is not None else rows.all_models(connection)
    views = []
    for row in chosen:
        for ref in _refs_to_show(connection, row.id):
            view = _live_of(connection, row, ref, settings, point=point, now=now)
            if view is not None:
                views.append(view)
    return views


def _refs_to_show(connection: Connection, model_id: int) -> list[RefName]:
    names = {r.ref for r in rows.refs_of(connection, model_id)} | observations.followed_refs(
        connection, model_id
    )
    return sorted(names, key=lambda name: (name != DEFAULT_ENVIRONMENT, name))


def _live_of(
    connection: Connection,
    model: rows.ModelRow,
    ref: RefName,
    settings: Settings,
    *,
    point: Point | None,
    now: Instant,
) -> LiveView | None:
    # "Now" is never before the newest operation, even when the machine's clock went back.
    moment = max(now, log.newest_ms(connection)) if point is None else point.at_ms
    seq = log.newest(connection)[0] if point is None else point.seq
    move = rows.move_up_to(connection, model.id, ref, seq)
    ordered = move.after if move else None
    observed = observed_slots(
        connection,
        model.id,
        ref,
        ordered=ordered,
        at=moment,
        past=point is not None and moment < now,
    )
    if move is None and not observed:
        return None  # neither ordered nor seen yet at that moment
    operation = log.by_seqs(connection, [move.seq]).get(move.seq) if move else None
    version = rows.version_of(connection, model.id, ordered) if ordered is not None else None
    good = (
        find_last_good(connection, model, ref, settings, current=ordered, now=now)
        if point is None
        else None
    )
    return LiveView(
        model=model.name,
        ref=ref,
        at_ms=moment,
        version=ordered,
        digest=version.digest if version else None,
        since_ms=move.at_ms if move else None,
        operation=operation.id if operation else None,
        actor=operation.actor.name if operation else "",
        reason=operation.reason if operation else "",
        observed=observed,
        last_good=good.candidate.version if good and good.candidate else None,
        agrees=all(slot.agrees for slot in observed) if observed else None,
    )


def why(connection: Connection, settings: Settings, request_id: str) -> WhyView:
    """What led to the answer of one request.

    Raises:
        NotFound: no receipt has that id.
    """
    found = observations.receipt_of(connection, request_id)
    if found is None:
        raise NotFound(
            f"No receipt for request {request_id!r}",
            hint="the id is in the answer's X-Lastgood-Request-Id header; gateways report receipts about twice a second",
        )
    gateway, receipt = found
    ordered = log.by_seqs(connection, [receipt.seq]).get(receipt.seq)
    model = rows.model_named(connection, receipt.model)
    row = rows.version_of(connection, model.id, receipt.version) if model else None
    registered = log.by_seqs(connection, [row.seq]).get(row.seq) if row else None
    return WhyView(
        request_id=receipt.request_id,
        receipt=receipt,
        gateway=gateway,
        ordered_by=log_entry(connection, ordered) if ordered else None,
        registered_by=log_entry(connection, registered) if registered else None,
        version=version_view(
            connection, model, version_of(connection, model, receipt.version), settings
        )
        if model and row
        else None,
    )

"""The operation log: append with compare-and-swap, read, verify the chain.

The only function that writes an operation is `append`; the projections follow in the same
transaction, so that no reader sees one without the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from lastgood.core.changes import ModelRenamed, decode_change
from lastgood.core.ids import Digest, Instant, ModelName, RefName
from lastgood.core.operations import (
    GENESIS,
    Act,
    Actor,
    Operation,
    Origin,
    hash_of,
    seal,
    stream_of,
)
from lastgood.errors import Conflict, IntegrityFailure, InvalidInput
from lastgood.store import projections
from lastgood.store.backend import APPENDED, KNOWN
from lastgood.store.database import Connection
from lastgood.store.schema import history, models, operation_streams, operations, ref_moves
from lastgood.store.statement import Parameters, Row, Statement, ask_all

__all__ = [
    "after",
    "append",
    "ask_before_append",
    "by_id",
    "by_idempotency_key",
    "by_seqs",
    "creation_of",
    "decode_operation",
    "every",
    "head_of",
    "models_of",
    "newest",
    "newest_ms",
    "newest_of",
    "page",
    "seq_at",
    "verify_chain",
]

IDEMPOTENCY_KEY_LENGTH_MAX = 128
PAGE_MAX = 1000
WALK_ROWS = 500

_o = operations.c
_insert = Statement(operations.insert())
_insert_streams = Statement(operation_streams.insert(), ("stream", "seq"))
_newest = Statement(sa.select(_o.seq, _o.hash, _o.at_ms).order_by(_o.seq.desc()).limit(1))
_head = Statement(
    sa.select(sa.func.max(operation_streams.c.seq)).where(
        operation_streams.c.stream == sa.bindparam("stream")
    )
)
_by_seq = Statement(sa.select(_o.body).where(_o.seq == sa.bindparam("seq")))
_newest_of = Statement(
    sa.select(sa.func.max(operation_streams.c.seq)).where(
        operation_streams.c.stream == sa.bindparam("stream"),
        operation_streams.c.seq <= sa.bindparam("up_to"),
    )
)
_by_key = Statement(sa.select(_o.body).where(_o.idempotency_key == sa.bindparam("key")))
_by_id = Statement(
    sa.select(_o.body)
    .where(_o.id >= sa.bindparam("from_"), _o.id < sa.bindparam("to_"))
    .order_by(_o.id)
    .limit(2)
)
_models_of = Statement(sa.select(history.c.model_id).where(history.c.seq == sa.bindparam("seq")))
# Times never go back along the log, so the greatest time has the greatest position.
_seq_at = Statement(
    sa.select(_o.seq)
    .where(_o.at_ms <= sa.bindparam("at"))
    .order_by(_o.at_ms.desc(), _o.seq.desc())
    .limit(1)
)
_after = Statement(
    sa.select(_o.seq, _o.id, _o.at_ms, _o.kind, _o.hash, _o.idempotency_key, _o.body)
    .where(_o.seq > sa.bindparam("after"))
    .order_by(_o.seq)
    .limit(WALK_ROWS)
)


class _Newest(NamedTuple):
    """What the next operation follows."""

    seq: int
    hash: Digest
    at_ms: int


_NONE_YET = _Newest(0, GENESIS, 0)


class _Stored(NamedTuple):
    """A row of the log."""

    seq: int
    id: str
    at_ms: int
    kind: str
    hash: str
    idempotency_key: str | None
    body: bytes


def append(
    tx: Connection,
    act: Act,
    *,
    now: Instant,
    expect: Mapping[str, int] | None = None,
    model_id: int | None = None,
) -> Operation:
    """Give the act its place in the log and apply its changes; the caller's transaction publishes both.

    Args:
        tx: A write transaction.
        act: What was decided.
        now: The machine's time; the operation never gets one before its predecessor's.
        expect: Per stream, the position of its newest operation when the decision was made.
        model_id: Of the act's model, if it was looked up in this transaction.

    Raises:
        Conflict: a stream has moved on since.
    """
    for stream, seq in (expect or {}).items():
        if (head := head_of(tx, stream)) != seq:
            raise Conflict(
                f"{stream.removeprefix('model:')} changed while you decided: operation {seq} was its newest, now it is {head}",
                hint="look at what happened (lastgood log) and decide again",
            )
    if len(act.idempotency_key) > IDEMPOTENCY_KEY_LENGTH_MAX:
        raise InvalidInput(f"An idempotency key may have {IDEMPOTENCY_KEY_LENGTH_MAX} characters")
    last = tx.info.get(KNOWN, {}).get(_Newest) or _newest_in(_newest.all(tx))
    seq = last.seq + 1
    streams = [stream_of(act.model)]
    streams += [stream_of(c.after) for c in act.changes if isinstance(c, ModelRenamed)]
    operation, body = seal(
        act,
        seq=seq,
        at_ms=Instant(max(now, last.at_ms)),
        previous=last.hash,
        streams=tuple(streams),
    )
    _insert.run(
        tx,
        {
            "seq": seq,
            "id": operation.id,
            "at_ms": operation.at_ms,
            "kind": operation.kind,
            "hash": operation.hash,
            "body": body,
            "idempotency_key": act.idempotency_key or None,
        },
    )
    _insert_streams.run_many(tx, [(stream, seq) for stream in streams])
    projections.apply(tx, operation, model_id=model_id)
    tx.info[APPENDED] = True
    if (known := tx.info.get(KNOWN)) is not None:
        known.clear()
    _remember(tx, _Newest(seq, operation.hash, operation.at_ms))
    return operation


def ask_before_append(
    tx: Connection, questions: Sequence[tuple[Statement, Parameters]]
) -> list[list[Row]]:
    """As `ask_all`; what `append` has to know of the log is asked on the same way."""
    if _Newest in tx.info.get(KNOWN, {}):
        return ask_all(tx, questions)
    *answers, newest = ask_all(tx, [*questions, (_newest, {})])
    _remember(tx, _newest_in(newest))
    return answers


def _newest_in(rows: Sequence[Row]) -> _Newest:
    return _Newest(*rows[0]) if rows else _NONE_YET


def _remember(tx: Connection, newest: _Newest) -> None:
    # Nobody else appends until the transaction ends; a connection that is not the writer's has no such place.
    if (known := tx.info.get(KNOWN)) is not None:
        known[_Newest] = newest


def head_of(connection: Connection, stream: str) -> int:
    """The position of the stream's newest operation; 0 if it has none."""
    return _head.scalar(connection, {"stream": stream}) or 0


def newest(connection: Connection) -> tuple[int, Digest]:
    """Position and hash of the newest operation of all; (0, GENESIS) for an empty log."""
    found = _newest_in(_newest.all(connection))
    return found.seq, found.hash


def newest_ms(connection: Connection) -> Instant:
    """The time of the newest operation; 0 for an empty log."""
    return Instant(_newest_in(_newest.all(connection)).at_ms)


def newest_of(connection: Connection, model: ModelName, *, up_to: int) -> int:
    """The newest position up to `up_to` of an operation on a model while it had that name; 0: there is none."""
    parameters = {"stream": stream_of(model), "up_to": up_to}
    return int(_newest_of.scalar(connection, parameters) or 0)


def by_idempotency_key(connection: Connection, key: str) -> Operation | None:
    """The operation that this key already made, if it did."""
    body = _by_key.scalar(connection, {"key": key})
    return decode_operation(body) if body is not None else None


def by_id(connection: Connection, prefix: str) -> list[Operation]:
    """The operations whose id begins so, at most two: more than one means that more digits are needed."""
    rows = _by_id.all(connection, {"from_": prefix, "to_": prefix + "g"})
    return [decode_operation(row[0]) for row in rows]


def models_of(connection: Connection, seq: int) -> list[int]:
    """The models that an operation changed, also those deleted since."""
    return [int(row[0]) for row in _models_of.all(connection, {"seq": seq})]


def seq_at(connection: Connection, at: Instant) -> int:
    """The position of the newest operation at that moment; 0: before the first."""
    return int(_seq_at.scalar(connection, {"at": at}) or 0)


def by_seqs(connection: Connection, seqs: Sequence[int]) -> dict[int, Operation]:
    """The operations at those positions."""
    if len(seqs) == 1:
        body = _by_seq.scalar(connection, {"seq": seqs[0]})
        return {seqs[0]: decode_operation(bytes(body))} if body is not None else {}
    rows = connection.execute(sa.select(_o.seq, _o.body).where(_o.seq.in_(seqs)))
    return {row.seq: decode_operation(row.body) for row in rows}


def page(
    connection: Connection,
    *,
    model: ModelName | None = None,
    ref: RefName | None = None,
    limit: int,
    before_seq: int | None = None,
) -> list[Operation]:
    """Operations, newest first; of one model, or of those that moved one ref of it."""
    query = sa.select(_o.body).order_by(_o.seq.desc()).limit(min(max(limit, 1), PAGE_MAX))
    if model is not None:
        model_id = sa.select(models.c.id).where(models.c.name == model).scalar_subquery()
        by_name = sa.select(operation_streams.c.seq).where(
            operation_streams.c.stream == stream_of(model)
        )
        by_id = sa.select(history.c.seq).where(history.c.model_id == model_id)
        query = query.where(_o.seq.in_(by_id.union(by_name)))
    if ref is not None:
        query = query.where(_o.seq.in_(sa.select(ref_moves.c.seq).where(ref_moves.c.ref == ref)))
    if before_seq is not None:
        query = query.where(_o.seq < before_seq)
    return [decode_operation(body) for body in connection.execute(query).scalars()]


def after(connection: Connection, seq: int, *, limit: int) -> list[Operation]:
    """The operations that follow on position `seq`, oldest first."""
    query = sa.select(_o.body).where(_o.seq > seq).order_by(_o.seq).limit(limit)
    return [decode_operation(bytes(body)) for body in connection.execute(query).scalars()]


def creation_of(connection: Connection, model: ModelName, *, before_seq: int) -> Operation | None:
    """The newest ``create_model`` of that name up to position `before_seq`."""
    query = (
        sa.select(_o.body)
        .join(operation_streams, operation_streams.c.seq == _o.seq)
        .where(
            operation_streams.c.stream == stream_of(model),
            _o.seq <= before_seq,
            _o.kind == "create_model",
        )
        .order_by(_o.seq.desc())
        .limit(1)
    )
    body = connection.execute(query).scalar()
    return decode_operation(bytes(body)) if body is not None else None


def every(connection: Connection) -> Iterator[Operation]:
    """All operations in log order. Raises IntegrityFailure at one that cannot be read."""
    for row in _walk(connection):
        yield decode_operation(row.body)


def decode_operation(body: bytes) -> Operation:
    """Read an operation from its stored bytes.

    Raises:
        IntegrityFailure: the bytes are not an operation.
    """
    try:
        raw: dict[str, Any] = msgspec.json.decode(body)
        # Field by field, because msgspec does not tell several dataclasses in one union apart.
        raw["changes"] = tuple(decode_change(change) for change in raw["changes"])
        raw["streams"] = tuple(raw["streams"])
        raw["actor"] = msgspec.convert(raw["actor"], Actor)
        raw["origin"] = msgspec.convert(raw["origin"], Origin)
        return Operation(**raw, hash=hash_of(body))
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise IntegrityFailure(
            f"The log holds an operation that cannot be read: {error}", hint="run: lastgood fsck"
        ) from error


def verify_chain(connection: Connection) -> Iterator[tuple[Operation | None, str]]:
    """Walk the log from its beginning; yields each operation with what is wrong with it ("" if nothing).

    Found are edited, deleted, inserted and reordered operations. A log cut at its end can only be
    told by comparing its head with one noted elsewhere.
    """
    previous, expected_seq = GENESIS, 1
    for row in _walk(connection):
        operation, flaw = _examine(row, previous, expected_seq)
        yield operation, f"operation {row.seq}: {flaw}" if flaw else ""
        previous, expected_seq = Digest(row.hash), row.seq + 1


def _walk(connection: Connection) -> "Iterator[_Stored]":
    """All rows of the log in order; never more than a few hundred are in memory."""
    after = -(2**63)
    while rows := [_Stored(*row) for row in _after.all(connection, {"after": after})]:
        yield from rows
        after = rows[-1].seq


def _examine(row: "_Stored", previous: Digest, expected_seq: int) -> tuple[Operation | None, str]:
    body = row.body
    # Judged by the bytes, before they are read: reading passes over fields it does not know.
    flaw = "" if hash_of(body) == row.hash else "its content was changed after it was written"
    try:
        operation = decode_operation(body)
    except IntegrityFailure as error:
        return None, flaw or error.message
    if flaw:
        return operation, flaw
    if row.seq != expected_seq:
        return operation, f"{expected_seq} was expected; operations are missing or out of order"
    stored = (row.seq, row.id, row.at_ms, row.kind, row.idempotency_key or "")
    o = operation
    if stored != (o.seq, o.id, o.at_ms, o.kind, o.idempotency_key):
        return operation, "its row and its body disagree"
    if operation.previous != previous:
        return operation, "it does not follow its predecessor"
    return operation, ""

"""The histories of metrics: a tail of the newest points, and chunks of those before.

The points of one metric of one run are a set: the same point again changes nothing, and they may come in any
order. They are kept in order of time. The newest are in the tail, one row; when it is full, its older part
becomes chunks. Chunks do not overlap, neither with each other nor with the tail, so that a page is read from
where it begins; a late point goes into the chunk where it belongs.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import sqlalchemy as sa

from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.lists import among, listed
from lastgood.store.schema import metric_chunks, metric_tails
from lastgood.store.statement import Row, Statement, ask_all
from lastgood.store.tracking.points import (
    Point,
    count_of,
    last_of,
    packed,
    part_of,
    span_of,
    unpacked,
)

__all__ = [
    "Outline",
    "Part",
    "Steps",
    "add_to_histories",
    "outline_of",
    "points_after",
    "points_of_parts",
]

Steps = tuple[int, int]
"""The first and the last step that are wanted."""

CHUNK_POINTS = 512  # in a chunk, and at most in a tail
CHUNKS_PER_READ = 64
_STEP = itemgetter(1)

_c, _t = metric_chunks.c, metric_tails.c
_START = (_c.at_ms, _c.step, _c.value, _c.is_nan)
_CHUNK = (
    "run_id",
    "key",
    "at_ms",
    "step",
    "value",
    "is_nan",
    "count",
    "step_min",
    "step_max",
    "in_step_order",
    "body",
)
_add_chunks = Statement(insert(metric_chunks), _CHUNK)
_tail = insert(metric_tails)
_put_tails = Statement(
    _tail.on_conflict_do_update(
        index_elements=["run_id", "key"],
        set_={"sealed": _tail.excluded.sealed, "body": _tail.excluded.body},
    ),
    ("run_id", "key", "sealed", "body"),
)
_run_id: sa.BindParameter[str] = sa.bindparam("run_id")
_key: sa.BindParameter[str] = sa.bindparam("key")
_tails_of = Statement(
    sa.select(_t.key, _t.sealed, _t.body).where(
        _t.run_id == _run_id, among(_t.key, sa.bindparam("keys"))
    )
)
_tail_of = Statement(sa.select(_t.sealed, _t.body).where(_t.run_id == _run_id, _t.key == _key))
_of_metric = (_c.run_id == _run_id, _c.key == _key)
_place = sa.tuple_(*(sa.bindparam(f"place_{c.name}", type_=c.type) for c in _START))
_outline = Statement(
    # The flag as the driver gives it: of a long history, making a bool of it costs as much as reading the row.
    sa.select(
        *_START[:3], sa.type_coerce(_c.is_nan, sa.Integer), _c.count, _c.step_min, _c.step_max
    )
    .where(
        *_of_metric,
        _c.step_min <= sa.bindparam("last_step"),
        _c.step_max >= sa.bindparam("first_step"),
    )
    .order_by(_c.step_min, *_START)
)
_from_start = sa.select(*_START, _c.body).where(*_of_metric).order_by(*_START)
_first_chunks = Statement(_from_start.limit(CHUNKS_PER_READ))
_next_chunks = Statement(_from_start.where(sa.tuple_(*_START) > _place).limit(CHUNKS_PER_READ))
_chunk_around = Statement(
    sa.select(*_START, _c.body)
    .where(*_of_metric, sa.tuple_(*_START) <= _place)
    .order_by(*(column.desc() for column in _START))
    .limit(1)
)
_start_after = Statement(
    sa.select(*_START).where(*_of_metric, sa.tuple_(*_START) > _place).order_by(*_START).limit(1)
)
_exactly = tuple(c == sa.bindparam(f"place_{c.name}") for c in _START)
# PostgreSQL has no `substr` for the numbers as they are bound.
_span = (sa.cast(sa.bindparam(name), sa.Integer) for name in ("first_byte", "byte_count"))
_part = Statement(
    sa.select(
        _c.in_step_order,
        sa.case((_c.in_step_order, sa.func.substr(_c.body, *_span)), else_=_c.body),
    ).where(*_of_metric, *_exactly)
)
# SQLAlchemy keeps the names of columns for itself in what deletes.
_remove = Statement(metric_chunks.delete().where(*_of_metric, *_exactly))


class Outline(NamedTuple):
    """A chunk without its points."""

    at_ms: int
    step: int
    value: float
    is_nan: int
    size: int
    step_min: int
    step_max: int


class Part(NamedTuple):
    """Some points of a chunk, by their places in the order of steps; within a step, of time."""

    chunk: Outline
    first: int
    end: int


def add_to_histories(tx: Connection, run_id: str, found: Mapping[str, list[Point]]) -> None:
    """Add points of metrics of a run, given by key and in any order; those that are there already stay."""
    bound = {"run_id": run_id, "keys": listed(tx, list(found))}
    tails = {key: (sealed, body) for key, sealed, body in _tails_of.all(tx, bound)}
    chunks: list[Row] = []
    rows: list[Row] = []
    for key, points in found.items():
        if not points:
            continue
        points.sort()
        sealed, body = tails.get(key, (0, b""))
        if not body or points[0] > last_of(body):
            body += packed(point for point, _ in groupby(points))
        else:
            late, body = _merged(unpacked(body), points, has_chunks=sealed > 0)
            sealed += _add_late(tx, run_id, key, late)
        if count_of(body) > CHUNK_POINTS:
            full, body = _split(body)
            chunks += [_chunk_row(run_id, key, piece) for piece in full]
            sealed += len(full) * CHUNK_POINTS
        rows.append((run_id, key, sealed, body))
    _add_chunks.run_many(tx, chunks)
    _put_tails.run_many(tx, rows)


def _merged(
    tail: Sequence[Point], points: Sequence[Point], *, has_chunks: bool
) -> tuple[Sequence[Point], bytes]:
    """Those points that belong before the tail, and the tail with the others."""
    first = bisect_left(points, tail[0]) if has_chunks else 0
    return points[:first], packed(sorted({*tail, *points[first:]}))


def _split(body: bytes) -> tuple[list[bytes], bytes]:
    """The older points of a tail that is too long, as full chunks, and what stays: at least one."""
    end = (count_of(body) - 1) // CHUNK_POINTS * CHUNK_POINTS
    full = [part_of(body, i, i + CHUNK_POINTS) for i in range(0, end, CHUNK_POINTS)]
    return full, part_of(body, end)


def _add_late(tx: Connection, run_id: str, key: str, points: Sequence[Point]) -> int:
    """Add sorted points to chunks that are there; how many were new."""
    of_metric: dict[str, object] = {"run_id": run_id, "key": key}
    new = 0
    while points:
        around = _chunk_around.first(tx, of_metric | _placed(points[0]))
        # Before the first chunk there is none around it: then it is the first that grows.
        *start, body = around or _first_chunks.first(tx, of_metric)  # type: ignore[misc]  # there are chunks
        following = _start_after.first(tx, of_metric | _placed(_point(start)))
        end = bisect_left(points, _point(following)) if following else len(points)
        known = unpacked(body)
        merged = sorted({*known, *points[:end]})
        if len(merged) > len(known):
            _remove.run(tx, of_metric | _placed(_point(start)))
            size = CHUNK_POINTS if len(merged) <= CHUNK_POINTS else CHUNK_POINTS // 2
            pieces = [merged[i : i + size] for i in range(0, len(merged), size)]
            _add_chunks.run_many(tx, [_chunk_row(run_id, key, packed(piece)) for piece in pieces])
        new += len(merged) - len(known)
        points = points[end:]
    return new


def points_after(
    connection: Connection, run_id: str, key: str, after: Point | None
) -> Iterator[Point]:
    """The points of a history behind a place, in order of time; read as they are taken."""
    of_metric: dict[str, object] = {"run_id": run_id, "key": key}
    tail = _tail_of.first(connection, of_metric)
    if tail is None:
        return
    sealed, body = tail
    newest = unpacked(body)
    if sealed and (after is None or after < newest[0]):
        yield from _from_chunks(connection, of_metric, after)
    yield from newest if after is None else (point for point in newest if point > after)


def _from_chunks(
    connection: Connection, of_metric: dict[str, object], after: Point | None
) -> Iterator[Point]:
    place = after
    if after is not None:
        around = _chunk_around.first(connection, of_metric | _placed(after))
        if around is not None:
            yield from (point for point in unpacked(around[-1]) if point > after)
    while True:
        if place is None:
            rows = _first_chunks.all(connection, of_metric)
        else:
            rows = _next_chunks.all(connection, of_metric | _placed(place))
        for *start, body in rows:
            yield from unpacked(body)
            place = _point(start)
        if len(rows) < CHUNKS_PER_READ:
            return


def outline_of(
    connection: Connection, run_id: str, key: str, *, steps: Steps
) -> tuple[list[Row], Sequence[Point]]:
    """Of a history, the chunks that can hold some of the steps, in order of their least steps and of time, and the tail.

    Returns:
        What makes an `Outline` of each chunk, of which there may be many thousands, and all points of the tail.
    """
    of_metric: dict[str, object] = {"run_id": run_id, "key": key}
    tail = _tail_of.first(connection, of_metric)
    if tail is None:
        return [], ()
    sealed, body = tail
    first, last = steps
    asked = of_metric | {"first_step": first, "last_step": last}
    return _outline.all(connection, asked) if sealed else [], unpacked(body)


def points_of_parts(
    connection: Connection, run_id: str, key: str, parts: Sequence[Part]
) -> Iterator[Sequence[Point]]:
    """The points of each part, in order of steps; read as they are taken, and where nothing has to be sorted they alone."""
    of_metric: dict[str, object] = {"run_id": run_id, "key": key}
    for i in range(0, len(parts), CHUNKS_PER_READ):
        some = parts[i : i + CHUNKS_PER_READ]
        answers = ask_all(connection, [(_part, of_metric | _spanned(part)) for part in some])
        for (_, first, end), ((in_step_order, body),) in zip(some, answers, strict=True):
            points = unpacked(body)
            yield points if in_step_order else sorted(points, key=_STEP)[first:end]


def _spanned(part: Part) -> dict[str, object]:
    first, count = span_of(part.first, part.end)
    return _placed(_point(part.chunk)) | {"first_byte": first, "byte_count": count}


def _chunk_row(run_id: str, key: str, body: bytes) -> Row:
    points = unpacked(body)
    steps = [point[1] for point in points]
    ordered = sorted(steps)
    return (
        run_id,
        key,
        *points[0],
        len(points),
        ordered[0],
        ordered[-1],
        steps == ordered,
        body,
    )


def _placed(point: Point) -> dict[str, object]:
    at_ms, step, value, is_nan = point
    return {
        "place_at_ms": at_ms,
        "place_step": step,
        "place_value": value,
        "place_is_nan": is_nan,
    }


def _point(row: Sequence[object]) -> Point:
    at_ms, step, value, is_nan, *_ = row
    return at_ms, step, value, is_nan  # type: ignore[return-value]  # as the columns say

"""Points of a metric as they are stored: many in one value, each of 25 bytes.

A point is ``(at_ms, step, value, is_nan)``, and points are ordered by that. NaN is a flag beside the value
0, because it has no place in an order and SQLite makes NULL of it. SQLite's columns know no -0.0, which has no place
of its own in an order either: it is 0.0 everywhere.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import starmap
from typing import Any

from lastgood.core.tracking import Metric

__all__ = [
    "Point",
    "as_metric",
    "as_point",
    "count_of",
    "last_of",
    "packed",
    "part_of",
    "span_of",
    "unpacked",
]

Point = tuple[int, int, float, bool]

_POINT = struct.Struct("<qqd?")  # little-endian, whatever the machine: a database may move
_NAN = float("nan")


def as_point(at_ms: int, step: int, value: float) -> Point:
    """The point of these numbers; zero has no sign."""
    return (at_ms, step, value + 0.0, False) if value == value else (at_ms, step, 0.0, True)  # noqa: PLR0124 - only NaN differs from itself; five times as quick as asking math


def as_metric(key: str, point: Sequence[Any]) -> Metric:
    """The same, as tracking knows it."""
    at_ms, step, value, is_nan = point
    return Metric(key, _NAN if is_nan else value, at_ms, step)


def packed(points: Iterable[Point]) -> bytes:
    """Points as one value."""
    return b"".join(starmap(_POINT.pack, points))


def unpacked(body: bytes) -> Sequence[Point]:
    """The points of a value, in its order."""
    return list(_POINT.iter_unpack(body))


def part_of(body: bytes, start: int, end: int | None = None) -> bytes:
    """Some of the points of a value, by their places in it."""
    return body[start * _POINT.size : None if end is None else end * _POINT.size]


def span_of(start: int, end: int) -> tuple[int, int]:
    """Where those points are in a value, as SQL's ``substr`` takes it: the first byte, counted from 1, and how many."""
    return start * _POINT.size + 1, (end - start) * _POINT.size


def last_of(body: bytes) -> Point:
    """The last point of a value that is not empty."""
    point: Point = _POINT.unpack_from(body, len(body) - _POINT.size)
    return point


def count_of(body: bytes) -> int:
    """How many points a value holds."""
    return len(body) // _POINT.size

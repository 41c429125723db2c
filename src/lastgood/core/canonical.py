"""Canonical JSON (RFC 8785): what digests are computed over."""

import math
from typing import Any

import msgspec
import rfc8785

__all__ = ["canonical", "portable_number"]


_INTEGER_MAX = 2**53 - 1  # what every reader of JSON can hold
_sorted = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> bytes:
    """The value as canonical JSON: the same bytes on every machine and in every language."""
    # Each operation is encoded so, in the writer's thread; the general encoder takes ten times as long.
    return _sorted.encode(value) if _is_plain(value) else rfc8785.dumps(value)


def _is_plain(value: Any) -> bool:
    """Whether sorting keys is all there is to it: no floats, no large integers, no keys to be sorted by UTF-16."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_INTEGER_MAX <= value <= _INTEGER_MAX)
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                return False
            if type(item) is not str and not _is_plain(item):  # most are texts
                return False
        return True
    return kind in {list, tuple} and all(map(_is_plain, value))


def portable_number(value: float) -> float | str:
    """A metric as JSON can carry it: NaN and infinities become the strings MLflow uses for them."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value

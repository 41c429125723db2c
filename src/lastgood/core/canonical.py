"""Canonical JSON (RFC 8785): what digests are computed over."""

import math
from typing import Any

import rfc8785

__all__ = ["canonical", "portable_number"]


def canonical(value: Any) -> bytes:
    """The value as canonical JSON: the same bytes on every machine and in every language."""
    return rfc8785.dumps(value)


def portable_number(value: float) -> float | str:
    """A metric as JSON can carry it: NaN and infinities become the strings MLflow uses for them."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value

"""Canonical JSON (RFC 8785) and what is hashed over it."""

import hashlib
import math
from typing import Any

import rfc8785

from lastgood.core.ids import Digest, digest_of_hex

__all__ = ["canonical", "canonical_digest", "portable_number"]


def canonical(value: Any) -> bytes:
    """The value as canonical JSON: the same bytes on every machine and in every language."""
    return rfc8785.dumps(value)


def canonical_digest(value: Any) -> Digest:
    """SHA-256 over the canonical JSON of the value."""
    return digest_of_hex(hashlib.sha256(canonical(value)).hexdigest())


def portable_number(value: float) -> float | str:
    """A metric as JSON can carry it: NaN and infinities become the strings MLflow uses for them."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value

"""Page tokens: where a search stopped, tied to the search that it belongs to."""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Sequence

from lastgood.errors import InvalidInput
from lastgood.store.tracking.keyset import Scalar

__all__ = ["decode_token", "encode_token"]

TOKEN_LENGTH_MAX = 50_000  # a sort value may be a parameter of 6,000 characters
_FINGERPRINT_DIGITS = 16


def encode_token(last: Sequence[Scalar], *, search: Sequence[object]) -> str:
    """The token that goes on after the row with those sort values; empty if there is no more.

    Args:
        last: What the search returned.
        search: Everything that says which rows in which order.
    """
    if not last:
        return ""
    text = json.dumps({"after": list(last), "of": _fingerprint(search)})
    return base64.urlsafe_b64encode(text.encode()).decode()


def decode_token(token: str, *, search: Sequence[object]) -> list[Scalar]:
    """The sort values in a token; none for an empty token.

    Raises:
        InvalidInput: no token of ours, or one of another search.
    """
    if not token:
        return []
    problem = InvalidInput("Invalid page token", hint="use the token that the same search returned")
    if len(token) > TOKEN_LENGTH_MAX:
        raise problem
    try:
        found = json.loads(base64.urlsafe_b64decode(token))
        after, of = found["after"], found["of"]
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError):
        raise problem from None
    if (
        of != _fingerprint(search)
        or not isinstance(after, list)
        or not after
        or not all(map(_is_scalar, after))
    ):
        raise problem
    return after


def _is_scalar(value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, str) or (isinstance(value, float) and not math.isnan(value))


def _fingerprint(search: Sequence[object]) -> str:
    text = json.dumps(search, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_FINGERPRINT_DIGITS]

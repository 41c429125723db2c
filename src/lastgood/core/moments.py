"""Moments: a time by the clock, or the end of an operation."""

import re

from lastgood.core.ids import Instant, OperationId, printable
from lastgood.core.references import parse_instant
from lastgood.errors import InvalidReference

__all__ = ["Moment", "moment_from_wire", "parse_moment", "parse_operation_id"]

Moment = Instant | OperationId
"""When: all operations up to that instant, or up to and with that operation."""

_OPERATION = re.compile(r"op-[0-9a-f]{4,16}\Z")
_MILLISECONDS = re.compile(r"[0-9]{1,15}\Z")


def parse_operation_id(text: str) -> OperationId:
    """An operation, by its id or an unambiguous beginning.

    Raises:
        InvalidReference: the text is neither.
    """
    if not _OPERATION.match(text.strip()):
        raise InvalidReference(
            f"'{printable(text)}' is not an operation",
            hint="an operation is op- and 4 to 16 hexadecimal digits, as lastgood log shows them",
        )
    return OperationId(text.strip())


def parse_moment(text: str, *, now: Instant) -> Moment:
    """A moment as people write it: `parse_instant`'s forms, or an operation.

    Raises:
        InvalidReference: the text is none of them.
    """
    if text.strip().startswith("op-"):
        return parse_operation_id(text)
    return parse_instant(text, now=now)


def moment_from_wire(text: str | int) -> Moment:
    """A moment as the API carries it: milliseconds since 1970, or an operation.

    Raises:
        InvalidReference: the text is neither.
    """
    if _MILLISECONDS.match(str(text)):
        return Instant(int(text))
    return parse_operation_id(str(text))

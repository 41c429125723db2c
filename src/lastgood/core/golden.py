"""Golden answers: what a version answered in its load test, as an object keeps it, and whether it still does."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from lastgood.core.comparison import first_different_answer
from lastgood.errors import IntegrityFailure

__all__ = ["Golden", "Tolerance", "decode_golden"]

GOLDEN_SCHEMA = 1
GOLDEN_SIZE_MAX = 16 * 2**20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Within which two numbers are the same answer."""

    relative: float = 1e-6
    absolute: float = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """The answers of one version to its input example."""

    schema: int = GOLDEN_SCHEMA
    input: str
    """The file among the model's own that was asked."""
    answers: Any
    deterministic: bool = True
    """Whether it answered the same each time; else there is nothing to compare later."""
    tolerance: Tolerance = field(default_factory=Tolerance)

    def encode(self) -> bytes | None:
        """The bytes of the object that keeps them; None if they are too large to be kept."""
        body = msgspec.json.encode(self)
        return body if len(body) <= GOLDEN_SIZE_MAX else None

    def difference(self, answers: Any) -> str:
        """Where other answers differ first, in words; empty if they are the same within the tolerance."""
        # As an object keeps them: NaN and infinities are null there.
        kept = msgspec.json.decode(msgspec.json.encode(answers))
        return first_different_answer(
            self.answers, kept, self.tolerance.relative, absolute=self.tolerance.absolute
        )


def decode_golden(body: bytes) -> Golden:
    """Read the object of a load test.

    Raises:
        IntegrityFailure: it holds no golden answers, or more than are ever kept.
    """
    if len(body) > GOLDEN_SIZE_MAX:
        raise IntegrityFailure("The golden answers are too large to be compared")
    try:
        return msgspec.json.decode(body, type=Golden)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise IntegrityFailure(f"The golden answers cannot be read: {error}") from error

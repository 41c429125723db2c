"""The clock, so that rules get the time as an argument and tests can set it."""

import time
from collections.abc import Callable

from lastgood.core.ids import Instant

__all__ = ["Clock", "system_clock"]

Clock = Callable[[], Instant]


def system_clock() -> Instant:
    """Now, by this machine's clock."""
    return Instant(time.time_ns() // 1_000_000)

"""Spans of time as people write them in a policy: ``90s``, ``30m``, ``6h``, ``14d``."""

import re

__all__ = ["parse_duration_s"]

_DURATION = re.compile(r"(?P<n>[0-9]{1,9})(?P<unit>[smhd])\Z")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration_s(text: str) -> int:
    """The span in seconds.

    Raises:
        ValueError: not a whole number followed by s, m, h or d.
    """
    found = _DURATION.match(text.strip())
    if found is None:
        raise ValueError(f"'{text[:40]}' is not a span of time; write 90s, 30m, 6h or 14d")
    return int(found["n"]) * _UNIT_S[found["unit"]]

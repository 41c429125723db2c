"""Comparing the packages of a version with those of the interpreter that runs it."""

import re
from collections.abc import Mapping, Sequence

__all__ = ["differences", "pinned"]

NAMED_MAX = 20

_PIN = re.compile(
    r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;,#]+)\s*(?:[;#].*)?\Z"
)


def pinned(lines: Sequence[str]) -> dict[str, str]:
    """Package and version of each requirement line that names exactly one version."""
    matches = (_PIN.match(line) for line in lines)
    return {match[1]: match[2] for match in matches if match}


def differences(
    recorded: Mapping[str, str], installed: Mapping[str, str | None]
) -> tuple[str, ...]:
    """Each package that differs, in words, at most twenty and then how many more."""
    found = [
        f"{name} {installed.get(name) or 'is missing'} (recorded: {version})"
        for name, version in sorted(recorded.items())
        if installed.get(name) != version
    ]
    more = len(found) - NAMED_MAX
    return (*found[:NAMED_MAX], *([f"and {more} more"] if more > 0 else []))

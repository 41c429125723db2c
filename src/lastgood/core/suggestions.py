"""What somebody probably meant by a name that does not exist."""

import difflib
from collections.abc import Iterable

__all__ = ["suggestion"]


def suggestion(given: str, known: Iterable[str]) -> str:
    """The nearest known name as a question to append to an error; empty if none is near."""
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f" - did you mean `{near[0]}`?" if near else ""

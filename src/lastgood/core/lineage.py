"""What lineage can be asked about: a version, or something that versions are made from."""

import re
from dataclasses import dataclass
from typing import Literal

from lastgood.core.ids import printable
from lastgood.errors import InvalidReference

__all__ = ["Ingredient", "parse_ingredient"]

_INGREDIENT = re.compile(r"(?P<kind>data|commit|run):(?P<value>[\w:+./=-]{4,500})\Z")


@dataclass(frozen=True, slots=True)
class Ingredient:
    """Data, a commit or a run, by the beginning of its digest or id."""

    kind: Literal["data", "commit", "run"]
    value: str


def parse_ingredient(text: str) -> Ingredient | None:
    """``data:DIGEST``, ``commit:SHA`` or ``run:ID``; None: the text is something else, a reference perhaps.

    Raises:
        InvalidReference: what follows the colon is too short, or no digest or id.
    """
    kind, colon, _ = text.partition(":")
    if not colon or kind not in {"data", "commit", "run"}:
        return None
    found = _INGREDIENT.match(text)
    if found is None:
        raise InvalidReference(
            f"'{printable(text)}' names no {kind}",
            hint="give at least 4 characters of its digest or id, as lastgood show prints it",
        )
    return Ingredient(found["kind"], found["value"])  # type: ignore[arg-type]  # the pattern has no others

"""Filter and ordering expressions of MLflow's searches, as values."""

from dataclasses import dataclass

__all__ = ["Clause", "Order"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison; a filter is the conjunction of its clauses."""

    target: str
    """attribute, metric, param, tag or dataset."""
    key: str
    operator: str
    """=, !=, <, <=, >, >=, LIKE, ILIKE, IN, NOT IN, IS NULL, IS NOT NULL."""
    value: str | float | tuple[str, ...] | None
    position: int
    """Where the clause begins in the text, from 0, for error messages."""
    written: str = ""
    """The number as the text has it; empty if the value is none."""


@dataclass(frozen=True, slots=True)
class Order:
    """One key to sort by."""

    target: str
    key: str
    ascending: bool
    position: int = 0

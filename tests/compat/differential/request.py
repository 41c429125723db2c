"""One request to MLflow's protocol, and how requests are put together."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from differential.values import at_most_one_in

__all__ = ["ARTIFACTS", "JSON", "PREFIX", "Call", "call", "fields", "named"]

JSON = "application/json"
PREFIX = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    fields: dict[str, Any] = field(default_factory=dict)
    raw: str | None = None
    """The body as it is, instead of the fields."""
    content_type: str = JSON
    in_query: bool = False
    doubled: tuple[str, Any] | None = None
    """A field that the body names a second time, with another value, before the others."""
    twists: tuple[str, ...] = ()
    """What was done to make it unusual."""

    def __repr__(self) -> str:
        sent = self.fields if self.raw is None else self.raw
        text = f"{self.method} {self.path.removeprefix(PREFIX)} {sent!r}"
        return text + (f"  # {', '.join(self.twists)}" if self.twists else "")


def named(
    kind: str, *, unknown: str, others: tuple[str, ...] = ("", "x", "0")
) -> st.SearchStrategy[str]:
    known = st.integers(0, 2).map(lambda i: f"⟦{kind}:{i}⟧")
    return at_most_one_in(12, st.sampled_from([unknown, *others]), known)


def fields(
    required: dict[str, st.SearchStrategy], **optional: st.SearchStrategy
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


def call(method: str, path: str, sent: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy:
    full = path if path.startswith(("/api/", "/ajax-api/")) else PREFIX + path
    return sent.map(lambda found: Call(method, full, found, in_query=method == "GET"))

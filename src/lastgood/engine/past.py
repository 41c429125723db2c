"""Reads as of a moment: which operations count, which model is meant, and the read itself on the state as it was."""

from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import TypeVar

from lastgood.core.ids import Instant, ModelName, OperationId, printable
from lastgood.core.moments import Moment, parse_operation_id
from lastgood.core.operations import Operation
from lastgood.core.references import ByRun, parse_reference
from lastgood.errors import InvalidReference, NotFound
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store.database import Connection
from lastgood.store.past import as_of

__all__ = [
    "Point",
    "existed",
    "model_meant",
    "operation_named",
    "point_at",
    "read_models_at",
    "read_past",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Point:
    """A moment in the log: its last operation then, and the time."""

    seq: int
    at_ms: Instant


def operation_named(connection: Connection, name: OperationId) -> Operation:
    """The operation whose id begins so.

    Raises:
        NotFound: there is none. InvalidReference: there are several.
    """
    found = log.by_id(connection, parse_operation_id(name))
    if not found:
        raise NotFound(f"There is no operation {name}", hint="lastgood log shows them")
    if len(found) > 1:
        raise InvalidReference(f"{name} fits several operations", hint="give more digits")
    return found[0]


def point_at(connection: Connection, moment: Moment) -> Point:
    """Where a moment is in the log. Raises NotFound, InvalidReference for an operation."""
    if isinstance(moment, int):
        return Point(log.seq_at(connection, moment), moment)
    operation = operation_named(connection, moment)
    return Point(operation.seq, operation.at_ms)


def read_models_at(connection: Connection, moment: Moment, query: Callable[[Connection], T]) -> T:
    """A read over all models as they were."""
    point = point_at(connection, moment)
    with as_of(connection, seq=point.seq, until_ms=point.at_ms) as past:
        return query(past)


def read_past(
    connection: Connection,
    moment: Moment | None,
    model: ModelName,
    query: Callable[[Connection], T],
) -> T:
    """A read over one model, now or as it was: today's model of that name, or else the one that had it then.

    Raises:
        NotFound: there was none.
    """
    if moment is None:
        return query(connection)
    point = point_at(connection, moment)
    model_id = _model_id(connection, model, point)
    with as_of(
        connection, seq=point.seq, until_ms=point.at_ms, model_id=model_id, called=model
    ) as past:
        if rows.model_by_id(past, model_id) is None:
            raise _did_not_exist(model)
        return query(past)


def model_meant(connection: Connection, reference: str, *, now: Instant) -> ModelName:
    """The model that a reference is about. Raises InvalidReference, NotFound."""
    parsed = parse_reference(reference, now=now)
    if not isinstance(parsed, ByRun):
        return parsed.model
    for name, _ in rows.versions_from_run(connection, parsed.run):
        return name
    raise NotFound(
        f"No version was registered from run {printable(parsed.run)}",
        hint="name the version by its model",
    )


def existed(connection: Connection, name: ModelName, point: Point) -> bool:
    """Whether today's model of that name was there already at that point."""
    today = rows.model_named(connection, name)
    return today is not None and today.id <= point.seq


def _model_id(connection: Connection, name: ModelName, point: Point) -> int:
    today = rows.model_named(connection, name)
    if today is not None and today.id <= point.seq:
        return today.id
    seq = log.newest_of(connection, name, up_to=point.seq)
    found = log.models_of(connection, seq) if seq else []
    if not found:
        raise _did_not_exist(name)
    return found[0]


def _did_not_exist(name: ModelName) -> NotFound:
    return NotFound(
        f"There was no model {printable(name)} at that moment",
        hint=f"lastgood log {quote(name)} shows when it was made",
    )

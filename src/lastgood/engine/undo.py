"""Restore, revert, undo and redo: from the log and the state as it is to a plan with its changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from lastgood.core.changes import Change, HoldPlaced, HoldReleased, RefMoved
from lastgood.core.commands import Caller, Restore, Revert, Undo
from lastgood.core.ids import REGISTRY, Digest, Instant, ModelName, RefName, VersionNumber
from lastgood.core.moves import RefFact, check_hold, check_yanked
from lastgood.core.operations import Operation, OperationKind, stream_of
from lastgood.core.undoing import State, Thing, restored, reverted, things_of, to_redo, to_undo
from lastgood.core.views import ModelPlan
from lastgood.engine.past import operation_named, point_at
from lastgood.engine.promote import describe, hold_facts, mark_facts
from lastgood.engine.resolve import model_of
from lastgood.errors import Irreversible, NotFound, Unverified
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["PlannedMoves", "plan_restore", "plan_revert", "plan_undo"]

LOOKED_BACK_MAX = (
    10_000  # operations among which a caller's own, or a hold's beginning, are looked for
)
_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMoves:
    """A plan with the changes that carry it out."""

    kind: OperationKind
    plan: ModelPlan
    changes: tuple[Change, ...]
    targets: tuple[tuple[VersionNumber, Digest], ...]
    """The versions that refs will point to, whose bytes must be right."""


def plan_restore(connection: Connection, command: Restore, *, now: Instant) -> PlannedMoves:
    """What restoring would do.

    Raises:
        NotFound: no such model, operation or version. Irreversible: the model did not exist then.
        Held, Yanked, Unverified: of a version that a ref would point to.
    """
    model = model_of(connection, command.model)
    seq = point_at(connection, command.at).seq
    if seq < model.id:
        raise Irreversible(
            f"{model.name} did not exist yet at that moment",
            hint=f"lastgood log {quote(model.name)} shows when it was made",
        )
    refs = {r.ref: r for r in rows.refs_of(connection, model.id)}
    moves = {name: rows.move_up_to(connection, model.id, name, seq) for name in refs}
    changes = restored(
        model.name,
        wanted={name: move.after for name, move in moves.items() if move is not None},
        refs={name: RefFact(name, r.version, r.alias) for name, r in refs.items()},
        stages={v.version: v.stage for v in rows.versions_of(connection, model.id)},
    )
    then = log.by_seqs(connection, [seq]).get(seq)
    return _planned(
        connection,
        "restore",
        model,
        changes,
        about=then,
        release_hold=command.release_hold,
        now=now,
    )


def plan_revert(connection: Connection, command: Revert, *, now: Instant) -> PlannedMoves:
    """What taking an operation back would do.

    Raises:
        NotFound, InvalidReference: the operation. Irreversible: as `core.undoing.reverted`.
        Held, Yanked, Unverified: of a version that a ref would point to.
    """
    operation = operation_named(connection, command.operation)
    return _take_back(connection, "revert", operation, release_hold=command.release_hold, now=now)


def plan_undo(
    connection: Connection, command: Undo, *, caller: Caller, now: Instant
) -> PlannedMoves:
    """What undo or redo would do for this caller.

    Raises:
        NotFound: there is nothing to undo or redo. Otherwise as `plan_revert`.
    """
    model = model_of(connection, command.model).name if command.model is not None else None
    own = _own_operations(connection, caller.actor.name, model)
    chosen = to_redo(own) if command.redo else to_undo(own)
    if chosen is None:
        where = f" of {model}" if model is not None else ""
        what = "undo to take back" if command.redo else "operation that moved a ref"
        raise NotFound(
            f"{caller.actor.name} has no {what} here{where}",
            hint="any operation can be taken back by name: lastgood revert OPERATION",
        )
    kind: OperationKind = "redo" if command.redo else "undo"
    return _take_back(connection, kind, chosen, release_hold=command.release_hold, now=now)


def _own_operations(
    connection: Connection, actor: str, model: ModelName | None
) -> Iterator[Operation]:
    return (one for one in _before(connection, model, None) if one.actor.name == actor)


def _before(
    connection: Connection, model: ModelName | None, seq: int | None
) -> Iterator[Operation]:
    """Operations before a position, newest first; at most so many."""
    for _ in range(LOOKED_BACK_MAX // _PAGE):
        page = log.page(connection, model=model, limit=_PAGE, before_seq=seq)
        yield from page
        if len(page) < _PAGE:
            return
        seq = page[-1].seq


def _take_back(
    connection: Connection,
    kind: OperationKind,
    operation: Operation,
    *,
    release_hold: bool,
    now: Instant,
) -> PlannedMoves:
    model = _model_changed(connection, operation)
    versions = rows.versions_of(connection, model.id)
    changes = reverted(
        operation,
        model=model.name,
        state=_state(connection, model, things_of(operation), versions),
        versions={v.version for v in versions},
        holds=_placed(connection, operation),
        lapsed=[
            Thing("hold", hold.environment, hold.version)
            for hold in rows.holds_of(connection, model.id)
            if not hold.counts_at(now)
        ],
    )
    return _planned(
        connection, kind, model, changes, about=operation, release_hold=release_hold, now=now
    )


def _placed(connection: Connection, operation: Operation) -> dict[Thing, HoldPlaced]:
    """How the holds that an operation released had been placed."""
    wanted = {
        Thing("hold", c.environment, c.version)
        for c in operation.changes
        if isinstance(c, HoldReleased)
    }
    found: dict[Thing, HoldPlaced] = {}
    earlier = _before(connection, operation.model, operation.seq) if wanted else iter(())
    for one in earlier:
        for change in one.changes:
            if isinstance(change, HoldPlaced):
                found.setdefault(Thing("hold", change.environment, change.version), change)
        if wanted <= found.keys():
            break
    return {thing: found[thing] for thing in wanted & found.keys()}


def _model_changed(connection: Connection, operation: Operation) -> rows.ModelRow:
    for model_id in log.models_of(connection, operation.seq):
        if (model := rows.model_by_id(connection, model_id)) is not None:
            return model
    if operation.model == REGISTRY:
        raise Irreversible(
            f"{operation.id} cannot be taken back: it is of the registry as a whole",
            hint=f"put a policy in force (lastgood policy show --at {operation.id} shows it), or pause and resume",
        )
    raise Irreversible(f"{operation.id} cannot be taken back: {operation.model} was deleted since")


def _state(
    connection: Connection,
    model: rows.ModelRow,
    things: tuple[Thing, ...],
    versions: list[rows.VersionRow],
) -> State:
    by_number = {v.version: v for v in versions}
    held = {(h.environment, h.version) for h in rows.holds_of(connection, model.id)}
    marks = {(m.environment, m.version): m.value for m in rows.marks_of(connection, model.id)}

    def now(thing: Thing) -> object:
        row = by_number.get(thing.version) if thing.version is not None else None
        match thing.kind:
            case "ref":
                ref = rows.ref_of(connection, model.id, thing.name)
                return ref.version if ref else None
            case "stage":
                return row.stage if row else None
            case "hold":
                return (thing.name, thing.version) in held
            case "mark":
                return marks.get((RefName(thing.name), row.version), "none") if row else None
            case "tag":
                tags = (
                    rows.tags_of_model(connection, model.id)
                    if thing.version is None
                    else rows.tags_of_version(connection, model.id, thing.version)
                )
                return tags.get(thing.name)
            case "description":
                return model.description if thing.version is None else row and row.description

    return {thing: now(thing) for thing in things}


def _planned(
    connection: Connection,
    kind: OperationKind,
    model: rows.ModelRow,
    changes: tuple[Change, ...],
    *,
    about: Operation | None,
    release_hold: bool,
    now: Instant,
) -> PlannedMoves:
    targets, released = _targets(connection, model, changes, release_hold=release_hold, now=now)
    changes = (*released, *changes)
    return PlannedMoves(
        kind=kind,
        plan=ModelPlan(
            model=model.name,
            head=log.head_of(connection, stream_of(model.name)),
            effects=tuple(words for change in changes if (words := describe(change))),
            operation=about.id if about else None,
            about=about.summary if about else "",
            already=not changes,
        ),
        changes=changes,
        targets=targets,
    )


def _targets(
    connection: Connection,
    model: rows.ModelRow,
    changes: tuple[Change, ...],
    *,
    release_hold: bool,
    now: Instant,
) -> tuple[tuple[tuple[VersionNumber, Digest], ...], tuple[HoldReleased, ...]]:
    """The versions that refs will point to, checked as a promotion checks them; and holds to release."""
    holds = hold_facts(connection, model.id, now=now)
    marks = mark_facts(connection, model.id)
    freed = {(c.version, c.environment) for c in changes if isinstance(c, HoldReleased)}
    targets: dict[VersionNumber, Digest] = {}
    released: list[HoldReleased] = []
    for change in changes:
        if not isinstance(change, RefMoved) or change.after in {None, change.before}:
            continue
        number, where = VersionNumber(change.after or 0), change.ref
        check_yanked(model.name, number, where, marks)
        if (number, where) not in freed:
            if not release_hold:
                check_hold(model.name, number, where, holds)
            elif any(h.version == number and h.environment == where for h in holds):
                released.append(HoldReleased(model=model.name, version=number, environment=where))
        row = rows.version_of(connection, model.id, number)
        if row is None or row.digest is None:
            raise Unverified(
                f"{model.name}/{number} is external: nothing can be promised about its bytes",
                hint="move the ref through MLflow, which does not check them",
            )
        targets[number] = row.digest
    return tuple(targets.items()), tuple(released)

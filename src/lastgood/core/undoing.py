"""Taking an operation back: from what it changed and how things are now, to the changes that undo it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Literal

from lastgood.core.changes import (
    Change,
    DescriptionSet,
    EnvironmentPaused,
    EvidenceRecorded,
    HoldPlaced,
    HoldReleased,
    MarkSet,
    ModelCreated,
    ModelDeleted,
    ModelRenamed,
    NumbersUsed,
    PolicyRefused,
    PolicySet,
    RefMoved,
    StageChanged,
    TagSet,
    TimesKept,
    VerdictsRecorded,
    VersionDeleted,
    VersionRegistered,
)
from lastgood.core.ids import ModelName, OperationId, RefName, VersionNumber
from lastgood.core.moves import RefFact, VersionFact, leave_empty, move_to
from lastgood.core.operations import Operation
from lastgood.core.stages import Stage, stage_of_ref
from lastgood.errors import Irreversible, NotFound

__all__ = ["State", "Thing", "ThingKind", "restored", "reverted", "things_of", "to_redo", "to_undo"]

ThingKind = Literal["ref", "stage", "hold", "mark", "tag", "description"]


@dataclass(frozen=True, slots=True)
class Thing:
    """Something of a model that changes: a ref, or what is said of a version or of the model."""

    kind: ThingKind
    name: str = ""
    """The ref, the environment of a hold or mark, or the key of a tag."""
    version: VersionNumber | None = None

    def __str__(self) -> str:
        """In words."""
        where = f" of version {self.version}" if self.version is not None else ""
        match self.kind:
            case "ref":
                return self.name
            case "hold" | "mark":
                return f"the {self.kind}{where} in {self.name}"
            case "tag":
                return f"tag {self.name}{where}"
            case _:
                return f"the {self.kind}{where}"


State = Mapping[Thing, object]
"""How things are now: a version number, a stage, a text, whether there is a hold; None where there is none."""


@dataclass(frozen=True, slots=True)
class _Step:
    thing: Thing
    before: object
    after: object
    inverse: Change


_NEVER: dict[type[Change], str] = {
    ModelCreated: "it made the model; delete the model instead",
    ModelRenamed: "it renamed the model; rename it again instead",
    ModelDeleted: "it deleted the model; its versions can only be registered again",
    PolicySet: "it set the policy; to follow the earlier one again: lastgood policy apply",
    PolicyRefused: "it is a refusal: nothing was changed",
    EnvironmentPaused: "it paused or resumed an environment; lastgood pause and resume do that",
    EvidenceRecorded: "it recorded what was found out; record it anew instead",
    NumbersUsed: "it brought a model over from another registry; delete the model instead",
    TimesKept: "it brought a record over from another registry, with the times it had",
    VersionRegistered: "it made a version, and versions stay; to withdraw it: lastgood yank",
    VersionDeleted: "it deleted a version; its files can only be registered again",
}


def things_of(operation: Operation) -> tuple[Thing, ...]:
    """What an operation changed, each once.

    Raises:
        Irreversible: it changed something that cannot be put back.
    """
    return tuple(
        dict.fromkeys(_step(operation.id, change).thing for change in _that_stay(operation))
    )


def reverted(
    operation: Operation,
    *,
    model: ModelName,
    state: State,
    versions: Collection[VersionNumber],
    holds: Mapping[Thing, HoldPlaced] | None = None,
    lapsed: Collection[Thing] = (),
) -> tuple[Change, ...]:
    """The changes that put everything back to what it was before the operation.

    Args:
        operation: What is taken back.
        model: What its model is called now.
        state: How each of `things_of` is now.
        versions: Those that exist.
        holds: For holds that the operation released: how they were placed, with owner, expiry and data.
        lapsed: Holds that are there but have expired: they are in nobody's way, whichever way they are to go.

    Raises:
        Irreversible: something else is not as the operation left it, or cannot be put back.
    """
    now, open_ = dict(state), set(lapsed)
    changes: list[Change] = []
    for change in reversed(_that_stay(operation)):
        step = _step(operation.id, change)
        named = step.thing.version if step.thing.kind != "ref" else step.before
        if named is not None and named not in versions:
            raise Irreversible(
                f"{operation.id} cannot be taken back: version {named} of {model} was deleted since",
                hint=f"lastgood log {quote(model)} shows what happened",
            )
        if step.thing not in open_ and now.get(step.thing) != step.after:
            raise Irreversible(
                f"{operation.id} cannot be taken back: it left {step.thing} as {_words(step.after)}, "
                f"which is {_words(now.get(step.thing))} now",
                hint=f"take back what came after it first; lastgood log {quote(model)} shows it",
            )
        now[step.thing] = step.before
        open_.discard(step.thing)
        inverse = (holds or {}).get(step.thing, step.inverse)
        changes.append(replace(inverse, model=model))
    # Refs first, as everywhere: they are what people look for.
    return tuple(sorted(changes, key=lambda change: not isinstance(change, RefMoved)))


def restored(
    model: ModelName,
    *,
    wanted: Mapping[RefName, VersionNumber | None],
    refs: Mapping[RefName, RefFact],
    stages: Mapping[VersionNumber, Stage],
) -> tuple[Change, ...]:
    """The changes that point every ref where it is wanted; stage labels follow production and staging.

    Args:
        model: The model.
        wanted: Where each ref pointed; a ref that is not named pointed nowhere.
        refs: The refs as they are.
        stages: The stage label of every version that exists.

    Raises:
        NotFound: a version that a ref pointed to was deleted since.
    """
    labels = dict(stages)
    changes: list[Change] = []
    for name in sorted(wanted.keys() | refs.keys()):
        target, ref = wanted.get(name), refs.get(name) or RefFact(name, None, alias=False)
        if target == ref.version:
            continue
        if target is not None and target not in labels:
            raise NotFound(
                f"{model}@{name} pointed to version {target} then, which was deleted since",
                hint=f"lastgood list {quote(model)} shows the versions there are",
            )
        stage = stage_of_ref(name)
        labelled = [
            VersionFact(v, s) for v, s in labels.items() if stage is not None and s is stage
        ]
        moved = (
            move_to(model, VersionFact(target, labels[target]), ref=ref, labelled=labelled)
            if target is not None
            else leave_empty(model, ref=ref, labelled=labelled)
        )
        for change in moved:
            if isinstance(change, StageChanged):
                labels[change.version] = change.after
        changes += moved
    return tuple(changes)


def to_undo(newest_first: Iterable[Operation]) -> Operation | None:
    """Of one caller's operations: the last that moved a ref and was not taken back."""
    gone: set[OperationId] = set()
    for operation in newest_first:
        if operation.id in gone:
            continue
        if operation.kind in {"undo", "redo"}:
            if operation.restores is not None:
                gone.add(operation.restores)
        elif _moves(operation.changes):
            return operation
    return None


def to_redo(newest_first: Iterable[Operation]) -> Operation | None:
    """Of one caller's operations: the last undo, if no other act of theirs moved a ref since."""
    gone: set[OperationId] = set()
    for operation in newest_first:
        if operation.id in gone:
            continue
        if operation.kind == "undo":
            return operation
        if operation.kind == "redo":
            if operation.restores is not None:
                gone.add(operation.restores)
        elif _moves(operation.changes):
            return None
    return None


def _that_stay(operation: Operation) -> tuple[Change, ...]:
    """All changes but what the gates said: that is history, and nothing to put back."""
    return tuple(c for c in operation.changes if not isinstance(c, VerdictsRecorded))


def _moves(changes: Sequence[Change]) -> bool:
    return any(isinstance(c, RefMoved) and c.before != c.after for c in changes)


def _step(operation: OperationId, change: Change) -> _Step:  # noqa: PLR0911  # one case per kind
    m = change.model
    match change:
        case RefMoved(ref=ref, before=before, after=after, alias=alias):
            # An alias set where nothing was goes away again; one that was unset comes back as it was.
            was_alias = not alias if before == after else alias or stage_of_ref(ref) is None
            back = RefMoved(
                model=m, ref=ref, before=after, after=before, alias=was_alias and before is not None
            )
            return _Step(Thing("ref", ref), before, after, back)
        case StageChanged(version=v, before=before, after=after):
            return _Step(
                Thing("stage", version=v),
                before,
                after,
                replace(change, before=after, after=before),
            )
        case HoldPlaced(version=v, environment=e):
            released = HoldReleased(model=m, version=v, environment=e)
            return _Step(Thing("hold", e, v), False, True, released)
        case HoldReleased(version=v, environment=e):
            placed = HoldPlaced(model=m, version=v, environment=e)
            return _Step(Thing("hold", e, v), True, False, placed)
        case MarkSet(version=v, environment=e, before=before, after=after):
            return _Step(
                Thing("mark", e, v), before, after, replace(change, before=after, after=before)
            )
        case TagSet(version=v, key=key, before=before, after=after):
            return _Step(
                Thing("tag", key, v), before, after, replace(change, before=after, after=before)
            )
        case DescriptionSet(version=v, before=before, after=after):
            return _Step(
                Thing("description", version=v),
                before,
                after,
                replace(change, before=after, after=before),
            )
        case _:
            why = _NEVER.get(type(change), "what it changed is not undone this way")
            raise Irreversible(f"{operation} cannot be taken back: {why}")


def _words(value: object) -> str:
    match value:
        case None | "none":
            return "nothing"
        case bool():
            return "there" if value else "gone"
        case Stage():
            return value.value
        case int():
            return f"version {value}"
        case _:
            return f"'{value}'"

"""The rules by which refs and stage labels move: state in, changes out."""

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote

from lastgood.core.changes import Change, HoldPlaced, HoldReleased, RefMoved, StageChanged
from lastgood.core.ids import ModelName, RefName, VersionNumber
from lastgood.core.references import ANY_ENVIRONMENT
from lastgood.core.stages import Stage, ref_of_stage, stage_of_ref
from lastgood.errors import Held, InvalidInput, Yanked

__all__ = [
    "HoldFact",
    "MarkFact",
    "RefFact",
    "VersionFact",
    "check_hold",
    "check_yanked",
    "leave_empty",
    "move_to",
    "roll_back",
    "transition",
]


@dataclass(frozen=True, slots=True)
class VersionFact:
    """A version and its stage label."""

    version: VersionNumber
    stage: Stage


@dataclass(frozen=True, slots=True)
class RefFact:
    """Where a ref points, and whether MLflow clients see it as an alias."""

    ref: RefName
    version: VersionNumber | None
    alias: bool


@dataclass(frozen=True, slots=True)
class HoldFact:
    """A hold on a version in an environment, who placed it and why."""

    version: VersionNumber
    environment: RefName
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class MarkFact:
    """A person's judgement of a version in an environment, who it was and why."""

    version: VersionNumber
    environment: RefName
    value: str
    actor: str
    reason: str


def check_hold(
    model: ModelName, version: VersionNumber, environment: RefName, holds: Iterable[HoldFact]
) -> None:
    """Refuse to point an environment at a version that is held there.

    Raises:
        Held: names who holds it, why, and how to release the hold.
    """
    for hold in holds:
        if hold.version == version and hold.environment == environment:
            why = f": {hold.reason}" if hold.reason else ""
            raise Held(
                f"{model}/{version} is on hold in {environment}, placed by {hold.actor}{why}",
                hint=f"to promote it all the same: lastgood promote {quote(f'{model}/{version}')} --to {environment} --release-hold --reason '...'",
            )


def check_yanked(
    model: ModelName, version: VersionNumber, environment: RefName, marks: Iterable[MarkFact]
) -> None:
    """Refuse to point an environment at a version that was yanked there, or everywhere.

    Raises:
        Yanked: names who withdrew it, why, and how to promote it all the same.
    """
    for mark in marks:
        if (
            mark.value == "yanked"
            and mark.version == version
            and mark.environment in {environment, ANY_ENVIRONMENT}
        ):
            why = f": {mark.reason}" if mark.reason else ""
            raise Yanked(
                f"{model}/{version} was yanked by {mark.actor}{why}",
                hint=f"to promote it all the same: lastgood promote {quote(f'{model}/{version}')} --to {environment} --allow-yanked --reason '...'",
            )


def move_to(
    model: ModelName, target: VersionFact, *, ref: RefFact, labelled: Iterable[VersionFact]
) -> tuple[Change, ...]:
    """Point a ref at a version; for `production` and `staging` the stage labels follow.

    Args:
        model: The model.
        target: The version to point at.
        ref: The ref as it is.
        labelled: The versions that carry the ref's stage label now; all but the target are archived.
    """
    changes: list[Change] = []
    stage = stage_of_ref(ref.ref)
    if ref.version != target.version:
        changes.append(
            RefMoved(
                model=model,
                ref=ref.ref,
                before=ref.version,
                after=target.version,
                alias=ref.alias or stage is None,
            )
        )
    if stage is not None:
        changes += [
            StageChanged(
                model=model, version=other.version, before=other.stage, after=Stage.ARCHIVED
            )
            for other in labelled
            if other.version != target.version
        ]
        if target.stage is not stage:
            changes.append(
                StageChanged(model=model, version=target.version, before=target.stage, after=stage)
            )
    return tuple(changes)


def roll_back(
    model: ModelName,
    target: VersionFact,
    *,
    ref: RefFact,
    labelled: Iterable[VersionFact],
    holds: Iterable[HoldFact],
) -> tuple[Change, ...]:
    """Return a ref to an earlier version: as `move_to`, and a hold on what is removed, in one operation.

    A hold on the target is released: whoever names a held version for a rollback has decided.
    """
    changes = list(move_to(model, target, ref=ref, labelled=labelled))
    held = {(h.version, h.environment) for h in holds}
    if (target.version, ref.ref) in held:
        changes.append(HoldReleased(model=model, version=target.version, environment=ref.ref))
    removed = ref.version
    if removed is not None and removed != target.version and (removed, ref.ref) not in held:
        changes.append(HoldPlaced(model=model, version=removed, environment=ref.ref))
    return tuple(changes)


def leave_empty(
    model: ModelName, *, ref: RefFact, labelled: Iterable[VersionFact]
) -> tuple[Change, ...]:
    """Point a ref at nothing; the versions with its stage label are archived."""
    changes: list[Change] = []
    if ref.version is not None:
        changes.append(
            RefMoved(model=model, ref=ref.ref, before=ref.version, after=None, alias=ref.alias)
        )
    changes += [
        StageChanged(model=model, version=fact.version, before=fact.stage, after=Stage.ARCHIVED)
        for fact in labelled
    ]
    return tuple(changes)


def transition(
    model: ModelName,
    version: VersionFact,
    *,
    to: Stage,
    archive_existing: bool,
    labelled: Iterable[VersionFact],
    refs: Iterable[RefFact],
) -> tuple[Change, ...]:
    """MLflow's stage transition, on our nouns.

    Moving a version to Production or Staging moves the ref of that name to it; moving the version
    that such a ref points to into Archived or None unsets the ref.

    Args:
        model: The model.
        version: The version that moves.
        to: Its new stage.
        archive_existing: Whether the other versions of that stage are archived.
        labelled: The versions that carry the label `to` now.
        refs: The refs of the model.

    Raises:
        InvalidInput: `archive_existing` with a stage other than Staging or Production.
    """
    ref = ref_of_stage(to)
    if archive_existing and ref is None:
        raise InvalidInput(
            f"Model version transition cannot archive existing model versions because '{to.value}' is not an Active stage. "
            "Valid stages are Staging, Production"
        )
    known = {fact.ref: fact for fact in refs}
    changes: list[Change] = []
    if ref is not None:
        now = known.get(ref) or RefFact(ref, None, alias=False)
        if now.version != version.version:
            changes.append(
                RefMoved(
                    model=model, ref=ref, before=now.version, after=version.version, alias=now.alias
                )
            )
    else:
        changes += [
            RefMoved(model=model, ref=fact.ref, before=fact.version, after=None, alias=fact.alias)
            for fact in known.values()
            if fact.version == version.version and stage_of_ref(fact.ref) is not None
        ]
    if archive_existing:
        changes += [
            StageChanged(
                model=model, version=other.version, before=other.stage, after=Stage.ARCHIVED
            )
            for other in labelled
            if other.version != version.version
        ]
    if version.stage is not to:
        changes.append(
            StageChanged(model=model, version=version.version, before=version.stage, after=to)
        )
    return tuple(changes)

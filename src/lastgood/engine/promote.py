"""Promote and roll back: one operation each, planned by the same code that `--plan` shows."""

from dataclasses import dataclass, replace
from shlex import quote

from lastgood.core.changes import (
    Change,
    DescriptionSet,
    HoldPlaced,
    HoldReleased,
    MarkSet,
    RefMoved,
    StageChanged,
    TagSet,
)
from lastgood.core.commands import Promote, Rollback
from lastgood.core.goodness import Candidate
from lastgood.core.ids import (
    Digest,
    Instant,
    ModelName,
    OperationId,
    RefName,
    VersionNumber,
    printable,
)
from lastgood.core.moves import (
    HoldFact,
    MarkFact,
    RefFact,
    VersionFact,
    check_hold,
    check_yanked,
    leave_empty,
    move_to,
    roll_back,
)
from lastgood.core.operations import stream_of
from lastgood.core.references import ANY_ENVIRONMENT
from lastgood.core.stages import stage_of_ref
from lastgood.core.views import Plan
from lastgood.engine.evidence import find_last_good
from lastgood.engine.resolve import Found, find, model_of, version_of
from lastgood.engine.settings import Settings
from lastgood.errors import NothingGood, Unverified
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = [
    "EMPTY",
    "Planned",
    "describe",
    "hold_facts",
    "mark_facts",
    "plan_promote",
    "plan_rollback",
    "summary_of",
]

EMPTY = "none"
"""As `Rollback.to`: leave the environment without a version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan with the changes that carry it out."""

    plan: Plan
    changes: tuple[Change, ...]
    target_digest: Digest | None
    restores: OperationId | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """An environment as it is."""

    model: rows.ModelRow
    ref: RefFact
    digest: Digest | None
    labelled: tuple[VersionFact, ...]
    holds: tuple[HoldFact, ...]
    head: int
    now: Instant


def plan_promote(connection: Connection, command: Promote, *, now: Instant) -> Planned:
    """What promoting would do.

    Raises:
        Held, Unverified, NotFound, InvalidReference: as `Registry.promote`.
    """
    found = find(connection, command.reference, now=now)
    _check_verified(found)
    state = _state(connection, found.model, command.to, now)
    name, number = found.model.name, found.version.version
    changes = move_to(name, _fact(found.version), ref=state.ref, labelled=state.labelled)
    if not command.release_hold:
        check_hold(name, number, command.to, state.holds)
    elif any(h.version == number and h.environment == command.to for h in state.holds):
        changes = (HoldReleased(model=name, version=number, environment=command.to), *changes)
    if not command.allow_yanked:
        check_yanked(name, number, command.to, mark_facts(connection, found.model.id))
    before = state.ref.version
    undo = (
        f"lastgood promote {quote(f'{name}/{before}')} --to {command.to} --reason '...'"
        if before is not None
        else f"lastgood rollback {quote(name)} --to {EMPTY} --env {command.to} --reason '...'"
    )
    plan = _plan(state, found.version, changes, undo=undo)
    return Planned(plan=plan, changes=changes, target_digest=found.version.digest)


def plan_rollback(
    connection: Connection,
    command: Rollback,
    settings: Settings,
    *,
    now: Instant,
    damaged: dict[VersionNumber, str] | None = None,
) -> Planned:
    """What rolling back would do.

    Raises:
        NothingGood: no version proved good, or it is live already. NotFound, Unverified.
    """
    model = model_of(connection, command.model)
    state = _state(connection, model, command.environment, now)
    if command.to == EMPTY:
        return _plan_empty(state)
    if command.to is not None:
        found = find(connection, command.to, now=now)
        if found.model.id != model.id:
            raise Unverified(
                f"{command.to} is a version of {found.model.name}, not of {model.name}",
                hint=f"lastgood list {quote(model.name)} shows the versions to choose from",
            )
        candidate = Candidate(
            version=found.version.version, seq=0, good=True, because="you named it"
        )
        passed_over: tuple[Candidate, ...] = ()
    else:
        candidate, passed_over = _last_good(connection, state, settings, damaged)
        found = Found(model, version_of(connection, model, candidate.version))
    _check_verified(found)
    changes = roll_back(
        model.name, _fact(found.version), ref=state.ref, labelled=state.labelled, holds=state.holds
    )
    before = state.ref.version
    undo = f"lastgood promote {quote(f'{model.name}/{before}')} --to {command.environment} --release-hold --reason '...'"
    plan = replace(
        _plan(state, found.version, changes, undo=undo if before is not None else ""),
        because=candidate.because,
        passed_over=tuple(f"{model.name}/{c.version}: {c.because}" for c in passed_over),
    )
    restores = (
        log.by_seqs(connection, [candidate.seq]).get(candidate.seq) if candidate.seq else None
    )
    return Planned(
        plan=plan,
        changes=changes,
        target_digest=found.version.digest,
        restores=restores.id if restores else None,
        notes=_other_refs(connection, state, before),
    )


def _last_good(
    connection: Connection,
    state: _State,
    settings: Settings,
    damaged: dict[VersionNumber, str] | None,
) -> tuple[Candidate, tuple[Candidate, ...]]:
    found = find_last_good(
        connection,
        state.model,
        state.ref.ref,
        settings,
        current=state.ref.version,
        damaged=damaged,
        now=state.now,
    )
    if found.candidate is None:
        looked = "; ".join(
            f"{state.model.name}/{c.version}: {c.because}" for c in found.passed_over
        )
        raise NothingGood(
            f"No version of {state.model.name} has proved good in {state.ref.ref}"
            + (f" ({looked})" if looked else " and none but the live one was ever there"),
            hint=f"name the version to return to: lastgood rollback {quote(state.model.name)} --to {quote(f'{state.model.name}/N')}",
        )
    return found.candidate, found.passed_over


def _plan_empty(state: _State) -> Planned:
    changes = leave_empty(state.model.name, ref=state.ref, labelled=state.labelled)
    before = state.ref.version
    plan = Plan(
        model=state.model.name,
        environment=state.ref.ref,
        before=before,
        before_digest=state.digest,
        after=None,
        after_digest=None,
        head=state.head,
        effects=_effects(changes),
        because="you asked for an empty environment; gateways keep answering with what they have",
        already=not changes,
        undo=f"lastgood promote {quote(f'{state.model.name}/{before}')} --to {state.ref.ref} --reason '...'"
        if before
        else "",
    )
    return Planned(plan=plan, changes=changes, target_digest=None)


def hold_facts(connection: Connection, model_id: int, *, now: Instant) -> tuple[HoldFact, ...]:
    """The holds on versions of a model that have not expired."""
    return tuple(
        HoldFact(h.version, h.environment, h.owner or h.actor, h.reason)
        for h in rows.holds_of(connection, model_id)
        if h.counts_at(now)
    )


def mark_facts(connection: Connection, model_id: int) -> tuple[MarkFact, ...]:
    """What people think of the versions of a model."""
    return tuple(
        MarkFact(m.version, m.environment, m.value, m.actor, m.reason)
        for m in rows.marks_of(connection, model_id)
    )


def _state(
    connection: Connection, model: rows.ModelRow, environment: RefName, now: Instant
) -> _State:
    row = rows.ref_of(connection, model.id, environment)
    live = row.version if row else None
    version = rows.version_of(connection, model.id, live) if live is not None else None
    stage = stage_of_ref(environment)
    labelled = rows.versions_in_stage(connection, model.id, stage) if stage else []
    return _State(
        model=model,
        ref=RefFact(environment, live, alias=row.alias if row else False),
        digest=version.digest if version else None,
        labelled=tuple(_fact(v) for v in labelled),
        holds=hold_facts(connection, model.id, now=now),
        now=now,
        head=log.head_of(connection, stream_of(model.name)),
    )


def _plan(
    state: _State, target: rows.VersionRow, changes: tuple[Change, ...], *, undo: str
) -> Plan:
    return Plan(
        model=state.model.name,
        environment=state.ref.ref,
        before=state.ref.version,
        before_digest=state.digest,
        after=target.version,
        after_digest=target.digest,
        head=state.head,
        effects=_effects(changes),
        already=not changes,
        undo=undo,
    )


def _check_verified(found: Found) -> None:
    if found.version.digest is None:
        raise Unverified(
            f"{found.model.name}/{found.version.version} is external ({found.version.source}): it has no digest, "
            "so nothing can be promised about its bytes",
            hint="download it and register the files: lastgood register PATH --name "
            + found.model.name,
        )


def _fact(version: rows.VersionRow) -> VersionFact:
    return VersionFact(version.version, version.stage)


def _other_refs(
    connection: Connection, state: _State, removed: VersionNumber | None
) -> tuple[str, ...]:
    """Refs that still name what a rollback removed: a batch job that loads one of them gets the bad version."""
    if removed is None:
        return ()
    return tuple(
        f"{state.model.name}@{ref.ref} still names version {removed}; to move it too: "
        f"lastgood rollback {quote(state.model.name)} --env {ref.ref} --to {quote(f'{state.model.name}@{state.ref.ref}')} --reason '...'"
        for ref in rows.refs_to(connection, state.model.id, removed)
        if ref.ref != state.ref.ref
    )


def _effects(changes: tuple[Change, ...]) -> tuple[str, ...]:
    return tuple(words for change in changes if (words := describe(change)))


def describe(change: Change) -> str:  # noqa: PLR0911  # one case per kind of change
    """A change of a ref, label, hold, judgement, tag or description in words."""
    match change:
        case RefMoved(ref=ref, before=before, after=after):
            return f"{ref}: {_number(before)} -> {_number(after)}"
        case StageChanged(version=version, before=old, after=new):
            return f"stage of version {version}: {old.value} -> {new.value}"
        case HoldPlaced(version=version, environment=environment):
            return f"hold on version {version} in {environment}"
        case HoldReleased(version=version, environment=environment):
            return f"hold on version {version} in {environment} released"
        case MarkSet(version=version, environment=environment, before=old, after=new):
            return f"mark of version {version} {_in(environment)}: {old} -> {new}"
        case TagSet(version=subject, key=key, after=text):
            value = "removed" if text is None else f"= {printable(text)}"
            return f"tag {printable(key)}{_of(subject)} {value}"
        case DescriptionSet(version=subject, after=text):
            return f"description{_of(subject)}: {printable(text)}"
        case _:
            return ""


def _in(environment: RefName) -> str:
    return "everywhere" if environment == ANY_ENVIRONMENT else f"in {environment}"


def _of(version: VersionNumber | None) -> str:
    return "" if version is None else f" of version {version}"


def _number(version: VersionNumber | None) -> str:
    return f"version {version}" if version is not None else "nothing"


def summary_of(model: ModelName, environment: RefName, plan: Plan) -> str:
    """From -> to, as the log shows it."""
    return f"{model}@{environment}: {_number(plan.before)} -> {_number(plan.after)}"

"""What each of MLflow's registry calls means for the state as it is: one decision per call.

All functions run inside the write transaction. A call that finds the state as wished decides nothing,
so that a client may repeat it without a second operation.
"""

from collections.abc import Mapping

from lastgood.core.changes import (
    DescriptionSet,
    ModelCreated,
    ModelDeleted,
    ModelRenamed,
    RefMoved,
    TagSet,
    VersionDeleted,
)
from lastgood.core.ids import Instant, ModelName, RefName, printable
from lastgood.core.moves import VersionFact, check_hold, check_yanked, transition
from lastgood.core.operations import OperationKind
from lastgood.core.stages import Stage, ref_of_stage, stage_of_ref
from lastgood.engine.evidence import find_last_good
from lastgood.engine.kernel import Decision
from lastgood.engine.policies import policy_in_force
from lastgood.engine.promote import describe, hold_facts, mark_facts
from lastgood.engine.protection import protected_refs, why_protected, why_retained
from lastgood.engine.resolve import model_of, no_version, numbered
from lastgood.engine.settings import Settings
from lastgood.errors import AlreadyExists, Protected
from lastgood.store import registry as rows
from lastgood.store.catalogue import VersionEntry
from lastgood.store.circumstances import MoveSeen, look_at_alias, look_at_stages, look_at_version
from lastgood.store.database import Connection

__all__ = [
    "Unchecked",
    "create_model",
    "delete_alias",
    "delete_model",
    "delete_version",
    "describe_model",
    "describe_version",
    "rename_model",
    "set_alias",
    "tag_model",
    "tag_version",
    "transition_stage",
]


class Unchecked(Exception):
    """The version's bytes have to be checked before this act; to be done outside of a transaction."""


VALUE_SHOWN_MAX = 60  # characters of a tag or description that a summary repeats


def create_model(
    tx: Connection, name: ModelName, *, description: str, tags: Mapping[str, str]
) -> Decision:
    """A new model. Raises AlreadyExists, also for a name that differs only by case."""
    _check_free(tx, name)
    return Decision(
        kind="create_model",
        model=name,
        changes=(ModelCreated(model=name, description=description, tags=dict(tags)),),
        summary=f"{name} created",
    )


def rename_model(tx: Connection, name: ModelName, *, to: ModelName) -> Decision:
    """Another name for the model. Raises NotFound, AlreadyExists."""
    model = model_of(tx, name)
    if to == name:
        return _nothing("rename_model", name)
    _check_free(tx, to, but=model.id)
    return Decision(
        kind="rename_model",
        model=name,
        model_id=model.id,
        changes=(ModelRenamed(model=name, after=to),),
        summary=f"{name} -> {to}",
    )


def delete_model(tx: Connection, name: ModelName, settings: Settings, *, now: Instant) -> Decision:
    """The model is gone from view. Raises NotFound, Protected."""
    model = model_of(tx, name)
    if why := _why_model_protected(tx, model, settings, now=now):
        raise Protected(
            f"Registered Model (name={name}) cannot be deleted: {why}",
            hint="archive the live version, mark the last good one bad and release its holds first",
        )
    return Decision(
        kind="delete_model",
        model=name,
        model_id=model.id,
        changes=(ModelDeleted(model=name),),
        summary=f"{name} deleted with {rows.count_versions(tx, model.id)} versions",
    )


def describe_model(tx: Connection, name: ModelName, text: str) -> Decision:
    """The description of the model. Raises NotFound."""
    model = model_of(tx, name)
    if model.description == text:
        return _nothing("update_model", name)
    return Decision(
        kind="update_model",
        model=name,
        model_id=model.id,
        changes=(DescriptionSet(model=name, before=model.description, after=text),),
        summary=f"description: {_shown(model.description)} -> {_shown(text)}",
    )


def tag_model(tx: Connection, name: ModelName, key: str, value: str | None) -> Decision:
    """A tag of the model; None removes it. Raises NotFound."""
    model = model_of(tx, name)
    before = rows.tags_of_model(tx, model.id).get(key)
    if before == value:
        return _nothing("update_model", name)
    return Decision(
        kind="update_model",
        model=name,
        model_id=model.id,
        changes=(TagSet(model=name, key=key, before=before, after=value),),
        summary=f"tag {printable(key)}: {_shown(before)} -> {_shown(value)}",
    )


def describe_version(tx: Connection, name: ModelName, number: int, text: str) -> Decision:
    """The description of a version. Raises NotFound."""
    found = look_at_version(tx, name, number)
    if found is None:
        raise no_version(tx, name, number)
    model, entry = found
    version = entry.row
    if version.description == text:
        return _nothing("update_version", name, entry)
    change = DescriptionSet(
        model=name, version=version.version, before=version.description, after=text
    )
    return Decision(
        kind="update_version",
        model=name,
        model_id=model.id,
        changes=(change,),
        summary=f"description of version {number}: {_shown(version.description)} -> {_shown(text)}",
        seen=entry,
    )


def tag_version(
    tx: Connection, name: ModelName, number: int, key: str, value: str | None
) -> Decision:
    """A tag of a version; None removes it. Raises NotFound."""
    found = look_at_version(tx, name, number)
    if found is None:
        raise no_version(tx, name, number)
    model, entry = found
    before = entry.tags.get(key)
    if before == value:
        return _nothing("update_version", name)
    return Decision(
        kind="update_version",
        model=name,
        model_id=model.id,
        changes=(
            TagSet(model=name, version=entry.row.version, key=key, before=before, after=value),
        ),
        summary=f"tag {printable(key)} of version {number}: {_shown(before)} -> {_shown(value)}",
    )


def delete_version(
    tx: Connection, name: ModelName, number: int, settings: Settings, *, now: Instant
) -> Decision:
    """The version is gone from view; refs that still name it are unset. Raises NotFound, Protected."""
    found = numbered(tx, name, number)
    model, version = found.model, found.version
    if why := why_protected(tx, model, version.version, settings, now=now):
        raise Protected(
            f"Model Version (name={name}, version={number}) cannot be deleted: {why}",
            hint="move what needs it to another version first",
        )
    unset = tuple(
        RefMoved(model=name, ref=ref.ref, before=ref.version, after=None, alias=ref.alias)
        for ref in rows.refs_to(tx, model.id, number)
    )
    return Decision(
        kind="delete_version",
        model=name,
        model_id=model.id,
        changes=(*unset, VersionDeleted(model=name, version=version.version)),
        summary="; ".join([f"version {number} deleted", *(describe(c) for c in unset)]),
    )


def set_alias(
    tx: Connection,
    name: ModelName,
    alias: RefName,
    number: int,
    *,
    checked: bool = True,
    now: Instant,
) -> Decision:
    """The ref of that name points at the version. Raises NotFound, Held; Unchecked as `transition_stage`."""
    seen = look_at_alias(tx, name, number, to=alias)
    if seen is None:
        raise no_version(tx, name, number)
    version, (ref,) = seen.version.version, seen.refs
    if ref.alias and ref.version == version:
        return _nothing("set_alias", name)
    if ref.version != version:
        _check_may_go(tx, seen, alias, checked=checked, now=now)
    change = RefMoved(model=name, ref=alias, before=ref.version, after=version, alias=True)
    return Decision(
        kind="set_alias",
        model=name,
        model_id=seen.model.id,
        changes=(change,),
        summary=f"alias {describe(change)}",
        unruled=alias if seen.is_unruled else None,
    )


def delete_alias(tx: Connection, name: ModelName, alias: RefName) -> Decision:
    """The model has no alias of that name. Raises NotFound if there is no such model.

    The refs `production` and `staging` stay where they are while the version's stage says the same.
    """
    model = model_of(tx, name)
    ref = rows.ref_of(tx, model.id, alias)
    if ref is None or not ref.alias or ref.version is None:
        return _nothing("delete_alias", name)
    version = rows.version_of(tx, model.id, ref.version)
    stays = version is not None and version.stage is stage_of_ref(alias)
    change = RefMoved(
        model=name,
        ref=alias,
        before=ref.version,
        after=ref.version if stays else None,
        alias=False,
    )
    what = f"alias {alias} of version {ref.version} removed"
    return Decision(
        kind="delete_alias",
        model=name,
        model_id=model.id,
        changes=(change,),
        summary=what if stays else f"{what}: {describe(change)}",
    )


def transition_stage(
    tx: Connection,
    name: ModelName,
    number: int,
    *,
    to: Stage,
    archive_existing: bool,
    checked: bool = True,
    now: Instant,
) -> Decision:
    """The version carries another stage label, and the ref of that stage follows.

    Raises:
        NotFound, Held. InvalidInput: archiving others with a stage that is not active.
        Unchecked: nobody has `checked` the version's bytes, and the ref is one that puts versions before users.
    """
    found = look_at_stages(tx, name, number, to=to)
    if found is None:
        raise no_version(tx, name, number)
    seen, entry = found
    version, environment = seen.version, ref_of_stage(to)
    if environment is not None and all(
        (ref.ref, ref.version) != (environment, version.version) for ref in seen.refs
    ):
        _check_may_go(tx, seen, environment, checked=checked, now=now)
    labelled = rows.versions_in_stage(tx, seen.model.id, to) if archive_existing else []
    changes = transition(
        name,
        VersionFact(version.version, version.stage),
        to=to,
        archive_existing=archive_existing,
        labelled=[VersionFact(other.version, other.stage) for other in labelled],
        refs=seen.refs,
    )
    return Decision(
        kind="transition_stage",
        model=name,
        model_id=seen.model.id,
        changes=changes,
        summary="; ".join(describe(change) for change in changes),
        unruled=environment if seen.is_unruled else None,
        seen=entry,
    )


def _check_may_go(
    tx: Connection, seen: MoveSeen, to: RefName, *, checked: bool, now: Instant
) -> None:
    about, model, version = seen.surroundings, seen.model, seen.version.version
    if about is None:
        return
    if about.kept_out:
        check_hold(model.name, version, to, hold_facts(tx, model.id, now=now))
        check_yanked(model.name, version, to, mark_facts(tx, model.id))
    if not checked and (
        about.followed or (about.ruled and policy_in_force(tx)[0].protects(model.name, to))
    ):
        raise Unchecked


def _nothing(kind: OperationKind, name: ModelName, seen: VersionEntry | None = None) -> Decision:
    return Decision(kind=kind, model=name, changes=(), summary="", seen=seen)


def _check_free(tx: Connection, name: ModelName, *, but: int | None = None) -> None:
    alike = rows.model_named_alike(tx, name)
    if alike is None or alike.id == but:
        return
    if alike.name == name:
        raise AlreadyExists(f"Registered Model (name={name}) already exists")
    raise AlreadyExists(
        f"Registered Model (name={printable(name)}) already exists as {alike.name}; names may not differ only by case",
        hint=f"use {alike.name}, or another name",
    )


def _why_model_protected(
    tx: Connection, model: rows.ModelRow, settings: Settings, *, now: Instant
) -> str:
    for name in sorted(protected_refs(tx, model)):
        ref = rows.ref_of(tx, model.id, name)
        current = ref.version if ref else None
        if current is not None:
            return f"{model.name}/{current} is live in {name}"
        good = find_last_good(tx, model, name, settings, current=None, now=now).candidate
        if good is not None:
            return f"{model.name}/{good.version} is the last good version of {name}: a rollback would return to it"
    for hold in rows.holds_of(tx, model.id):
        if hold.counts_at(now):
            return f"{model.name}/{hold.version} is on hold in {hold.environment} (placed by {hold.actor})"
    return why_retained(tx, model, None, now)


def _shown(text: str | None) -> str:
    return "nothing" if text is None else f"'{printable(text, length_max=VALUE_SHOWN_MAX)}'"

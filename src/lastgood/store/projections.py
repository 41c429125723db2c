"""The registry as tables: the fold of all changes, applied as operations are appended.

`rebuild` folds the whole log into an empty database; `lastgood fsck` compares the two.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from lastgood.core.changes import (
    ApprovalGiven,
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
    PolicySet,
    RefMoved,
    StageChanged,
    TagSet,
    TimesKept,
    VerdictsRecorded,
    VersionDeleted,
    VersionRegistered,
)
from lastgood.core.ids import REGISTRY
from lastgood.core.operations import Operation
from lastgood.core.stages import Stage
from lastgood.errors import IntegrityFailure
from lastgood.store.approvals import record_approval
from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.evidence import record_evidence
from lastgood.store.restraints import OF_THE_REGISTRY, hold_data, release_data, set_pause
from lastgood.store.schema import (
    PROJECTIONS,
    approvals,
    data_holds,
    evidence,
    history,
    holds,
    marks,
    model_tags,
    models,
    numbering,
    origins,
    pauses,
    policies,
    ref_moves,
    refs,
    verdicts,
    version_tags,
    versions,
)
from lastgood.store.statement import Statement
from lastgood.store.verdicts import record_verdicts

__all__ = ["apply", "clear", "dump", "folded", "version_values"]

_model_id = Statement(sa.select(models.c.id).where(models.c.name == sa.bindparam("name")))
_touch_model = Statement(
    models.update()
    .where(models.c.id == sa.bindparam("id_"))
    .values(changed_ms=sa.bindparam("changed_ms_"))
)
_set_stage = Statement(
    versions.update()
    .where(
        versions.c.model_id == sa.bindparam("id_"), versions.c.version == sa.bindparam("version_")
    )
    .values(stage=sa.bindparam("stage_"), changed_ms=sa.bindparam("changed_ms_"))
)
_one_ref = (refs.c.model_id == sa.bindparam("id_"), refs.c.ref == sa.bindparam("ref_"))
_set_alias = Statement(refs.update().where(*_one_ref).values(alias=sa.bindparam("alias_")))
_ref = insert(refs)
_put_ref = Statement(
    _ref.on_conflict_do_update(
        index_elements=[refs.c.model_id, refs.c.ref],
        set_={name: _ref.excluded[name] for name in ("version", "seq", "moved_ms", "alias")},
    )
)
_insert_move = Statement(ref_moves.insert())
_insert_model = Statement(models.insert())
_insert_version = Statement(versions.insert())
_insert_history = Statement(history.insert(), ("model_id", "seq"))
_insert_model_tag = Statement(model_tags.insert(), ("model_id", "key", "value"))
_insert_version_tag = Statement(version_tags.insert(), ("model_id", "version", "key", "value"))
_insert_origin = Statement(origins.insert(), ("kind", "value", "model_id", "version"))
_insert_hold = Statement(holds.insert())
_insert_mark = Statement(marks.insert())
_insert_policy = Statement(policies.insert())
_delete_model_tag = Statement(
    model_tags.delete().where(
        model_tags.c.model_id == sa.bindparam("id_"), model_tags.c.key == sa.bindparam("key_")
    )
)
_delete_version_tag = Statement(
    version_tags.delete().where(
        version_tags.c.model_id == sa.bindparam("id_"),
        version_tags.c.version == sa.bindparam("version_"),
        version_tags.c.key == sa.bindparam("key_"),
    )
)
_last_number = Statement(
    sa.select(numbering.c.last).where(numbering.c.name == sa.bindparam("name"))
)
_number = insert(numbering)
_raise_number = Statement(
    _number.on_conflict_do_update(
        index_elements=[numbering.c.name],
        set_={"last": _number.excluded.last},
        where=numbering.c.last < _number.excluded.last,
    )
)
_rename = Statement(
    models.update()
    .where(models.c.id == sa.bindparam("id_"))
    .values(name=sa.bindparam("name_"), folded=sa.bindparam("folded_"))
)
_describe_model = Statement(
    models.update()
    .where(models.c.id == sa.bindparam("id_"))
    .values(description=sa.bindparam("description_"))
)
_describe_version = Statement(
    versions.update()
    .where(
        versions.c.model_id == sa.bindparam("id_"), versions.c.version == sa.bindparam("version_")
    )
    .values(description=sa.bindparam("description_"), changed_ms=sa.bindparam("changed_ms_"))
)
ORIGIN_LENGTH_MAX = 500
# Deleting a model takes everything of it from view; history stays, because the log stays.
_OF_A_MODEL = (
    versions,
    refs,
    ref_moves,
    holds,
    marks,
    model_tags,
    version_tags,
    evidence,
    origins,
    approvals,
    data_holds,
    pauses,
    verdicts,
)
_OF_A_VERSION = (holds, marks, version_tags, evidence, origins, approvals, data_holds, verdicts)


def apply(tx: Connection, operation: Operation, *, model_id: int | None = None) -> None:
    """Apply the changes of one operation, in order.

    Args:
        tx: A write transaction.
        operation: What happened.
        model_id: Of the operation's model, if the caller has looked it up in this transaction.
    """
    ids = {} if model_id is None else {operation.model: model_id}
    touched: set[int] = set()
    stale: set[int] = set()  # models whose time of change is to be set
    for change in operation.changes:
        if isinstance(change, ModelCreated):
            _create_model(tx, change, operation)
        if change.model == REGISTRY:
            _handle(tx, OF_THE_REGISTRY, change, operation)
            continue
        if change.model not in ids:
            ids[change.model] = _id_of(tx, change.model)
        subject = ids[change.model]
        touched.add(subject)
        if isinstance(change, TimesKept):
            if change.version is None:
                stale.discard(subject)
        elif _changes_model(change, operation):
            stale.add(subject)
        _handle(tx, subject, change, operation)
        if isinstance(change, ModelRenamed | ModelDeleted):
            ids.clear()
    for subject in sorted(stale):  # of a deleted one there is no row to touch
        _touch_model.run(tx, {"id_": subject, "changed_ms_": operation.at_ms})
    _insert_history.run_many(tx, [(subject, operation.seq) for subject in sorted(touched)])


def _changes_model(change: Change, operation: Operation) -> bool:
    """Whether the model counts as changed: not by tags, aliases and descriptions of versions, as with MLflow."""
    if isinstance(change, TagSet) or operation.kind in {"set_alias", "delete_alias"}:
        return False
    return not isinstance(change, DescriptionSet) or change.version is None


def _handle(tx: Connection, model_id: int, change: Change, operation: Operation) -> None:
    # A change without a handler is history only.
    if (handler := _HANDLERS.get(type(change))) is not None:
        handler(tx, model_id, change, operation)


def clear(tx: Connection) -> None:
    """Empty all projections."""
    for table in PROJECTIONS:
        tx.execute(table.delete())


def dump(connection: Connection) -> dict[str, set[tuple[Any, ...]]]:
    """All rows of all projections, per table."""
    return {
        table.name: {tuple(row) for row in connection.execute(sa.select(table))}
        for table in PROJECTIONS
    }


def folded(name: str) -> str:
    """The name with its case taken away, so that names that differ only by case collide."""
    return name.casefold()


def _id_of(tx: Connection, name: str) -> int:
    model_id = _model_id.scalar(tx, {"name": name})
    if model_id is None:
        raise IntegrityFailure(
            f"The log changes model '{name}', which it never made", hint="run: lastgood fsck"
        )
    return int(model_id)


def _create_model(tx: Connection, change: ModelCreated, operation: Operation) -> None:
    _insert_model.run(
        tx,
        {
            "id": operation.seq,
            "name": change.model,
            "folded": folded(change.model),
            "description": change.description,
            "created_ms": operation.at_ms,
            "changed_ms": operation.at_ms,
        },
    )
    _insert_model_tag.run_many(tx, [(operation.seq, k, v) for k, v in change.tags.items()])


def _rename_model(
    tx: Connection, model_id: int, change: ModelRenamed, _operation: Operation
) -> None:
    _rename.run(tx, {"id_": model_id, "name_": change.after, "folded_": folded(change.after)})
    _raise_numbering(tx, change.after, _last_number.scalar(tx, {"name": change.model}) or 0)


def _delete_model(
    tx: Connection, model_id: int, _change: ModelDeleted, _operation: Operation
) -> None:
    for table in _OF_A_MODEL:
        tx.execute(table.delete().where(table.c.model_id == model_id))
    tx.execute(models.delete().where(models.c.id == model_id))


def _register(
    tx: Connection, model_id: int, change: VersionRegistered, operation: Operation
) -> None:
    _insert_version.run(tx, version_values(model_id, change, operation))
    _insert_version_tag.run_many(
        tx, [(model_id, change.version, k, v) for k, v in change.tags.items()]
    )
    made_of = [("commit", change.commit)] if change.commit else []
    made_of += [("data", digest) for digest in change.data]
    _insert_origin.run_many(
        tx, [(kind, value[:ORIGIN_LENGTH_MAX], model_id, change.version) for kind, value in made_of]
    )
    _raise_numbering(tx, change.model, change.version)


def version_values(
    model_id: int, change: VersionRegistered, operation: Operation
) -> dict[str, Any]:
    """The row of a version that was registered just now, by the names of its columns."""
    return {
        "model_id": model_id,
        "version": change.version,
        "digest": change.digest,
        "source": change.source,
        "run_id": change.run_id,
        "run_link": change.run_link,
        "user": change.user,
        "description": change.description,
        "logged_model_id": change.logged_model_id,
        "artifact_uri": change.artifact_uri,
        "size": change.size,
        "stage": Stage.NONE.value,
        "created_ms": operation.at_ms,
        "changed_ms": operation.at_ms,
        "seq": operation.seq,
    }


def _raise_numbering(tx: Connection, name: str, last: int) -> None:
    _raise_number.run(tx, {"name": name, "last": last})


def _delete_version(
    tx: Connection, model_id: int, change: VersionDeleted, _operation: Operation
) -> None:
    for table in (*_OF_A_VERSION, versions):
        tx.execute(
            table.delete().where(table.c.model_id == model_id, table.c.version == change.version)
        )


def _move_ref(tx: Connection, model_id: int, change: RefMoved, operation: Operation) -> None:
    if change.before == change.after and change.before is not None:
        # It only became, or ceased to be, an alias: it stays where it is, moved by whom it was.
        _set_alias.run(tx, {"id_": model_id, "ref_": change.ref, "alias_": change.alias})
        return
    _put_ref.run(
        tx,
        {
            "model_id": model_id,
            "ref": change.ref,
            "version": change.after,
            "seq": operation.seq,
            "moved_ms": operation.at_ms,
            "alias": change.alias,
        },
    )
    _insert_move.run(
        tx,
        {
            "model_id": model_id,
            "ref": change.ref,
            "seq": operation.seq,
            "before": change.before,
            "after": change.after,
            "at_ms": operation.at_ms,
        },
    )


def _change_stage(
    tx: Connection, model_id: int, change: StageChanged, operation: Operation
) -> None:
    _set_stage.run(
        tx,
        {
            "id_": model_id,
            "version_": change.version,
            "stage_": change.after.value,
            "changed_ms_": operation.at_ms,
        },
    )


def _place_hold(tx: Connection, model_id: int, change: HoldPlaced, operation: Operation) -> None:
    # One that has expired may still be there.
    tx.execute(_of(holds, model_id, change))
    release_data(tx, model_id, change)
    given = {"owner": change.owner, "expires_ms": change.expires_ms}
    _insert_hold.run(tx, {**_judgement(model_id, change, operation), **given})
    hold_data(tx, model_id, change, operation)


def _release_hold(
    tx: Connection, model_id: int, change: HoldReleased, _operation: Operation
) -> None:
    tx.execute(_of(holds, model_id, change))
    release_data(tx, model_id, change)


def _set_mark(tx: Connection, model_id: int, change: MarkSet, operation: Operation) -> None:
    tx.execute(_of(marks, model_id, change))
    if change.after != "none":
        _insert_mark.run(tx, {**_judgement(model_id, change, operation), "value": change.after})


def _of(table: sa.Table, model_id: int, change: HoldPlaced | HoldReleased | MarkSet) -> sa.Delete:
    c = table.c
    return table.delete().where(
        c.model_id == model_id, c.environment == change.environment, c.version == change.version
    )


def _judgement(model_id: int, change: HoldPlaced | MarkSet, operation: Operation) -> dict[str, Any]:
    return {
        "model_id": model_id,
        "environment": change.environment,
        "version": change.version,
        "seq": operation.seq,
        "at_ms": operation.at_ms,
        "actor": operation.actor.name,
        "reason": operation.reason,
    }


def _set_tag(tx: Connection, model_id: int, change: TagSet, _operation: Operation) -> None:
    if change.version is None:
        _delete_model_tag.run(tx, {"id_": model_id, "key_": change.key})
        if change.after is not None:
            _insert_model_tag.run_many(tx, [(model_id, change.key, change.after)])
        return
    _delete_version_tag.run(tx, {"id_": model_id, "version_": change.version, "key_": change.key})
    if change.after is not None:
        _insert_version_tag.run_many(tx, [(model_id, change.version, change.key, change.after)])


def _describe(tx: Connection, model_id: int, change: DescriptionSet, operation: Operation) -> None:
    if change.version is None:
        _describe_model.run(tx, {"id_": model_id, "description_": change.after})
        return
    _describe_version.run(
        tx,
        {
            "id_": model_id,
            "version_": change.version,
            "description_": change.after,
            "changed_ms_": operation.at_ms,
        },
    )


def _set_policy(tx: Connection, _model_id: int, change: PolicySet, operation: Operation) -> None:
    _insert_policy.run(
        tx,
        {
            "seq": operation.seq,
            "at_ms": operation.at_ms,
            "digest": change.after,
            "text": change.text,
        },
    )


def _use_numbers(
    tx: Connection, _model_id: int, change: NumbersUsed, _operation: Operation
) -> None:
    _raise_numbering(tx, change.model, change.last)


def _keep_times(tx: Connection, model_id: int, change: TimesKept, _operation: Operation) -> None:
    times = {"created_ms": change.created_ms, "changed_ms": change.changed_ms}
    if change.version is None:
        tx.execute(models.update().where(models.c.id == model_id).values(times))
        return
    tx.execute(
        versions.update()
        .where(versions.c.model_id == model_id, versions.c.version == change.version)
        .values(times)
    )


_HANDLERS: dict[type[Change], Callable[[Connection, int, Any, Operation], None]] = {
    ModelRenamed: _rename_model,
    ModelDeleted: _delete_model,
    VersionRegistered: _register,
    VersionDeleted: _delete_version,
    RefMoved: _move_ref,
    StageChanged: _change_stage,
    HoldPlaced: _place_hold,
    HoldReleased: _release_hold,
    MarkSet: _set_mark,
    TagSet: _set_tag,
    DescriptionSet: _describe,
    EvidenceRecorded: record_evidence,
    PolicySet: _set_policy,
    ApprovalGiven: record_approval,
    VerdictsRecorded: record_verdicts,
    EnvironmentPaused: set_pause,
    NumbersUsed: _use_numbers,
    TimesKept: _keep_times,
}

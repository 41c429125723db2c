"""The registry as tables: the fold of all changes, applied as operations are appended.

`rebuild` folds the whole log into an empty database; `lastgood fsck` compares the two.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from lastgood.core.changes import (
    Change,
    DescriptionSet,
    HoldPlaced,
    HoldReleased,
    MarkSet,
    ModelCreated,
    ModelDeleted,
    ModelRenamed,
    RefMoved,
    StageChanged,
    TagSet,
    VersionDeleted,
    VersionRegistered,
)
from lastgood.core.operations import Operation
from lastgood.core.stages import Stage
from lastgood.errors import IntegrityFailure
from lastgood.store.database import Connection
from lastgood.store.schema import (
    PROJECTIONS,
    history,
    holds,
    marks,
    model_tags,
    models,
    numbering,
    ref_moves,
    refs,
    version_tags,
    versions,
)

__all__ = ["apply", "clear", "dump", "folded"]

_model_id = sa.select(models.c.id).where(models.c.name == sa.bindparam("name"))
_touch_model = (
    models.update()
    .where(models.c.id == sa.bindparam("id_"))
    .values(changed_ms=sa.bindparam("changed_ms_"))
)
_touch_version = (
    versions.update()
    .where(
        versions.c.model_id == sa.bindparam("id_"), versions.c.version == sa.bindparam("version_")
    )
    .values(changed_ms=sa.bindparam("changed_ms_"))
)
_set_stage = (
    versions.update()
    .where(
        versions.c.model_id == sa.bindparam("id_"), versions.c.version == sa.bindparam("version_")
    )
    .values(stage=sa.bindparam("stage_"), changed_ms=sa.bindparam("changed_ms_"))
)
_one_ref = (refs.c.model_id == sa.bindparam("id_"), refs.c.ref == sa.bindparam("ref_"))
_forget_ref = refs.delete().where(*_one_ref)
_set_alias = refs.update().where(*_one_ref).values(alias=sa.bindparam("alias_"))
_insert_ref = refs.insert()
_insert_move = ref_moves.insert()
# Deleting a model takes everything of it from view; history stays, because the log stays.
_OF_A_MODEL = (versions, refs, ref_moves, holds, marks, model_tags, version_tags)
_OF_A_VERSION = (holds, marks, version_tags)


def apply(tx: Connection, operation: Operation) -> None:
    """Apply the changes of one operation, in order."""
    touched: set[int] = set()
    for change in operation.changes:
        if isinstance(change, ModelCreated):
            _create_model(tx, change, operation)
        model_id = _id_of(tx, change.model)
        touched.add(model_id)
        handler = _HANDLERS.get(type(change))
        if handler is not None:
            handler(tx, model_id, change, operation)
        if not isinstance(change, ModelDeleted):
            tx.execute(_touch_model, {"id_": model_id, "changed_ms_": operation.at_ms})
    if touched:
        tx.execute(
            history.insert(), [{"model_id": i, "seq": operation.seq} for i in sorted(touched)]
        )


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
    model_id = tx.execute(_model_id, {"name": name}).scalar()
    if model_id is None:
        raise IntegrityFailure(
            f"The log changes model '{name}', which it never made", hint="run: lastgood fsck"
        )
    return int(model_id)


def _create_model(tx: Connection, change: ModelCreated, operation: Operation) -> None:
    tx.execute(
        models.insert(),
        {
            "id": operation.seq,
            "name": change.model,
            "folded": folded(change.model),
            "description": change.description,
            "created_ms": operation.at_ms,
            "changed_ms": operation.at_ms,
        },
    )
    for key, value in change.tags.items():
        tx.execute(model_tags.insert(), {"model_id": operation.seq, "key": key, "value": value})


def _rename_model(
    tx: Connection, model_id: int, change: ModelRenamed, _operation: Operation
) -> None:
    tx.execute(
        models.update()
        .where(models.c.id == model_id)
        .values(name=change.after, folded=folded(change.after))
    )
    last = (
        tx.execute(sa.select(numbering.c.last).where(numbering.c.name == change.model)).scalar()
        or 0
    )
    _raise_numbering(tx, change.after, last)


def _delete_model(
    tx: Connection, model_id: int, _change: ModelDeleted, _operation: Operation
) -> None:
    for table in _OF_A_MODEL:
        tx.execute(table.delete().where(table.c.model_id == model_id))
    tx.execute(models.delete().where(models.c.id == model_id))


def _register(
    tx: Connection, model_id: int, change: VersionRegistered, operation: Operation
) -> None:
    tx.execute(
        versions.insert(),
        {
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
        },
    )
    for key, value in change.tags.items():
        tx.execute(
            version_tags.insert(),
            {"model_id": model_id, "version": change.version, "key": key, "value": value},
        )
    _raise_numbering(tx, change.model, change.version)


def _raise_numbering(tx: Connection, name: str, last: int) -> None:
    known = tx.execute(sa.select(numbering.c.last).where(numbering.c.name == name)).scalar()
    if known is None:
        tx.execute(numbering.insert(), {"name": name, "last": last})
    elif known < last:
        tx.execute(numbering.update().where(numbering.c.name == name).values(last=last))


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
        tx.execute(_set_alias, {"id_": model_id, "ref_": change.ref, "alias_": change.alias})
        return
    tx.execute(_forget_ref, {"id_": model_id, "ref_": change.ref})
    tx.execute(
        _insert_ref,
        {
            "model_id": model_id,
            "ref": change.ref,
            "version": change.after,
            "seq": operation.seq,
            "moved_ms": operation.at_ms,
            "alias": change.alias,
        },
    )
    tx.execute(
        _insert_move,
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
    tx.execute(
        _set_stage,
        {
            "id_": model_id,
            "version_": change.version,
            "stage_": change.after.value,
            "changed_ms_": operation.at_ms,
        },
    )


def _place_hold(tx: Connection, model_id: int, change: HoldPlaced, operation: Operation) -> None:
    tx.execute(holds.insert(), _judgement(model_id, change, operation))


def _release_hold(
    tx: Connection, model_id: int, change: HoldReleased, _operation: Operation
) -> None:
    tx.execute(_of(holds, model_id, change))


def _set_mark(tx: Connection, model_id: int, change: MarkSet, operation: Operation) -> None:
    tx.execute(_of(marks, model_id, change))
    if change.after != "none":
        tx.execute(
            marks.insert(), {**_judgement(model_id, change, operation), "value": change.after}
        )


def _of(table: sa.Table, model_id: int, change: HoldReleased | MarkSet) -> sa.Delete:
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


def _set_tag(tx: Connection, model_id: int, change: TagSet, operation: Operation) -> None:
    key: dict[str, Any] = {"model_id": model_id, "key": change.key}
    table = model_tags
    if change.version is not None:
        table, key["version"] = version_tags, change.version
        tx.execute(
            _touch_version,
            {"id_": model_id, "version_": change.version, "changed_ms_": operation.at_ms},
        )
    tx.execute(table.delete().where(*(table.c[name] == value for name, value in key.items())))
    if change.after is not None:
        tx.execute(table.insert(), {**key, "value": change.after})


def _describe(tx: Connection, model_id: int, change: DescriptionSet, operation: Operation) -> None:
    if change.version is None:
        tx.execute(models.update().where(models.c.id == model_id).values(description=change.after))
        return
    tx.execute(
        versions.update()
        .where(versions.c.model_id == model_id, versions.c.version == change.version)
        .values(description=change.after, changed_ms=operation.at_ms)
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
}

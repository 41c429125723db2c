"""What people said of versions: the last word of each person in each meaning."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lastgood.core.approvals import Approval
from lastgood.core.changes import ApprovalGiven
from lastgood.core.ids import RefName
from lastgood.core.operations import Operation
from lastgood.store.database import Connection
from lastgood.store.schema import approvals
from lastgood.store.statement import Statement

__all__ = ["ApprovalRow", "approvals_of", "approvals_on", "record_approval"]

NAMES = ("actor", "word", "meaning", "digest", "at_ms", "expires_ms")

_a = approvals.c
_of = Statement(
    sa.select(_a.actor, _a.word, _a.meaning, _a.digest, _a.at_ms, _a.expires_ms)
    .where(
        _a.model_id == sa.bindparam("model_id"),
        _a.environment == sa.bindparam("environment"),
        _a.version == sa.bindparam("version"),
    )
    .order_by(_a.seq)
)
_on = Statement(
    sa.select(
        _a.environment, _a.seq, _a.actor, _a.word, _a.meaning, _a.digest, _a.at_ms, _a.expires_ms
    )
    .where(_a.model_id == sa.bindparam("model_id"), _a.version == sa.bindparam("version"))
    .order_by(_a.seq)
)
_forget = Statement(
    approvals.delete().where(
        _a.model_id == sa.bindparam("id_"),
        _a.environment == sa.bindparam("environment_"),
        _a.version == sa.bindparam("version_"),
        _a.actor == sa.bindparam("actor_"),
        _a.meaning == sa.bindparam("meaning_"),
    )
)
_insert = Statement(approvals.insert())


def approvals_of(
    connection: Connection, model_id: int, environment: str, version: int
) -> list[Approval]:
    """The words on a version for an environment, oldest first."""
    found = _of.all(
        connection, {"model_id": model_id, "environment": environment, "version": version}
    )
    return [_approval(row) for row in found]


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """One person's word, for which environment, and the operation that recorded it."""

    environment: RefName
    seq: int
    approval: Approval


def approvals_on(connection: Connection, model_id: int, version: int) -> list[ApprovalRow]:
    """The words on a version for all environments, oldest first."""
    found = _on.all(connection, {"model_id": model_id, "version": version})
    return [ApprovalRow(RefName(row[0]), int(row[1]), _approval(row[2:])) for row in found]


def _approval(row: Sequence[Any]) -> Approval:
    return Approval(**dict(zip(NAMES, row, strict=True)))


def record_approval(
    tx: Connection, model_id: int, change: ApprovalGiven, operation: Operation
) -> None:
    """Replace what the person said before in that meaning."""
    actor = operation.actor.name
    _forget.run(
        tx,
        {
            "id_": model_id,
            "environment_": change.environment,
            "version_": change.version,
            "actor_": actor,
            "meaning_": change.meaning,
        },
    )
    _insert.run(
        tx,
        {
            "model_id": model_id,
            "environment": change.environment,
            "version": change.version,
            "actor": actor,
            "meaning": change.meaning,
            "word": change.word,
            "digest": change.digest,
            "seq": operation.seq,
            "at_ms": operation.at_ms,
            "expires_ms": change.expires_ms,
        },
    )

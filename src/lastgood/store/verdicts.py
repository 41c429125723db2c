"""Where the newest verdicts on a version stand in the log, per environment."""

import sqlalchemy as sa

from lastgood.core.changes import VerdictsRecorded
from lastgood.core.operations import Operation
from lastgood.store.database import Connection
from lastgood.store.schema import verdicts
from lastgood.store.statement import Statement

__all__ = ["record_verdicts", "verdicts_of"]

_v = verdicts.c
_of = Statement(
    sa.select(_v.environment, _v.seq)
    .where(_v.model_id == sa.bindparam("model_id"), _v.version == sa.bindparam("version"))
    .order_by(_v.environment)
)
_forget = Statement(
    verdicts.delete().where(
        _v.model_id == sa.bindparam("id_"),
        _v.environment == sa.bindparam("environment_"),
        _v.version == sa.bindparam("version_"),
    )
)
_insert = Statement(verdicts.insert())


def verdicts_of(connection: Connection, model_id: int, version: int) -> dict[str, int]:
    """The newest operation with verdicts on the version, by environment."""
    rows = _of.all(connection, {"model_id": model_id, "version": version})
    return {str(environment): int(seq) for environment, seq in rows}


def record_verdicts(
    tx: Connection, model_id: int, change: VerdictsRecorded, operation: Operation
) -> None:
    """Note where the verdicts stand; they take the place of earlier ones."""
    of = {"id_": model_id, "environment_": change.environment, "version_": change.version}
    _forget.run(tx, of)
    _insert.run(
        tx,
        {
            "model_id": model_id,
            "environment": change.environment,
            "version": change.version,
            "seq": operation.seq,
        },
    )

"""What keeps versions out of environments beside holds on themselves: pauses, and holds on data."""

from dataclasses import dataclass

import sqlalchemy as sa

from lastgood.core.changes import EnvironmentPaused, HoldPlaced, HoldReleased
from lastgood.core.ids import Instant, ModelName, RefName, VersionNumber
from lastgood.core.operations import Operation
from lastgood.store.database import Connection
from lastgood.store.schema import (
    data_holds,
    models,
    origins,
    pauses,
    policies,
)
from lastgood.store.statement import Statement

__all__ = [
    "OF_THE_REGISTRY",
    "POLICY_NOW",
    "DataHoldRow",
    "PauseRow",
    "data_holds_in",
    "hold_data",
    "is_unruled",
    "kept_out_by_data",
    "pause_of",
    "release_data",
    "restrained",
    "set_pause",
]

OF_THE_REGISTRY = 0  # no model has this id: it would be that of an operation before the first

_p, _d, _o = pauses.c, data_holds.c, origins.c
_pause = Statement(
    sa.select(_p.seq, _p.at_ms, _p.actor, _p.reason).where(
        _p.model_id == sa.bindparam("model_id"), _p.environment == sa.bindparam("environment")
    )
)
_insert_pause = Statement(pauses.insert())
_delete_pause = Statement(
    pauses.delete().where(
        _p.model_id == sa.bindparam("id_"), _p.environment == sa.bindparam("environment_")
    )
)
_data = Statement(
    sa.select(models.c.name, _d.version, _d.digest, _d.actor, _d.reason, _d.expires_ms)
    .join(models, models.c.id == _d.model_id)
    .where(_d.environment == sa.bindparam("environment"))
)
_kept_out = Statement(
    sa.select(_o.version, models.c.name, _d.version)
    .select_from(data_holds)
    .join(origins, (_o.kind == "data") & (_o.value == _d.digest))
    .join(models, models.c.id == _d.model_id)
    .where(
        _d.environment == sa.bindparam("environment"),
        _o.model_id == sa.bindparam("model_id"),
        sa.or_(_d.expires_ms.is_(None), _d.expires_ms > sa.bindparam("now")),
        sa.or_(_d.model_id != _o.model_id, _d.version != _o.version),
    )
    .order_by(_d.model_id, _d.version)
)
POLICY_NOW = sa.select(policies.c.digest).order_by(policies.c.seq.desc()).limit(1).scalar_subquery()
"""The digest of the policy in force; NULL if there is none."""


def restrained(
    model_id: sa.ColumnElement[int], environment: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """That something is paused, or data on hold, in the environment."""
    return sa.or_(
        sa.exists().where(
            _p.model_id.in_((OF_THE_REGISTRY, model_id)), _p.environment == environment
        ),
        sa.exists().where(_d.environment == environment),
    )


_unruled = Statement(
    sa.select(
        sa.and_(
            POLICY_NOW.is_(None),
            ~restrained(sa.bindparam("model_id"), sa.bindparam("environment")),
        )
    )
)
_insert_data = Statement(data_holds.insert())
_delete_data = Statement(
    data_holds.delete().where(
        _d.model_id == sa.bindparam("id_"),
        _d.environment == sa.bindparam("environment_"),
        _d.version == sa.bindparam("version_"),
    )
)


@dataclass(frozen=True, slots=True)
class PauseRow:
    """An environment that takes no promotions."""

    seq: int
    at_ms: Instant
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class DataHoldRow:
    """A dataset that a held version was trained from; nothing else trained from it may go there."""

    model: ModelName
    version: VersionNumber
    digest: str
    actor: str
    reason: str
    expires_ms: Instant | None


def pause_of(connection: Connection, model_id: int, environment: str) -> PauseRow | None:
    """The pause of the environment, of that model or (0) of all."""
    row = _pause.first(connection, {"model_id": model_id, "environment": environment})
    return PauseRow(*row) if row else None


def data_holds_in(connection: Connection, environment: RefName) -> list[DataHoldRow]:
    """All holds on data in the environment, of every model."""
    return [DataHoldRow(*row) for row in _data.all(connection, {"environment": environment})]


def is_unruled(connection: Connection, model_id: int, environment: RefName) -> bool:
    """Whether no policy is in force, and nothing is paused and no data on hold there: nobody has to be asked."""
    return bool(_unruled.scalar(connection, {"model_id": model_id, "environment": environment}))


def kept_out_by_data(
    connection: Connection, model_id: int, environment: RefName, *, now: Instant
) -> dict[VersionNumber, str]:
    """Versions of a model that contain data on hold there, each with the version it is held with.

    Args:
        connection: A snapshot.
        model_id: The model.
        environment: Where the hold is.
        now: Holds that have expired by then do not count.
    """
    asked = {"environment": environment, "model_id": model_id, "now": now}
    found = _kept_out.all(connection, asked)
    return {VersionNumber(version): f"{name}/{held}" for version, name, held in found}


def set_pause(
    tx: Connection, model_id: int, change: EnvironmentPaused, operation: Operation
) -> None:
    """Pause or resume."""
    _delete_pause.run(tx, {"id_": model_id, "environment_": change.environment})
    if change.after:
        _insert_pause.run(
            tx,
            {
                "model_id": model_id,
                "environment": change.environment,
                "seq": operation.seq,
                "at_ms": operation.at_ms,
                "actor": operation.actor.name,
                "reason": operation.reason,
            },
        )


def hold_data(tx: Connection, model_id: int, change: HoldPlaced, operation: Operation) -> None:
    """Hold the data of a held version."""
    for digest in sorted(set(change.data)):
        _insert_data.run(
            tx,
            {
                "environment": change.environment,
                "digest": digest,
                "model_id": model_id,
                "version": change.version,
                "actor": change.owner or operation.actor.name,
                "reason": operation.reason,
                "expires_ms": change.expires_ms,
            },
        )


def release_data(tx: Connection, model_id: int, change: HoldPlaced | HoldReleased) -> None:
    """Release the data with the version."""
    _delete_data.run(
        tx, {"id_": model_id, "environment_": change.environment, "version_": change.version}
    )

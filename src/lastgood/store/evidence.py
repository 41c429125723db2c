"""What was found out about versions: the newest of each name, as operations recorded it."""

from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from lastgood.core.canonical import canonical
from lastgood.core.changes import EvidenceRecorded
from lastgood.core.evidence import Evidence
from lastgood.core.ids import Digest, Instant
from lastgood.core.operations import Operation
from lastgood.store.database import Connection
from lastgood.store.schema import evidence, models
from lastgood.store.statement import Statement

__all__ = ["EvidenceRow", "evidence_objects", "evidence_of", "record_evidence"]


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One finding, and the operation that recorded it."""

    evidence: Evidence
    seq: int
    at_ms: Instant
    actor: str


_e = evidence.c
_of_version = (
    _e.model_id == sa.bindparam("model_id_"),
    _e.version == sa.bindparam("version_"),
)
_forget = Statement(evidence.delete().where(*_of_version, _e.name == sa.bindparam("name_")))
_insert = Statement(evidence.insert())
_select = Statement(
    sa.select(_e.name, _e.outcome, _e.summary, _e.figures, _e.object, _e.seq, _e.at_ms, _e.actor)
    .where(*_of_version)
    .order_by(_e.name)
)


def record_evidence(
    tx: Connection, model_id: int, change: EvidenceRecorded, operation: Operation
) -> None:
    """Apply the change: it takes the place of what was known under the name."""
    _forget.run(tx, {"model_id_": model_id, "version_": change.version, "name_": change.name})
    _insert.run(
        tx,
        {
            "model_id": model_id,
            "version": change.version,
            "name": change.name,
            "outcome": change.outcome,
            "summary": change.summary,
            "figures": canonical(change.figures).decode(),
            "object": change.object,
            "seq": operation.seq,
            "at_ms": operation.at_ms,
            "actor": operation.actor.name,
        },
    )


def evidence_of(connection: Connection, model_id: int, version: int) -> list[EvidenceRow]:
    """The newest finding of each name, by name."""
    return [
        EvidenceRow(
            Evidence(
                name=name,
                outcome=outcome,
                summary=summary,
                figures=msgspec.json.decode(figures, type=dict[str, float | str]),
                object=None if stored is None else Digest(stored),
            ),
            seq,
            Instant(at_ms),
            actor,
        )
        for name, outcome, summary, figures, stored, seq, at_ms, actor in _select.all(
            connection, {"model_id_": model_id, "version_": version}
        )
    ]


def evidence_objects(connection: Connection) -> list[tuple[str, int, str, Digest]]:
    """Model, version, name and object of all evidence that has one."""
    query = sa.select(models.c.name, _e.version, _e.name, _e.object).join(
        models, models.c.id == _e.model_id
    )
    rows = connection.execute(query.where(_e.object.is_not(None)))
    return [(row[0], row[1], row[2], Digest(row[3])) for row in rows]

"""Reads of the registry's projections: rows as small typed values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lastgood.core.ids import Digest, Instant, ModelName, RefName, RunId, VersionNumber
from lastgood.core.stages import Stage
from lastgood.store.database import Connection
from lastgood.store.projections import folded
from lastgood.store.schema import (
    holds,
    marks,
    model_tags,
    models,
    numbering,
    origins,
    ref_moves,
    refs,
    version_tags,
    versions,
)
from lastgood.store.statement import Statement

__all__ = [
    "HoldRow",
    "MarkRow",
    "ModelRow",
    "MoveRow",
    "RefRow",
    "VersionRow",
    "all_models",
    "count_versions",
    "holds_of",
    "last_number",
    "latest_per_stage",
    "marks_of",
    "model_by_id",
    "model_named",
    "model_named_alike",
    "move_up_to",
    "moves_of",
    "next_move",
    "origins_of",
    "ref_of",
    "refs_of",
    "refs_to",
    "tags_of_model",
    "tags_of_version",
    "tags_of_versions",
    "version_from",
    "version_latest",
    "version_named",
    "version_of",
    "version_of_values",
    "versions_by_digest",
    "versions_from",
    "versions_from_run",
    "versions_in_stage",
    "versions_of",
]


FROM_A_RUN_MAX = 1000


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model."""

    id: int
    name: ModelName
    description: str
    created_ms: Instant
    changed_ms: Instant


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version."""

    model_id: int
    version: VersionNumber
    digest: Digest | None
    source: str
    run_id: str
    run_link: str
    user: str
    description: str
    logged_model_id: str
    artifact_uri: str
    size: int
    stage: Stage
    created_ms: Instant
    changed_ms: Instant
    seq: int


@dataclass(frozen=True, slots=True)
class RefRow:
    """A ref; `version` None: it was unset."""

    model_id: int
    ref: RefName
    version: VersionNumber | None
    seq: int
    moved_ms: Instant
    alias: bool


@dataclass(frozen=True, slots=True)
class MoveRow:
    """One move of a ref."""

    seq: int
    before: VersionNumber | None
    after: VersionNumber | None
    at_ms: Instant


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold."""

    environment: RefName
    version: VersionNumber
    seq: int
    at_ms: Instant
    actor: str
    reason: str
    owner: str
    expires_ms: Instant | None

    def counts_at(self, now: Instant) -> bool:
        """Whether it has not expired."""
        return self.expires_ms is None or now < self.expires_ms


@dataclass(frozen=True, slots=True)
class MarkRow:
    """A person's judgement."""

    environment: RefName
    version: VersionNumber
    value: str
    seq: int
    at_ms: Instant
    actor: str
    reason: str


_m, _v, _r, _w = models.c, versions.c, refs.c, ref_moves.c
_MODEL = (_m.id, _m.name, _m.description, _m.created_ms, _m.changed_ms)
_VERSION = tuple(_v)
_STAGE_AT = [column.name for column in _VERSION].index("stage")
_REF = tuple(_r)

_model_named = Statement(sa.select(*_MODEL).where(_m.name == sa.bindparam("name")))
_model_by_id = Statement(sa.select(*_MODEL).where(_m.id == sa.bindparam("id")))
_model_alike = Statement(sa.select(*_MODEL).where(_m.folded == sa.bindparam("folded")))
_version_of = Statement(
    sa.select(*_VERSION).where(
        _v.model_id == sa.bindparam("model_id"), _v.version == sa.bindparam("version")
    )
)
_version_named = Statement(
    sa.select(*_MODEL, *_VERSION)
    .select_from(models)
    .outerjoin(versions, sa.and_(_v.model_id == _m.id, _v.version == sa.bindparam("version")))
    .where(_m.name == sa.bindparam("name"))
)
_version_latest = Statement(
    sa.select(*_VERSION)
    .where(_v.model_id == sa.bindparam("model_id"))
    .order_by(_v.version.desc())
    .limit(1)
)
_stage = (
    sa.select(*_VERSION)
    .where(_v.model_id == sa.bindparam("model_id"), _v.stage == sa.bindparam("stage"))
    .order_by(_v.version.desc())
)
_in_stage = Statement(_stage)
_latest_in_stage = Statement(_stage.limit(1))
_ref_of = Statement(
    sa.select(*_REF).where(_r.model_id == sa.bindparam("model_id"), _r.ref == sa.bindparam("ref"))
)
_refs_of = Statement(
    sa.select(*_REF).where(_r.model_id == sa.bindparam("model_id")).order_by(_r.ref)
)
_tags_of_model = Statement(
    sa.select(model_tags.c.key, model_tags.c.value).where(
        model_tags.c.model_id == sa.bindparam("model_id")
    )
)
_tags_of_version = Statement(
    sa.select(version_tags.c.key, version_tags.c.value).where(
        version_tags.c.model_id == sa.bindparam("model_id"),
        version_tags.c.version == sa.bindparam("version"),
    )
)
_tags_of_versions = Statement(
    sa.select(version_tags.c.version, version_tags.c.key, version_tags.c.value).where(
        version_tags.c.model_id == sa.bindparam("model_id")
    )
)
_models = Statement(sa.select(*_MODEL).order_by(_m.name))
_versions_of = Statement(
    sa.select(*_VERSION)
    .where(_v.model_id == sa.bindparam("model_id"))
    .order_by(_v.version.desc())
    .limit(sa.bindparam("limit"))
)
_versions_from_run = Statement(
    sa.select(_m.name, *_VERSION)
    .join(models, _m.id == _v.model_id)
    .where(_v.run_id == sa.bindparam("run_id"))
    .order_by(_v.seq.desc())
    .limit(FROM_A_RUN_MAX)
)
_count_versions = Statement(
    sa.select(sa.func.count()).where(_v.model_id == sa.bindparam("model_id"))
)
_moves = sa.select(_w.seq, _w.before, _w.after, _w.at_ms).where(
    _w.model_id == sa.bindparam("model_id"), _w.ref == sa.bindparam("ref")
)
_moves_of = Statement(_moves.order_by(_w.seq.desc()).limit(sa.bindparam("limit")))
_move_up_to = Statement(
    _moves.where(_w.seq <= sa.bindparam("seq")).order_by(_w.seq.desc()).limit(1)
)
_next_move = Statement(_moves.where(_w.seq > sa.bindparam("seq")).order_by(_w.seq).limit(1))
_last_number = Statement(
    sa.select(numbering.c.last).where(numbering.c.name == sa.bindparam("name"))
)
_holds_cols = (
    holds.c.environment,
    holds.c.version,
    holds.c.seq,
    holds.c.at_ms,
    holds.c.actor,
    holds.c.reason,
    holds.c.owner,
    holds.c.expires_ms,
)
_holds_of = Statement(
    sa.select(*_holds_cols)
    .where(holds.c.model_id == sa.bindparam("model_id"))
    .order_by(holds.c.seq)
)
_marks_cols = (
    marks.c.environment,
    marks.c.version,
    marks.c.value,
    marks.c.seq,
    marks.c.at_ms,
    marks.c.actor,
    marks.c.reason,
)
_marks_of = Statement(
    sa.select(*_marks_cols)
    .where(marks.c.model_id == sa.bindparam("model_id"))
    .order_by(marks.c.seq)
)


def version_from(row: Sequence[Any]) -> VersionRow:
    """The version in a row of all columns of its table, in their order."""
    values = list(row)
    values[_STAGE_AT] = Stage(values[_STAGE_AT])
    return VersionRow(*values)


def version_of_values(values: Mapping[str, Any]) -> VersionRow:
    """The version with those values, by the names of the columns."""
    return VersionRow(**{**values, "stage": Stage(values["stage"])})


def model_named(connection: Connection, name: str) -> ModelRow | None:
    """The model of that name."""
    row = _model_named.first(connection, {"name": name})
    return ModelRow(*row) if row else None


def model_by_id(connection: Connection, model_id: int) -> ModelRow | None:
    """The model with that id; None: it was deleted."""
    row = _model_by_id.first(connection, {"id": model_id})
    return ModelRow(*row) if row else None


def model_named_alike(connection: Connection, name: str) -> ModelRow | None:
    """The model whose name is the same but for case."""
    row = _model_alike.first(connection, {"folded": folded(name)})
    return ModelRow(*row) if row else None


def all_models(connection: Connection) -> list[ModelRow]:
    """All models, by name."""
    return [ModelRow(*row) for row in _models.all(connection)]


def last_number(connection: Connection, name: str) -> int:
    """The highest version number ever given under that name."""
    return _last_number.scalar(connection, {"name": name}) or 0


def version_of(connection: Connection, model_id: int, version: int) -> VersionRow | None:
    """One version."""
    row = _version_of.first(connection, {"model_id": model_id, "version": version})
    return version_from(row) if row else None


def version_named(
    connection: Connection, name: str, version: int
) -> tuple[ModelRow, VersionRow | None] | None:
    """The model of that name with one of its versions, if it has that one."""
    row = _version_named.first(connection, {"name": name, "version": version})
    if row is None:
        return None
    found = row[len(_MODEL) :]
    return ModelRow(*row[: len(_MODEL)]), version_from(found) if found[0] is not None else None


def version_latest(connection: Connection, model_id: int) -> VersionRow | None:
    """The version with the highest number."""
    row = _version_latest.first(connection, {"model_id": model_id})
    return version_from(row) if row else None


def versions_of(connection: Connection, model_id: int, *, limit: int = 100_000) -> list[VersionRow]:
    """Versions of a model, newest first."""
    rows = _versions_of.all(connection, {"model_id": model_id, "limit": limit})
    return [version_from(row) for row in rows]


def versions_by_digest(connection: Connection, model_id: int, prefix: str) -> list[VersionRow]:
    """Versions whose digest begins so, newest first; at most a few."""
    query = (
        sa.select(*_VERSION)
        .where(_v.model_id == model_id, _v.digest.startswith(prefix, autoescape=True))
        .order_by(_v.version.desc())
        .limit(50)
    )
    return [version_from(row) for row in connection.execute(query)]


def versions_from_run(
    connection: Connection, run_id: RunId | str
) -> list[tuple[ModelName, VersionRow]]:
    """Versions registered from a run, newest first, with the names of their models."""
    rows = _versions_from_run.all(connection, {"run_id": run_id})
    return [(ModelName(row[0]), version_from(row[1:])) for row in rows]


def versions_from(
    connection: Connection, kind: str, prefix: str
) -> list[tuple[str, ModelName, VersionRow]]:
    """Versions made from a commit or from data whose digest begins so, newest first: value, model, version."""
    query = (
        sa.select(origins.c.value, _m.name, *_VERSION)
        .join(origins, (origins.c.model_id == _v.model_id) & (origins.c.version == _v.version))
        .join(models, _m.id == _v.model_id)
        .where(
            origins.c.kind == kind,
            origins.c.value >= prefix,
            origins.c.value < prefix + "\U0010ffff",
        )
        .order_by(_v.seq.desc())
        .limit(FROM_A_RUN_MAX)
    )
    return [(row[0], ModelName(row[1]), version_from(row[2:])) for row in connection.execute(query)]


def origins_of(connection: Connection, model_id: int, version: int) -> tuple[str, tuple[str, ...]]:
    """Commit and data digests of a version."""
    query = sa.select(origins.c.kind, origins.c.value).where(
        origins.c.model_id == model_id, origins.c.version == version
    )
    found = connection.execute(query).all()
    commits = [value for kind, value in found if kind == "commit"]
    return "".join(commits[:1]), tuple(sorted(value for kind, value in found if kind == "data"))


def versions_in_stage(connection: Connection, model_id: int, stage: Stage) -> list[VersionRow]:
    """Versions that carry the label, newest first."""
    return [
        version_from(r)
        for r in _in_stage.all(connection, {"model_id": model_id, "stage": stage.value})
    ]


def latest_per_stage(
    connection: Connection, model_id: int, stages: Sequence[Stage]
) -> list[VersionRow]:
    """The highest version of each stage; the cost does not depend on the number of versions."""
    found = []
    for stage in stages:
        row = _latest_in_stage.first(connection, {"model_id": model_id, "stage": stage.value})
        if row:
            found.append(version_from(row))
    return found


def ref_of(connection: Connection, model_id: int, ref: str) -> RefRow | None:
    """One ref, even if it was unset."""
    row = _ref_of.first(connection, {"model_id": model_id, "ref": ref})
    return RefRow(*row) if row else None


def refs_of(connection: Connection, model_id: int) -> list[RefRow]:
    """All refs of a model that point somewhere or did."""
    return [RefRow(*row) for row in _refs_of.all(connection, {"model_id": model_id})]


def refs_to(connection: Connection, model_id: int, version: int) -> list[RefRow]:
    """The refs that point to the version."""
    return [r for r in refs_of(connection, model_id) if r.version == version]


def moves_of(
    connection: Connection, model_id: int, ref: str, *, limit: int = 10_000
) -> list[MoveRow]:
    """Moves of a ref, newest first."""
    rows = _moves_of.all(connection, {"model_id": model_id, "ref": ref, "limit": limit})
    return [MoveRow(*row) for row in rows]


def move_up_to(connection: Connection, model_id: int, ref: str, seq: int) -> MoveRow | None:
    """The move in force at the end of operation `seq`."""
    row = _move_up_to.first(connection, {"model_id": model_id, "ref": ref, "seq": seq})
    return MoveRow(*row) if row else None


def next_move(connection: Connection, model_id: int, ref: str, seq: int) -> MoveRow | None:
    """The first move of the ref after operation `seq`."""
    row = _next_move.first(connection, {"model_id": model_id, "ref": ref, "seq": seq})
    return MoveRow(*row) if row else None


def count_versions(connection: Connection, model_id: int) -> int:
    """How many versions the model has."""
    return int(_count_versions.scalar(connection, {"model_id": model_id}))


def holds_of(connection: Connection, model_id: int) -> list[HoldRow]:
    """All holds on versions of the model, oldest first."""
    return [HoldRow(*row) for row in _holds_of.all(connection, {"model_id": model_id})]


def marks_of(connection: Connection, model_id: int) -> list[MarkRow]:
    """All judgements on versions of the model, oldest first."""
    return [MarkRow(*row) for row in _marks_of.all(connection, {"model_id": model_id})]


def tags_of_model(connection: Connection, model_id: int) -> dict[str, str]:
    """Tags of a model."""
    return dict(_tags_of_model.all(connection, {"model_id": model_id}))


def tags_of_version(connection: Connection, model_id: int, version: int) -> dict[str, str]:
    """Tags of one version."""
    return dict(_tags_of_version.all(connection, {"model_id": model_id, "version": version}))


def tags_of_versions(connection: Connection, model_id: int) -> dict[int, dict[str, str]]:
    """Tags of all versions of a model."""
    found: dict[int, dict[str, str]] = {}
    for version, key, value in _tags_of_versions.all(connection, {"model_id": model_id}):
        found.setdefault(version, {})[key] = value
    return found

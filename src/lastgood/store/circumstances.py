"""What an act on a version looks at before it decides, asked all at once and by the model's name.

Over a network the way there costs more than the answers; so nothing is asked that has to wait for another
answer, and what the log's next operation will need comes along.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lastgood.core.ids import ModelName, RefName
from lastgood.core.moves import RefFact
from lastgood.core.references import ANY_ENVIRONMENT
from lastgood.core.stages import Stage, ref_of_stage
from lastgood.store import log
from lastgood.store.backend import KNOWN
from lastgood.store.catalogue import VersionEntry, entry_from
from lastgood.store.database import Connection
from lastgood.store.registry import ModelRow, VersionRow, version_from
from lastgood.store.restraints import POLICY_NOW, restrained
from lastgood.store.schema import (
    holds,
    marks,
    models,
    numbering,
    refs,
    slot_events,
    version_tags,
    versions,
)
from lastgood.store.statement import Row, Statement

__all__ = [
    "MoveSeen",
    "NumbersSeen",
    "Surroundings",
    "look_at_alias",
    "look_at_numbers",
    "look_at_stages",
    "look_at_version",
    "remember_numbers",
]

_m, _v, _r, _t = models.c, versions.c, refs.c, version_tags.c
_name: sa.BindParameter[str] = sa.bindparam("name")
_version: sa.BindParameter[int] = sa.bindparam("version")
_to: sa.BindParameter[str] = sa.bindparam("to")
_MODEL = (_m.id, _m.name, _m.description, _m.created_ms, _m.changed_ms)
_STAGE_REFS = tuple(ref for stage in Stage if (ref := ref_of_stage(stage)))
_REFS_AT = len(_MODEL) + len(_v)  # in a row of a move: model, version, refs, surroundings

_surroundings = (
    sa.or_(
        sa.exists().where(
            holds.c.model_id == _m.id, holds.c.environment == _to, holds.c.version == _version
        ),
        sa.exists().where(
            marks.c.model_id == _m.id,
            marks.c.environment.in_((_to, ANY_ENVIRONMENT)),
            marks.c.version == _version,
            marks.c.value == "yanked",
        ),
    ),
    sa.exists().where(
        slot_events.c.model_id == _m.id,
        slot_events.c.ref == _to,
        slot_events.c.kind == "following",
    ),
    POLICY_NOW.is_not(None),
    restrained(_m.id, _to),
)
_model = sa.select(_m.id).where(_m.name == _name).scalar_subquery()
_belongings = Statement(  # an alias has no value
    sa.union_all(
        sa.select(_t.key, _t.value).where(_t.model_id == _model, _t.version == _version),
        sa.select(_r.ref, sa.null()).where(
            _r.model_id == _model, _r.version == _version, _r.alias.is_(True)
        ),
    )
)
_with_version = models.join(versions, sa.and_(_v.model_id == _m.id, _v.version == _version))
_of_version = Statement(sa.select(*_MODEL, *_v).select_from(_with_version).where(_m.name == _name))
_numbers = Statement(
    sa.select(_m.id, _m.name, numbering.c.last)
    .select_from(models.outerjoin(numbering, numbering.c.name == _m.name))
    .where(_m.name == _name)
)


def _of_move(
    *sought: RefName | sa.BindParameter[str],
    surroundings: Sequence[sa.ColumnElement[bool]] = _surroundings,
) -> Statement:
    tables = [refs.alias(f"ref_{i}") for i in range(len(sought))]
    whole: sa.FromClause = _with_version
    found: list[sa.ColumnElement[Any]] = []
    for table, ref in zip(tables, sought, strict=True):
        whole = whole.outerjoin(table, sa.and_(table.c.model_id == _m.id, table.c.ref == ref))
        found += [table.c.version, table.c.alias]
    query = sa.select(*_MODEL, *_v, *found, *surroundings)
    return Statement(query.select_from(whole).where(_m.name == _name))


_of_alias = _of_move(_to)
_of_stages = _of_move(*_STAGE_REFS)
_of_other_stages = _of_move(*_STAGE_REFS, surroundings=())


@dataclass(frozen=True, slots=True)
class NumbersSeen:
    """What a new version has to know of its model."""

    model_id: int
    name: ModelName
    last: int
    """The highest number ever given under that name."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Whether there is anything to look up before a version goes to an environment: mostly nothing."""

    kept_out: bool
    """It was yanked there or everywhere, or there is a hold on it, be it expired."""
    followed: bool
    """A gateway ever followed that ref."""
    ruled: bool
    """A policy is in force."""
    restrained: bool
    """Something is paused there, or data on hold."""


@dataclass(frozen=True, slots=True)
class MoveSeen:
    """A version with its model, and what matters for where it is to go."""

    model: ModelRow
    version: VersionRow
    refs: tuple[RefFact, ...]
    """Those asked about; one that never was points nowhere."""
    surroundings: Surroundings | None
    """Of the ref that it is to go to, if it is to go to one."""

    @property
    def is_unruled(self) -> bool:
        """Whether neither a policy nor a pause nor a hold on data has to be asked."""
        around = self.surroundings
        return around is not None and not (around.ruled or around.restrained)


def look_at_numbers(tx: Connection, name: str) -> NumbersSeen | None:
    """The numbers of the model of that name; None: there is no such model."""
    known: NumbersSeen | None = tx.info.get(KNOWN, {}).get((NumbersSeen, name))
    if known is not None:
        return known
    (found,) = log.ask_before_append(tx, [(_numbers, {"name": name})])
    if not found:
        return None
    model_id, model, last = found[0]
    return NumbersSeen(model_id, model, last or 0)


def remember_numbers(tx: Connection, numbers: NumbersSeen) -> None:
    """Spare the next version of the same transaction the look; to be called right after the version was appended."""
    if (known := tx.info.get(KNOWN)) is not None:
        known[NumbersSeen, numbers.name] = numbers


def look_at_version(tx: Connection, name: str, number: int) -> tuple[ModelRow, VersionEntry] | None:
    """A version with all that belongs to it, and its model; None: there is no such version."""
    asked = {"name": name, "version": number}
    found, belongings = log.ask_before_append(tx, [(_of_version, asked), (_belongings, asked)])
    if not found:
        return None
    model, version = _model_and_version(found[0])
    return model, entry_from(model.name, version, belongings)


def look_at_alias(tx: Connection, name: str, number: int, *, to: RefName) -> MoveSeen | None:
    """What matters for pointing a ref at a version; None: there is no such version."""
    asked = {"name": name, "version": number, "to": to}
    (found,) = log.ask_before_append(tx, [(_of_alias, asked)])
    return _move_from(found[0], (to,)) if found else None


def look_at_stages(
    tx: Connection, name: str, number: int, *, to: Stage
) -> tuple[MoveSeen, VersionEntry] | None:
    """What matters for moving a version to a stage, and all that belongs to it; None: there is no such version."""
    ref = ref_of_stage(to)
    asked = {"name": name, "version": number, "to": ref}
    of_move = _of_other_stages if ref is None else _of_stages
    found, belongings = log.ask_before_append(tx, [(of_move, asked), (_belongings, asked)])
    if not found:
        return None
    seen = _move_from(found[0], _STAGE_REFS)
    return seen, entry_from(seen.model.name, seen.version, belongings)


def _model_and_version(row: Row) -> tuple[ModelRow, VersionRow]:
    return ModelRow(*row[: len(_MODEL)]), version_from(row[len(_MODEL) : _REFS_AT])


def _move_from(row: Row, sought: Sequence[RefName]) -> MoveSeen:
    model, version = _model_and_version(row)
    end = _REFS_AT + 2 * len(sought)
    values = iter(row[_REFS_AT:end])
    facts = [RefFact(ref, next(values), alias=bool(next(values))) for ref in sought]
    around = Surroundings(*row[end:]) if len(row) > end else None
    return MoveSeen(model, version, tuple(facts), around)

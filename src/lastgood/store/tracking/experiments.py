"""Experiments and their tags."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.core.tracking import Experiment
from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.lists import among, listed
from lastgood.store.schema import experiment_tags, experiments
from lastgood.store.statement import Statement

__all__ = [
    "EXPERIMENT_COLUMNS",
    "add_experiment",
    "experiment_named",
    "experiment_of",
    "experiments_from",
    "next_experiment_id",
    "place_of",
    "places_of",
    "remove_experiment_tag",
    "set_experiment_tags",
    "update_experiment",
]

IDS_PER_QUERY = 500

EXPERIMENT_COLUMNS = tuple(experiments.c)
_FIELDS = tuple(column.name for column in EXPERIMENT_COLUMNS)
_c, _t = experiments.c, experiment_tags.c
_of = Statement(sa.select(*EXPERIMENT_COLUMNS).where(_c.id == sa.bindparam("id")))
_named = Statement(sa.select(*EXPERIMENT_COLUMNS).where(_c.name == sa.bindparam("name")))
_places_of = Statement(
    sa.select(_c.id, _c.artifact_location, _c.lifecycle).where(among(_c.id, sa.bindparam("ids")))
)
_add = Statement(experiments.insert())
_last_id = Statement(sa.select(sa.func.max(_c.id)))
_tags_of = sa.select(_t.experiment_id, _t.key, _t.value).where(
    _t.experiment_id.in_(sa.bindparam("ids", expanding=True))
)
_update = Statement(
    experiments.update()
    .where(_c.id == sa.bindparam("id_"))
    .values(
        name=sa.bindparam("name_"),
        lifecycle=sa.bindparam("lifecycle_"),
        changed_ms=sa.bindparam("changed_ms_"),
    )
)
_tag_insert = insert(experiment_tags)
_set_tag = Statement(
    _tag_insert.on_conflict_do_update(
        index_elements=["experiment_id", "key"], set_={"value": _tag_insert.excluded.value}
    ),
    ("experiment_id", "key", "value"),
)
_remove_tag = Statement(
    experiment_tags.delete().where(
        _t.experiment_id == sa.bindparam("id_"), _t.key == sa.bindparam("key_")
    )
)


def experiment_of(connection: Connection, experiment_id: int) -> Experiment | None:
    """The experiment of that id, deleted or not."""
    row = _of.first(connection, {"id": experiment_id})
    return experiments_from(connection, [row])[0] if row else None


def experiment_named(connection: Connection, name: str) -> Experiment | None:
    """The experiment of that name, deleted or not."""
    row = _named.first(connection, {"name": name})
    return experiments_from(connection, [row])[0] if row else None


def place_of(connection: Connection, experiment_id: int) -> tuple[str, str] | None:
    """Artifact location and lifecycle: all that a new run needs to know."""
    return places_of(connection, [experiment_id]).get(experiment_id)


def places_of(connection: Connection, experiment_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """The same of several, by their ids."""
    rows = _places_of.all(connection, {"ids": listed(connection, experiment_ids)})
    return {experiment_id: (location, lifecycle) for experiment_id, location, lifecycle in rows}


def experiments_from(connection: Connection, rows: Sequence[Sequence[Any]]) -> list[Experiment]:
    """Rows of `EXPERIMENT_COLUMNS` as experiments with their tags, in the same order."""
    ids = [row[0] for row in rows]
    tags: dict[int, dict[str, str]] = {i: {} for i in ids}
    for start in range(0, len(ids), IDS_PER_QUERY):
        for experiment_id, key, value in connection.execute(
            _tags_of, {"ids": ids[start : start + IDS_PER_QUERY]}
        ):
            tags[experiment_id][key] = value
    return [Experiment(**dict(zip(_FIELDS, row, strict=True)), tags=tags[row[0]]) for row in rows]


def next_experiment_id(tx: Connection) -> int:
    """An id that no experiment has."""
    return int(_last_id.scalar(tx) or 0) + 1


def add_experiment(tx: Connection, experiment: Experiment) -> None:
    """Store a new experiment with its tags."""
    _add.run(tx, {name: getattr(experiment, name) for name in _FIELDS})
    set_experiment_tags(tx, experiment.id, experiment.tags)


def update_experiment(tx: Connection, experiment: Experiment) -> None:
    """Store name, lifecycle and time of change."""
    _update.run(
        tx,
        {
            "id_": experiment.id,
            "name_": experiment.name,
            "lifecycle_": experiment.lifecycle,
            "changed_ms_": experiment.changed_ms,
        },
    )


def set_experiment_tags(tx: Connection, experiment_id: int, tags: Mapping[str, str]) -> None:
    """Set tags, replacing values that were there."""
    _set_tag.run_many(tx, [(experiment_id, k, v) for k, v in tags.items()])


def remove_experiment_tag(tx: Connection, experiment_id: int, key: str) -> bool:
    """Delete a tag; whether it was there."""
    return _remove_tag.count(tx, {"id_": experiment_id, "key_": key}) > 0

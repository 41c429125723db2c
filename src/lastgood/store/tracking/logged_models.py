"""Logged models: the models that runs wrote, before or without registration."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.core.tracking import LoggedModel, ModelMetric
from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.lists import among
from lastgood.store.schema import (
    logged_model_metrics,
    logged_model_params,
    logged_model_tags,
    logged_models,
)
from lastgood.store.statement import Statement

__all__ = [
    "MODEL_COLUMNS",
    "add_model",
    "add_model_params",
    "model_of",
    "models_among",
    "models_from",
    "remove_model_tag",
    "set_model_state",
    "set_model_tags",
    "tag_of",
]

IDS_PER_QUERY = 500
_NAN = float("nan")

MODEL_COLUMNS = tuple(logged_models.c)
_FIELDS = tuple(column.name for column in MODEL_COLUMNS)
_t, _p, _m = logged_model_tags.c, logged_model_params.c, logged_model_metrics.c
_model_of = Statement(
    sa.select(*MODEL_COLUMNS).where(logged_models.c.model_id == sa.bindparam("model_id"))
)
models_among = Statement(
    sa.select(logged_models.c.model_id).where(
        among(logged_models.c.model_id, sa.bindparam("model_ids"))
    )
)
"""Which of the ids in the list `model_ids` are those of logged models, deleted or not."""
_tag_of = Statement(
    sa.select(_t.value).where(
        _t.model_id == sa.bindparam("model_id"), _t.key == sa.bindparam("key")
    )
)
_ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_tags_of = sa.select(_t.model_id, _t.key, _t.value).where(_t.model_id.in_(_ids))
_params_of = sa.select(_p.model_id, _p.key, _p.value).where(_p.model_id.in_(_ids))
_metrics_of = (
    sa.select(
        _m.model_id,
        _m.key,
        _m.value,
        _m.is_nan,
        _m.at_ms,
        _m.step,
        _m.run_id,
        _m.dataset_name,
        _m.dataset_digest,
    )
    .where(_m.model_id.in_(_ids))
    .order_by(_m.model_id, _m.key, _m.at_ms, _m.step)
)
_add = Statement(logged_models.insert())
_PAIR = ("model_id", "key", "value")
_add_params = Statement(logged_model_params.insert(), _PAIR)
_tag_insert = insert(logged_model_tags)
_set_tag = Statement(
    _tag_insert.on_conflict_do_update(
        index_elements=["model_id", "key"], set_={"value": _tag_insert.excluded.value}
    ),
    _PAIR,
)
_remove_tag = Statement(
    logged_model_tags.delete().where(
        _t.model_id == sa.bindparam("id_"), _t.key == sa.bindparam("key_")
    )
)
_set_state = Statement(
    logged_models.update()
    .where(logged_models.c.model_id == sa.bindparam("id_"))
    .values(
        status=sa.bindparam("status_"),
        lifecycle=sa.bindparam("lifecycle_"),
        changed_ms=sa.bindparam("now_"),
    )
)


def add_model(tx: Connection, model: LoggedModel) -> None:
    """Store a new logged model with its first tags and parameters."""
    _add.run(tx, {name: getattr(model, name) for name in _FIELDS})
    set_model_tags(tx, model.model_id, model.tags)
    add_model_params(tx, model.model_id, model.params)


def model_of(connection: Connection, model_id: str) -> LoggedModel | None:
    """The logged model of that id, deleted or not."""
    row = _model_of.first(connection, {"model_id": model_id})
    return models_from(connection, [row])[0] if row else None


def tag_of(connection: Connection, model_id: str, key: str) -> str | None:
    """The value of a tag."""
    value: str | None = _tag_of.scalar(connection, {"model_id": model_id, "key": key})
    return value


def models_from(connection: Connection, rows: Sequence[Sequence[Any]]) -> list[LoggedModel]:
    """Rows of `MODEL_COLUMNS` as models, with their tags, parameters and metrics, in the same order."""
    ids = [row[0] for row in rows]
    tags: dict[str, dict[str, str]] = {i: {} for i in ids}
    params: dict[str, dict[str, str]] = {i: {} for i in ids}
    metrics: dict[str, list[ModelMetric]] = {i: [] for i in ids}
    for start in range(0, len(ids), IDS_PER_QUERY):
        some = {"ids": ids[start : start + IDS_PER_QUERY]}
        for model_id, key, value in connection.execute(_tags_of, some):
            tags[model_id][key] = value
        for model_id, key, value in connection.execute(_params_of, some):
            params[model_id][key] = value
        for model_id, key, value, is_nan, *rest in connection.execute(_metrics_of, some):
            metrics[model_id].append(ModelMetric(key, _NAN if is_nan else value, *rest))
    return [
        LoggedModel(
            **dict(zip(_FIELDS, row, strict=True)),
            tags=tags[row[0]],
            params=params[row[0]],
            metrics=tuple(metrics[row[0]]),
        )
        for row in rows
    ]


def set_model_state(
    tx: Connection, model_id: str, *, status: str, lifecycle: str, now_ms: int
) -> None:
    """Store status and lifecycle."""
    _set_state.run(
        tx, {"id_": model_id, "status_": status, "lifecycle_": lifecycle, "now_": now_ms}
    )


def set_model_tags(tx: Connection, model_id: str, tags: Mapping[str, str]) -> None:
    """Set tags, replacing values that were there."""
    _set_tag.run_many(tx, [(model_id, k, v) for k, v in tags.items()])


def remove_model_tag(tx: Connection, model_id: str, key: str) -> bool:
    """Delete a tag; whether it was there."""
    return _remove_tag.count(tx, {"id_": model_id, "key_": key}) > 0


def add_model_params(tx: Connection, model_id: str, params: Mapping[str, str]) -> None:
    """Store parameters that the model does not have yet."""
    _add_params.run_many(tx, [(model_id, k, v) for k, v in params.items()])

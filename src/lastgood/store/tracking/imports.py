"""Rows that come from another registry as they are: with their ids, times and whole histories."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.core.tracking import Experiment, LoggedModel, Metric
from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.schema import (
    experiment_tags,
    experiments,
    latest_metrics,
    logged_model_metrics,
    logged_models,
    runs,
)
from lastgood.store.statement import Statement
from lastgood.store.tracking.arrivals import arrived_at
from lastgood.store.tracking.experiments import set_experiment_tags
from lastgood.store.tracking.histories import add_to_histories
from lastgood.store.tracking.points import as_point
from lastgood.store.tracking.revisions import ChangingRun

__all__ = [
    "add_points",
    "add_points_of_model",
    "is_untouched",
    "known_models",
    "known_runs",
    "metric_keys",
    "replace_experiment",
    "set_latest",
]

IDS_PER_QUERY = 500

_LATEST = ("run_id", "key", "at_ms", "step", "value", "is_nan", "experiment_id", "start_ms")
_add_latest = Statement(latest_metrics.insert(), _LATEST)
_MODEL_POINT = (
    "model_id",
    "key",
    "at_ms",
    "step",
    "value",
    "is_nan",
    "run_id",
    "dataset_name",
    "dataset_digest",
)
_add_model_points = Statement(insert(logged_model_metrics).on_conflict_do_nothing(), _MODEL_POINT)
_ids: sa.BindParameter[str] = sa.bindparam("ids", expanding=True)
_known_runs = sa.select(runs.c.run_id).where(runs.c.run_id.in_(_ids))
_known_models = sa.select(logged_models.c.model_id).where(logged_models.c.model_id.in_(_ids))
_keys = Statement(
    sa.select(latest_metrics.c.key).where(latest_metrics.c.run_id == sa.bindparam("run_id"))
)
_id: sa.BindParameter[int] = sa.bindparam("id_")
_anything = sa.union_all(
    sa.select(runs.c.experiment_id).where(runs.c.experiment_id == _id),
    sa.select(logged_models.c.experiment_id).where(logged_models.c.experiment_id == _id),
    sa.select(experiment_tags.c.experiment_id).where(experiment_tags.c.experiment_id == _id),
).limit(1)
_touched = Statement(_anything)
_replace = Statement(
    experiments.update()
    .where(experiments.c.id == _id)
    .values(
        artifact_location=sa.bindparam("location_"),
        lifecycle=sa.bindparam("lifecycle_"),
        created_ms=sa.bindparam("created_ms_"),
        changed_ms=sa.bindparam("changed_ms_"),
    )
)


def known_runs(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of the runs that are here."""
    return _known(connection, _known_runs, ids)


def known_models(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of the logged models that are here, also deleted ones."""
    return _known(connection, _known_models, ids)


def _known(connection: Connection, query: sa.Select[Any], ids: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), IDS_PER_QUERY):
        some = list(ids[start : start + IDS_PER_QUERY])
        found.update(row[0] for row in connection.execute(query, {"ids": some}))
    return found


def metric_keys(connection: Connection, run_id: str) -> list[str]:
    """The metrics of a run."""
    known = {row[0] for row in _keys.all(connection, {"run_id": run_id})}
    waiting = {key for _, arrived in arrived_at(connection, [run_id]) for key, *_ in arrived}
    return sorted(known | waiting)


def is_untouched(connection: Connection, experiment_id: int) -> bool:
    """Whether nothing was ever put into the experiment: no run, no model, no tag."""
    return _touched.first(connection, {"id_": experiment_id}) is None


def replace_experiment(tx: Connection, experiment: Experiment) -> None:
    """Give the experiment of that id this place and these tags, times and lifecycle; its name stays."""
    _replace.run(
        tx,
        {
            "id_": experiment.id,
            "location_": experiment.artifact_location,
            "lifecycle_": experiment.lifecycle,
            "created_ms_": experiment.created_ms,
            "changed_ms_": experiment.changed_ms,
        },
    )
    set_experiment_tags(tx, experiment.id, experiment.tags)


def add_points(
    tx: Connection, run_id: str, key: str, points: Sequence[tuple[int, int, float]]
) -> None:
    """Store points (time, step, value) of a metric's history; those that are there already stay."""
    add_to_histories(tx, run_id, {key: [as_point(*point) for point in points]})


def set_latest(tx: Connection, run: ChangingRun, points: Sequence[Metric]) -> None:
    """Let these be the latest values of a new run's metrics; they belong to its history too."""
    latest = {p.key: as_point(p.at_ms, p.step, p.value) for p in points}
    add_to_histories(tx, run.run_id, {key: [point] for key, point in latest.items()})
    of_run = (run.experiment_id, run.start_ms)
    rows = [(run.run_id, key, *point, *of_run) for key, point in latest.items()]
    _add_latest.run_many(tx, rows)


def add_points_of_model(tx: Connection, model: LoggedModel) -> None:
    """Store the metrics of a logged model."""
    _add_model_points.run_many(
        tx,
        [
            (
                model.model_id,
                m.key,
                *as_point(m.at_ms, m.step, m.value),
                m.run_id,
                m.dataset_name,
                m.dataset_digest,
            )
            for m in model.metrics
        ],
    )

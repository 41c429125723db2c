"""Runs, their parameters and tags, and everything that is shown with a run."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from lastgood.core.tracking import Dataset, DatasetInput, Metric, ModelLink, Run, RunFacts
from lastgood.store.database import Connection
from lastgood.store.schema import (
    datasets,
    latest_metrics,
    params,
    run_datasets,
    run_models,
    run_tags,
    runs,
)
from lastgood.store.statement import Row, Statement
from lastgood.store.upsert import insert

__all__ = [
    "RUN_COLUMNS",
    "add_params",
    "add_run",
    "facts_of",
    "params_of",
    "remove_tag",
    "run_facts",
    "run_of",
    "set_lifecycle",
    "set_lifecycle_of_experiment",
    "set_tags",
    "tag_of",
    "update_run",
]

IDS_PER_QUERY = 500  # SQLite bounds the variables of a statement; each id is bound five times
_PARAM, _METRIC, _TAG, _DATASET, _MODEL = range(5)
_NAN = float("nan")

RUN_COLUMNS = tuple(runs.c)
_run_id: sa.BindParameter[str] = sa.bindparam("run_id")
_run_of = Statement(sa.select(*RUN_COLUMNS).where(runs.c.run_id == _run_id))
_set_lifecycle = Statement(
    runs.update()
    .where(runs.c.run_id == sa.bindparam("id_"))
    .values(lifecycle=sa.bindparam("lifecycle_"))
)
_set_lifecycle_of_experiment = Statement(
    runs.update()
    .where(runs.c.experiment_id == sa.bindparam("id_"))
    .values(lifecycle=sa.bindparam("lifecycle_"))
)
_update_run = Statement(
    runs.update()
    .where(runs.c.run_id == sa.bindparam("id_"))
    .values(
        status=sa.bindparam("status_"), end_ms=sa.bindparam("end_ms_"), name=sa.bindparam("name_")
    )
)
_tag_insert = insert(run_tags)
_PAIR = ("run_id", "key", "value", "experiment_id", "start_ms")
_RUN_COLUMNS = (
    "run_id",
    "experiment_id",
    "name",
    "user_id",
    "status",
    "start_ms",
    "end_ms",
    "lifecycle",
    "artifact_uri",
)
_add_run = Statement(runs.insert(), _RUN_COLUMNS)
_set_tags = Statement(
    _tag_insert.on_conflict_do_update(
        index_elements=["run_id", "key"], set_={"value": _tag_insert.excluded.value}
    ),
    _PAIR,
)
_add_params = Statement(insert(params).on_conflict_do_nothing(), _PAIR)
_tag_of = Statement(
    sa.select(run_tags.c.value).where(
        run_tags.c.run_id == _run_id, run_tags.c.key == sa.bindparam("key")
    )
)
_remove_tag = Statement(
    run_tags.delete().where(run_tags.c.run_id == _run_id, run_tags.c.key == sa.bindparam("key"))
)
_params_of = Statement(sa.select(params.c.key, params.c.value).where(params.c.run_id == _run_id))


def _part(
    kind: int, run_id: Any, *texts: Any, at_ms: Any = None, step: Any = None, value: Any = None
) -> sa.Select[Any]:
    # Every kind of fact as the same twelve columns, so that one statement reads a run.
    padded = [*texts, *[None] * (7 - len(texts))]
    columns = [sa.null() if c is None else c for c in (*padded, at_ms, step, value)]
    names = ("a", "b", "c", "d", "e", "f", "g", "at_ms", "step", "value")
    labelled = [column.label(name) for column, name in zip(columns, names, strict=True)]
    return sa.select(run_id.label("run_id"), sa.literal_column(str(kind)).label("kind"), *labelled)


def _facts_query(ids: sa.BindParameter[Any], *, many: bool) -> sa.CompoundSelect[Any]:
    def of(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return column.in_(ids) if many else column == ids

    p, m, t, r, d, o = (
        params.c,
        latest_metrics.c,
        run_tags.c,
        run_datasets.c,
        datasets.c,
        run_models.c,
    )
    dataset = (r.run_id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile, r.tags)
    return sa.union_all(
        _part(_PARAM, p.run_id, p.key, p.value).where(of(p.run_id)),
        _part(
            _METRIC,
            m.run_id,
            m.key,
            at_ms=m.at_ms,
            step=m.step,
            value=sa.case((m.is_nan, sa.null()), else_=m.value),
        ).where(of(m.run_id)),
        _part(_TAG, t.run_id, t.key, t.value).where(of(t.run_id)),
        _part(_DATASET, *dataset)
        .join_from(run_datasets, datasets, d.id == r.dataset_id)
        .where(of(r.run_id)),
        _part(_MODEL, o.run_id, o.model_id, o.direction, step=o.step).where(of(o.run_id)),
    )


_facts_of_one = Statement(_facts_query(_run_id, many=False))
_facts_of_many = _facts_query(sa.bindparam("run_ids", expanding=True), many=True)


def run_of(connection: Connection, run_id: str) -> Run | None:
    """The run of that id."""
    row = _run_of.first(connection, {"run_id": run_id})
    return Run(*row) if row else None


def run_facts(connection: Connection, run_id: str) -> RunFacts:
    """What was logged to the run; nothing if there is no such run."""
    facts = RunFacts()
    for row in _facts_of_one.all(connection, {"run_id": run_id}):
        _collect(facts, row)
    return facts


def facts_of(connection: Connection, run_ids: Sequence[str]) -> dict[str, RunFacts]:
    """What was logged to each of the runs."""
    found = {run_id: RunFacts() for run_id in run_ids}
    for start in range(0, len(run_ids), IDS_PER_QUERY):
        some = list(run_ids[start : start + IDS_PER_QUERY])
        for row in connection.execute(_facts_of_many, {"run_ids": some}).all():
            _collect(found[row[0]], row)
    return found


def _collect(facts: RunFacts, row: Sequence[Any]) -> None:
    _, kind, a, b, c, d, e, f, g, at_ms, step, value = row
    if kind == _METRIC:
        facts.metrics.append(Metric(a, _NAN if value is None else value, at_ms, step))
    elif kind == _PARAM:
        facts.params[a] = b
    elif kind == _TAG:
        facts.tags[a] = b
    elif kind == _DATASET:
        dataset = Dataset(name=a, digest=b, source_type=c, source=d, schema=e, profile=f)
        facts.datasets.append(
            DatasetInput(dataset=dataset, tags=msgspec.json.decode(g, type=dict[str, str]))
        )
    else:
        links = facts.model_inputs if b == "input" else facts.model_outputs
        links.append(ModelLink(a, step))


def add_run(tx: Connection, run: Run, tags: Mapping[str, str]) -> None:
    """Store a new run with its first tags."""
    _add_run.run_many(tx, [tuple(getattr(run, name) for name in _RUN_COLUMNS)])
    set_tags(tx, run, tags)


def update_run(tx: Connection, run: Run) -> None:
    """Store the run's status, end and name."""
    _update_run.run(
        tx, {"id_": run.run_id, "status_": run.status, "end_ms_": run.end_ms, "name_": run.name}
    )


def set_lifecycle(tx: Connection, run_id: str, lifecycle: str) -> bool:
    """Delete or restore the run; whether there is such a run."""
    return _set_lifecycle.run(tx, {"id_": run_id, "lifecycle_": lifecycle}) > 0


def set_lifecycle_of_experiment(tx: Connection, experiment_id: int, lifecycle: str) -> None:
    """Delete or restore all runs of an experiment."""
    _set_lifecycle_of_experiment.run(tx, {"id_": experiment_id, "lifecycle_": lifecycle})


def set_tags(tx: Connection, run: Run, tags: Mapping[str, str]) -> None:
    """Set tags, replacing values that were there."""
    _set_tags.run_many(tx, _pairs(run, tags))


def tag_of(connection: Connection, run_id: str, key: str) -> str | None:
    """The value of one tag."""
    value = _tag_of.scalar(connection, {"run_id": run_id, "key": key})
    return None if value is None else str(value)


def remove_tag(tx: Connection, run_id: str, key: str) -> bool:
    """Delete a tag; whether it was there."""
    return _remove_tag.run(tx, {"run_id": run_id, "key": key}) > 0


def params_of(connection: Connection, run_id: str) -> dict[str, str]:
    """All parameters of the run."""
    return dict(_params_of.all(connection, {"run_id": run_id}))


def add_params(tx: Connection, run: Run, wanted: Mapping[str, str]) -> bool:
    """Store parameters; those that the run has already stay as they are. Whether all were new."""
    return _add_params.run_many(tx, _pairs(run, wanted)) == len(wanted)


def _pairs(run: Run, pairs: Mapping[str, str]) -> list[Row]:
    return [(run.run_id, k, v, run.experiment_id, run.start_ms) for k, v in pairs.items()]

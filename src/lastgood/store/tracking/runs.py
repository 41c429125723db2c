"""Runs, their parameters and tags, and everything that is shown with a run."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import structs

from lastgood.core.tracking import (
    Dataset,
    DatasetInput,
    FoundRun,
    Metric,
    ModelLink,
    Run,
    RunFacts,
    RunPlace,
)
from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.lists import among, listed
from lastgood.store.schema import (
    HEAD_LENGTH,
    datasets,
    latest_metrics,
    params,
    run_datasets,
    run_models,
    run_tags,
    runs,
)
from lastgood.store.statement import Parameters, Row, Statement, ask_all
from lastgood.store.tracking.arrivals import Arrived, bodies_of_runs, opened
from lastgood.store.tracking.metrics import newest
from lastgood.store.tracking.revisions import RUN_COLUMNS, ChangingRun, fresh_revision, revised

__all__ = [
    "add_links",
    "add_params",
    "add_run",
    "add_runs",
    "facts_of",
    "metrics_from",
    "metrics_of_many",
    "pair_row",
    "put_params",
    "put_tags",
    "remove_tag",
    "rename",
    "run_of",
    "run_with_facts",
    "set_lifecycle",
    "set_lifecycle_of_experiment",
    "set_tags",
    "tag_of",
    "update_run",
]

_NAN = float("nan")
_read_tags = msgspec.json.Decoder(dict[str, str])

_run_id: sa.BindParameter[str] = sa.bindparam("run_id")
_run_of = Statement(sa.select(*RUN_COLUMNS).where(runs.c.run_id == _run_id))
_set_lifecycle = Statement(
    runs.update()
    .where(runs.c.run_id == sa.bindparam("id_"))
    .values(lifecycle=sa.bindparam("lifecycle_"), revision=sa.bindparam("revision_"))
)
_set_lifecycle_of_experiment = Statement(
    runs.update()
    .where(runs.c.experiment_id == sa.bindparam("id_"))
    .values(lifecycle=sa.bindparam("lifecycle_"), revision=sa.bindparam("revision_"))
)
_update_run = Statement(
    runs.update()
    .where(runs.c.run_id == sa.bindparam("id_"))
    .values(
        status=sa.bindparam("status_"), end_ms=sa.bindparam("end_ms_"), name=sa.bindparam("name_")
    )
)
_rename = Statement(
    runs.update().where(runs.c.run_id == sa.bindparam("id_")).values(name=sa.bindparam("name_"))
)
_tag_insert = insert(run_tags)
_PAIR = ("run_id", "key", "value", "experiment_id", "start_ms", "head")
_add_run = Statement(runs.insert(), [column.name for column in (*RUN_COLUMNS, runs.c.revision)])
_set_tags = Statement(
    _tag_insert.on_conflict_do_update(
        index_elements=["run_id", "key"],
        set_={name: _tag_insert.excluded[name] for name in ("value", "head")},
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
_runs: sa.BindParameter[Any] = sa.bindparam("run_ids")
_m, _d, _r, _o = latest_metrics.c, datasets.c, run_datasets.c, run_models.c
_params_of_many = Statement(
    sa.select(params.c.run_id, params.c.key, params.c.value).where(among(params.c.run_id, _runs))
)
metrics_of_many = Statement(
    # The flag as the driver gives it: making a bool of it costs as much as reading the row.
    sa.select(
        _m.run_id, _m.key, _m.value, _m.at_ms, _m.step, sa.type_coerce(_m.is_nan, sa.Integer)
    ).where(among(_m.run_id, _runs))
)
_tags_of_many = Statement(
    sa.select(run_tags.c.run_id, run_tags.c.key, run_tags.c.value).where(
        among(run_tags.c.run_id, _runs)
    )
)
_DATASET = ("name", "digest", "source_type", "source", "schema", "profile")
_datasets_of_many = Statement(
    sa.select(_r.run_id, _r.tags, *(_d[name] for name in _DATASET))
    .join_from(run_datasets, datasets, _d.id == _r.dataset_id)
    .where(among(_r.run_id, _runs))
)
_models_of_many = Statement(
    sa.select(_o.run_id, _o.direction, _o.model_id, _o.step).where(among(_o.run_id, _runs))
)

_FACTS = (
    _params_of_many,
    metrics_of_many,
    bodies_of_runs,
    _tags_of_many,
    _datasets_of_many,
    _models_of_many,
)


def run_of(connection: Connection, run_id: str) -> Run | None:
    """The run of that id."""
    row = _run_of.first(connection, {"run_id": run_id})
    return Run(*row) if row else None


def run_with_facts(connection: Connection, run_id: str) -> tuple[Run, RunFacts] | None:
    """The run of that id, and what was logged to it."""
    (rows, *facts) = ask_all(
        connection, [(_run_of, {"run_id": run_id}), *_about(connection, [run_id])]
    )
    return (Run(*rows[0]), _facts([run_id], facts)[run_id]) if rows else None


def facts_of(connection: Connection, run_ids: Sequence[str]) -> dict[str, RunFacts]:
    """What was logged to each of the runs; the number of statements does not depend on how many."""
    return _facts(run_ids, ask_all(connection, _about(connection, run_ids)))


def _about(connection: Connection, run_ids: Sequence[str]) -> list[tuple[Statement, Parameters]]:
    bound = {"run_ids": listed(connection, run_ids)}
    return [(statement, bound) for statement in _FACTS]


def _facts(run_ids: Sequence[str], answers: Sequence[list[Row]]) -> dict[str, RunFacts]:
    found = {run_id: RunFacts() for run_id in run_ids}
    its_params, its_metrics, waiting, its_tags, its_datasets, its_models = answers
    for run_id, key, value in its_params:
        found[run_id].params[key] = value
    for run_id, latest in metrics_from(its_metrics, waiting).items():
        found[run_id].metrics = latest
    for run_id, key, value in its_tags:
        found[run_id].tags[key] = value
    _add_links(found, its_datasets, its_models)
    return found


def metrics_from(its_metrics: Sequence[Row], waiting: Sequence[Row]) -> dict[str, list[Metric]]:
    """The latest point of each metric by run, from the rows of `metrics_of_many` and `bodies_of_runs`."""
    found: defaultdict[str, list[Metric]] = defaultdict(list)
    for run_id, key, value, at_ms, step, is_nan in its_metrics:
        found[run_id].append(Metric(key, _NAN if is_nan else value, at_ms, step))
    late: defaultdict[str, list[Arrived]] = defaultdict(list)
    for run_id, arrived in opened(waiting):
        late[run_id] += arrived
    for run_id, points in late.items():
        found[run_id] = newest(found[run_id], points)
    return found


def add_links(connection: Connection, found: Mapping[str, FoundRun]) -> None:
    """Add the datasets and models that went into each of the runs or came out of it."""
    bound = {"run_ids": listed(connection, list(found))}
    asked = [(statement, bound) for statement in (_datasets_of_many, _models_of_many)]
    _add_links(found, *ask_all(connection, asked))


def _add_links(
    found: Mapping[str, RunFacts] | Mapping[str, FoundRun],
    its_datasets: Sequence[Row],
    its_models: Sequence[Row],
) -> None:
    for run_id, tags, *fields in its_datasets:
        dataset = Dataset(**dict(zip(_DATASET, fields, strict=True)))
        given = DatasetInput(dataset=dataset, tags=_read_tags.decode(tags))
        found[run_id].datasets.append(given)
    for run_id, direction, model_id, step in its_models:
        facts = found[run_id]
        links = facts.model_inputs if direction == "input" else facts.model_outputs
        links.append(ModelLink(model_id, step))


def add_run(tx: Connection, run: Run, tags: Mapping[str, str]) -> ChangingRun:
    """Store a new run with its first tags; the run as it can be added to."""
    (new,) = add_runs(tx, [(run, tags)])
    return new


def add_runs(tx: Connection, wanted: Sequence[tuple[Run, Mapping[str, str]]]) -> list[ChangingRun]:
    """Store new runs with their first tags; the runs as they can be added to."""
    _add_run.run_many(tx, [(*structs.astuple(run), fresh_revision()) for run, _ in wanted])
    new = [revised(run) for run, _ in wanted]
    tags = [tags for _, tags in wanted]
    put_tags(
        tx,
        [pair_row(run, *pair) for run, its in zip(new, tags, strict=True) for pair in its.items()],
    )
    return new


def update_run(tx: Connection, run: ChangingRun) -> None:
    """Store the run's status, end and name."""
    _update_run.run(
        tx, {"id_": run.run_id, "status_": run.status, "end_ms_": run.end_ms, "name_": run.name}
    )


def set_lifecycle(tx: Connection, run_id: str, lifecycle: str) -> bool:
    """Delete or restore the run; whether there is such a run."""
    return _set_lifecycle.count(tx, _lifecycle(run_id, lifecycle)) > 0


def set_lifecycle_of_experiment(tx: Connection, experiment_id: int, lifecycle: str) -> None:
    """Delete or restore all runs of an experiment."""
    _set_lifecycle_of_experiment.run(tx, _lifecycle(experiment_id, lifecycle))


def _lifecycle(of: str | int, lifecycle: str) -> Parameters:
    return {"id_": of, "lifecycle_": lifecycle, "revision_": fresh_revision()}


def set_tags(tx: Connection, run: ChangingRun, tags: Mapping[str, str]) -> None:
    """Set tags, replacing values that were there."""
    put_tags(tx, [pair_row(run, key, value) for key, value in tags.items()])


def tag_of(connection: Connection, run_id: str, key: str) -> str | None:
    """The value of one tag."""
    value = _tag_of.scalar(connection, {"run_id": run_id, "key": key})
    return None if value is None else str(value)


def remove_tag(tx: Connection, run: ChangingRun, key: str) -> bool:
    """Delete a tag; whether it was there."""
    return _remove_tag.count(tx, {"run_id": run.run_id, "key": key}) > 0


def add_params(tx: Connection, run: ChangingRun, wanted: Mapping[str, str]) -> None:
    """Store parameters; those that the run has already stay as they are."""
    put_params(tx, [pair_row(run, key, value) for key, value in wanted.items()])


def put_params(tx: Connection, rows: Sequence[Row]) -> None:
    """The same of several runs, as `pair_row` makes them."""
    _add_params.run_many(tx, rows)


def put_tags(tx: Connection, rows: Sequence[Row]) -> None:
    """As `set_tags`, of several runs, as `pair_row` makes them; no key of a run twice."""
    _set_tags.run_many(tx, rows)


def rename(tx: Connection, run_id: str, name: str) -> None:
    """Give a run another name."""
    _rename.run(tx, {"id_": run_id, "name_": name})


def pair_row(run: Run | RunPlace, key: str, value: str) -> Row:
    """A parameter or tag of a run, as it is stored."""
    return (run.run_id, key, value, run.experiment_id, run.start_ms, value[:HEAD_LENGTH])

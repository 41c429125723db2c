"""What is shown with the runs that a search found.

A page of runs is mostly parameters, tags and metrics, thousands of small texts. The database writes
the JSON of parameters and tags, one text for each run, and other threads go on meanwhile; rows that
Python takes one by one cost twice as much. Metrics are rows: no database writes a number so that it is
read back the same in every place.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.core.tracking import FoundRun, Metric, Run
from lastgood.store.database import Connection
from lastgood.store.dialects import json_pairs
from lastgood.store.lists import among, each, listed
from lastgood.store.schema import latest_metrics, params, run_datasets, run_models, run_tags
from lastgood.store.statement import Statement, ask_all
from lastgood.store.tracking.runs import add_links

__all__ = ["found_runs"]

_NAN = float("nan")
_ids: sa.BindParameter[Any] = sa.bindparam("run_ids")
_run = each(_ids).table_valued("value", name="found").c.value
_m = latest_metrics.c


def _pairs(table: sa.Table) -> sa.ColumnElement[str]:
    c = table.c
    return sa.select(json_pairs(c.key, c.value)).where(c.run_id == _run).scalar_subquery()


def _has(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.select(sa.literal_column("1")).where(table.c.run_id == _run).exists()


_texts_of_many = Statement(
    sa.select(
        _run,
        _pairs(params),
        _pairs(run_tags),
        # The flag as the driver gives it: making a bool of it costs as much as reading the row.
        sa.type_coerce(sa.or_(_has(run_datasets), _has(run_models)), sa.Integer),
    )
)
_metrics_of_many = Statement(
    sa.select(
        _m.run_id, _m.key, _m.value, _m.at_ms, _m.step, sa.type_coerce(_m.is_nan, sa.Integer)
    ).where(among(_m.run_id, _ids))
)


def found_runs(connection: Connection, runs: Sequence[Run]) -> list[FoundRun]:
    """The runs with what was logged to them; the number of statements does not depend on how many."""
    bound = {"run_ids": listed(connection, [run.run_id for run in runs])}
    its_texts, its_metrics = ask_all(
        connection, [(_texts_of_many, bound), (_metrics_of_many, bound)]
    )
    texts = {row[0]: row for row in its_texts}
    found = [FoundRun(run, *texts[run.run_id][1:3]) for run in runs]
    known = {one.run.run_id: one for one in found}
    for run_id, key, value, at_ms, step, is_nan in its_metrics:
        known[run_id].metrics.append(Metric(key, _NAN if is_nan else value, at_ms, step))
    linked = [one for one in found if texts[one.run.run_id][3]]
    if linked:
        add_links(connection, {one.run.run_id: one for one in linked})
    return found

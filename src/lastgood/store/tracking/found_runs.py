"""What is shown with the runs that a search found.

A page of runs is mostly parameters, tags and metrics, thousands of small texts. The database writes
the JSON of parameters and tags, one text for each run, and other threads go on meanwhile; rows that
Python takes one by one cost twice as much. Metrics are rows: no database writes a number so that it is
read back the same in every place.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from lastgood.core.tracking import FoundRun, Run
from lastgood.store.database import Connection
from lastgood.store.dialects import json_pairs
from lastgood.store.lists import each, listed
from lastgood.store.schema import params, run_datasets, run_models, run_tags
from lastgood.store.statement import Statement, ask_all
from lastgood.store.tracking.arrivals import bodies_of_runs
from lastgood.store.tracking.runs import add_links, metrics_from, metrics_of_many

__all__ = ["found_runs"]

_ids: sa.BindParameter[Any] = sa.bindparam("run_ids")
_run = each(_ids).table_valued("value", name="found").c.value


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


def found_runs(connection: Connection, runs: Sequence[Run]) -> list[FoundRun]:
    """The runs with what was logged to them; the number of statements does not depend on how many."""
    bound = {"run_ids": listed(connection, [run.run_id for run in runs])}
    asked = [(one, bound) for one in (_texts_of_many, metrics_of_many, bodies_of_runs)]
    its_texts, its_metrics, waiting = ask_all(connection, asked)
    metrics = metrics_from(its_metrics, waiting)
    texts = {run_id: rest for run_id, *rest in its_texts}
    found, linked = [], {}
    for run in runs:
        its_params, its_tags, is_linked = texts[run.run_id]
        one = FoundRun(run, its_params, its_tags, metrics.get(run.run_id, []))
        found.append(one)
        if is_linked:
            linked[run.run_id] = one
    if linked:
        add_links(connection, linked)
    return found

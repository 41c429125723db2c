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
from lastgood.store.lists import among, listed
from lastgood.store.schema import params, run_datasets, run_models, run_tags, runs
from lastgood.store.statement import Row, Statement, ask_all
from lastgood.store.tracking.revisions import RUN_COLUMNS
from lastgood.store.tracking.runs import add_links, metrics_from, metrics_of_many

__all__ = ["found_runs"]

_WIDTH = len(RUN_COLUMNS)
_ids: sa.BindParameter[Any] = sa.bindparam("run_ids")


def _pairs(table: sa.Table) -> sa.ColumnElement[str]:
    c = table.c
    return sa.select(json_pairs(c.key, c.value)).where(c.run_id == runs.c.run_id).scalar_subquery()


def _has(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.select(sa.literal_column("1")).where(table.c.run_id == runs.c.run_id).exists()


_texts_of_many = Statement(
    sa.select(
        *RUN_COLUMNS,
        _pairs(params),
        _pairs(run_tags),
        # The flag as the driver gives it: making a bool of it costs as much as reading the row.
        sa.type_coerce(sa.or_(_has(run_datasets), _has(run_models)), sa.Integer),
    ).where(among(runs.c.run_id, _ids))
)


def found_runs(
    connection: Connection, run_ids: Sequence[str], waiting: Sequence[Row]
) -> list[FoundRun]:
    """The runs with what was logged to them; the number of statements does not depend on how many.

    Args:
        connection: Where to read.
        run_ids: Which runs. They come in the order of the database.
        waiting: The rows of `bodies_of_runs` of these runs.
    """
    bound = {"run_ids": listed(connection, run_ids)}
    its_texts, its_metrics = ask_all(
        connection, [(_texts_of_many, bound), (metrics_of_many, bound)]
    )
    metrics = metrics_from(its_metrics, waiting)
    found, linked = [], {}
    for row in its_texts:
        run_id: str = row[0]
        its_params, its_tags, is_linked = row[_WIDTH:]
        one = FoundRun(Run(*row[:_WIDTH]), its_params, its_tags, metrics.get(run_id, []))
        found.append(one)
        if is_linked:
            linked[run_id] = one
    if linked:
        add_links(connection, linked)
    return found

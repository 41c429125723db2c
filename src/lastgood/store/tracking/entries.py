"""What calls log to runs, stored for many calls at once.

Most calls of a server that tracks are small: a point of a metric, a tag. The statements for one of them cost
more than what it stores, and over a network each question is a way of its own. So what has to be known of
the runs of all that wait is asked at once, and then all of them are stored at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import msgspec
import sqlalchemy as sa

from lastgood.core.tracking import Metric, RunPlace
from lastgood.store.database import Connection
from lastgood.store.lists import among, listed
from lastgood.store.schema import params, runs
from lastgood.store.statement import Parameters, Row, Statement, ask_all
from lastgood.store.tracking.arrivals import Arrival, put_arrivals, weight_waiting
from lastgood.store.tracking.logged_models import models_among
from lastgood.store.tracking.metrics import add_model_metrics, fold, model_metric_row
from lastgood.store.tracking.revisions import change_all
from lastgood.store.tracking.runs import pair_row, put_params, put_tags, rename, run_of

__all__ = ["Entry", "Ledger"]

# What may wait of one run, as a sum of weights, where nobody else merges it.
WAITING_MAX = 50_000

_NONE: Mapping[str, str] = {}
_places = Statement(
    sa.select(
        runs.c.run_id, runs.c.experiment_id, runs.c.start_ms, runs.c.lifecycle, weight_waiting
    ).where(among(runs.c.run_id, sa.bindparam("run_ids")))
)
_known_params = Statement(
    sa.select(params.c.run_id, params.c.key, params.c.value).where(
        params.c.run_id == sa.bindparam("run_id"), among(params.c.key, sa.bindparam("keys"))
    )
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What one call logs to a run; checked but for what only the database knows."""

    run_id: str
    arrival: Arrival | None = None
    of_models: Sequence[Metric] = ()
    """Those of its points that name a logged model."""
    params: Mapping[str, str] = _NONE
    tags: Mapping[str, str] = _NONE
    name: str = ""
    """The run's new one."""


class Ledger:
    """What is known of the runs of some entries, and what was taken of the entries; stored by `store`.

    Args:
        tx: The writer's connection.
        entries: All that may be taken.
    """

    def __init__(self, tx: Connection, entries: Sequence[Entry]) -> None:
        places, pairs, models = _known(tx, entries)
        self._places = {row[0]: RunPlace(*row) for row in places}
        self._params = {(run_id, key): value for run_id, key, value in pairs}
        self._models = {model_id for (model_id,) in models}
        self._waiting: dict[str, int] = {}
        self._new_arrivals: list[Row] = []
        self._new_of_models: list[Row] = []
        self._new_params: list[Row] = []
        self._new_tags: dict[tuple[str, str], Row] = {}
        self._new_names: dict[str, str] = {}

    def place_of(self, entry: Entry) -> RunPlace | None:
        """The entry's run, if there is one."""
        return self._places.get(entry.run_id)

    def params_of(self, entry: Entry) -> dict[str, str]:
        """Which of the entry's parameters its run has, and with which values."""
        known, run_id = self._params, entry.run_id
        return {key: known[run_id, key] for key in entry.params if (run_id, key) in known}

    def knows_model(self, model_id: str) -> bool:
        """Whether there is that logged model, deleted or not."""
        return model_id in self._models

    @property
    def waiting(self) -> int:
        """What waits to be merged of the run of which most waits, as a sum of weights."""
        return max(self._waiting.values(), default=0)

    def take(self, entry: Entry, place: RunPlace) -> None:
        """Have an entry stored with the others; its parameters have no other values yet."""
        run_id = entry.run_id
        if (arrival := entry.arrival) is not None:
            weight = self._waiting.get(run_id, place.waiting) + arrival.weight
            self._waiting[run_id] = weight
            self._new_arrivals.append((run_id, weight, place.experiment_id, arrival.body))
        for point in entry.of_models:
            self._new_of_models.append(model_metric_row(run_id, point))
        for key, value in entry.params.items():
            if (run_id, key) not in self._params:
                self._params[run_id, key] = value
                self._new_params.append(pair_row(place, key, value))
        for key, value in entry.tags.items():
            self._new_tags[run_id, key] = pair_row(place, key, value)
        if entry.name:
            self._new_names[run_id] = entry.name

    def store(self, tx: Connection, *, waiting_max: int = WAITING_MAX) -> None:
        """Store all that was taken; what waits of a run is merged where it weighs more than `waiting_max`."""
        changed = {row[0] for row in self._new_params} | {run_id for run_id, _ in self._new_tags}
        change_all(tx, sorted(changed | self._new_names.keys()))
        put_arrivals(tx, self._new_arrivals)
        add_model_metrics(tx, self._new_of_models)
        put_params(tx, self._new_params)
        put_tags(tx, list(self._new_tags.values()))
        for run_id, name in self._new_names.items():
            rename(tx, run_id, name)
        for run_id, weight in self._waiting.items():
            if weight > waiting_max and (run := run_of(tx, run_id)) is not None:
                fold(tx, run)


def _known(
    tx: Connection, entries: Sequence[Entry]
) -> tuple[list[Row], Iterable[Row], Iterable[Row]]:
    """The places of the runs, their parameters of the same names, and the logged models; asked at once."""
    run_ids = {entry.run_id for entry in entries}
    models = {point.model_id for entry in entries for point in entry.of_models}
    asked: list[tuple[Statement, Parameters]] = [(_places, {"run_ids": listed(tx, list(run_ids))})]
    if models:
        asked.append((models_among, {"model_ids": listed(tx, list(models))}))
    # One question for each: all at once would be every key of every run.
    asked += [
        (_known_params, {"run_id": entry.run_id, "keys": listed(tx, list(entry.params))})
        for entry in entries
        if entry.params
    ]
    places, *others = ask_all(tx, asked)
    known_models = others.pop(0) if models else []
    return places, chain.from_iterable(others), known_models

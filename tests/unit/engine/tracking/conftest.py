"""Tracking over a real data directory, with a clock that tests turn."""

from dataclasses import dataclass

import pytest

from lastgood.core.ids import Instant
from lastgood.core.tracking import Metric
from lastgood.engine.open import Engine, init_data_directory, open_engine
from lastgood.engine.tracking import Tracking
from lastgood.engine.tracking.evidence import Batch
from lastgood.engine.tracking.runs import NewRun
from lastgood.engine.tracking.searches import Query, RunDocuments


@dataclass
class Desk:
    engine: Engine
    tracking: Tracking
    time: list

    def run(self, *, experiment="0", metrics=(), **batch):
        self.time[0] += 1000
        made, _ = self.tracking.runs.create(NewRun(experiment_id=experiment, tags={})).result()
        self.log(made.run_id, metrics=metrics, **batch)
        return made.run_id

    def log(self, run_id, *, metrics=(), params=(), tags=()):
        points = [m if isinstance(m, Metric) else Metric(*m) for m in metrics]
        batch = Batch(metrics=points, params=params, tags=tags)
        self.tracking.evidence.log_batch(run_id, batch).result()

    def facts(self, run_id):
        return self.tracking.runs.get(run_id)[1]

    def latest(self, run_id):
        return {m.key: m for m in self.facts(run_id).metrics}

    def found(
        self, filter_text="", *, order_by=(), experiments=("0",), view="ACTIVE_ONLY", most=1000
    ):
        query = Query(filter=filter_text, order_by=order_by, view=view, results_max=most)
        return [item.decode() for item in self.page(query, experiments=experiments).items]

    def page(self, query, *, experiments=("0",)):
        """A page of the ids of runs."""
        ids = RunDocuments(lambda found: found.run.run_id.encode())
        return self.tracking.searches.runs(experiments, query, ids)


@pytest.fixture
def desk(tmp_path, store_url):
    time = [1_800_000_000_000]
    init_data_directory(tmp_path / "data", store_url=store_url)
    with open_engine(tmp_path / "data", clock=lambda: Instant(time[0])) as engine:
        yield Desk(engine, Tracking(engine.kernel), time)

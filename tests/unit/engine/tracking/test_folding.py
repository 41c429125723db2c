"""What was logged is found at once, though what searches look through is merged later."""

import asyncio
import time

import pytest

from lastgood.api import upkeep
from lastgood.engine.tracking import folding
from lastgood.engine.tracking.folding import Folding
from lastgood.store.tracking.arrivals import runs_waiting

PATIENCE_S = 30.0


@pytest.fixture
def waiting(desk):
    database = desk.engine.kernel.database
    return lambda: {run_id for run_id, _ in database.peek(runs_waiting)}


def test_a_search_by_a_metric_sees_what_was_acknowledged(desk):
    low, high = desk.run(metrics=[("m", 1.0, 1)]), desk.run(metrics=[("m", 2.0, 1)])
    assert desk.found("metrics.m > 1") == [high]
    desk.log(low, metrics=[("m", 3.0, 2, 1)])
    assert set(desk.found("metrics.m > 1")) == {low, high}
    assert desk.found(order_by=["metrics.m DESC"]) == [low, high]


def test_without_merging_a_search_would_miss_it(desk, monkeypatch):
    desk.run(metrics=[("m", 2.0, 1)])
    monkeypatch.setattr(Folding, "of_experiments", lambda _self, _ids: None)
    assert desk.found("metrics.m > 1") == []


def test_a_search_merges_what_it_needs_and_no_more(desk, waiting):
    other = str(desk.tracking.experiments.create("other", tags={}).result().id)
    here, there = (
        desk.run(metrics=[("m", 1.0, 1)]),
        desk.run(experiment=other, metrics=[("m", 1.0, 1)]),
    )
    assert desk.found("status = 'RUNNING'") == [here]
    assert waiting() == {here, there}
    assert desk.found("metrics.m = 1") == [here]
    assert waiting() == {there}


@pytest.mark.parametrize("limit", ["RUNS_PER_WRITE", "WEIGHT_PER_WRITE"])
def test_many_runs_are_merged_in_several_writes(desk, waiting, monkeypatch, limit):
    monkeypatch.setattr(folding, limit, 3)
    runs = {desk.run(metrics=[("m", float(i), 1)]) for i in range(7)}
    assert waiting() == runs
    assert desk.tracking.folding.of_all() == len(runs)
    assert waiting() == set()
    assert set(desk.found("metrics.m >= 0")) == runs


def test_a_server_merges_on_its_own(desk, waiting, monkeypatch):
    monkeypatch.setattr(upkeep, "FOLD_INTERVAL_S", 0.01)
    desk.run(metrics=[("m", 1.0, 1)])

    def until_nothing_waits():
        deadline = time.monotonic() + PATIENCE_S
        while waiting():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    async def serve():
        task = asyncio.create_task(upkeep.keep_folded(desk.tracking.folding))
        await asyncio.to_thread(until_nothing_waits)
        await asyncio.to_thread(desk.run, metrics=[("m", 2.0, 1)])
        await asyncio.to_thread(until_nothing_waits)
        task.cancel()

    asyncio.run(serve())
    assert len(desk.found("metrics.m >= 1")) == 2

"""Samples of histories that are too long to be read for one."""

import math
from itertools import pairwise

import msgspec
import pytest

from lastgood.core.tracking import Metric, Run
from lastgood.store.open import open_database
from lastgood.store.tracking.arrivals import arrival_of, put_arrivals
from lastgood.store.tracking.metrics import add_metrics
from lastgood.store.tracking.samples import EVEN_POINTS_MAX, sampled_history

COUNT = EVEN_POINTS_MAX + 2_000
LIMIT = 320
RUN = Run("r", 0, "name", "user", "RUNNING", 1, None, "active", "")
HISTORIES = {
    "each step": [Metric("each step", i / 7, i // 10, i) for i in range(COUNT)],
    "swapped": [Metric("swapped", i / 7, i, i ^ 1) for i in range(COUNT)],
    "one step": [Metric("one step", i / 7, i * 10, 0) for i in range(COUNT)],
    "few steps": [Metric("few steps", i / 7, i * 10, i % 5) for i in range(COUNT)],
    "nothing differs": [Metric("nothing differs", i / 7, 1, 0) for i in range(COUNT)],
    "gap": [Metric("gap", math.nan, i, i + 10**12 * (i > 5000)) for i in range(COUNT)],
    "far": [Metric("far", 1.0, i, i * 2**49 - 2**62) for i in range(COUNT)],
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    database = open_database(tmp_path_factory.mktemp("long") / "lastgood.db")
    for points in HISTORIES.values():
        database.write(lambda tx, points=points: add_metrics(tx, RUN, points)).result()
    yield database
    database.close()


def sample(filled, key, *, limit=LIMIT, steps=None):
    return filled.read(lambda c: sampled_history(c, "r", key, limit=limit, steps=steps))


def place(metric):
    return metric.step, metric.at_ms, metric.value


@pytest.mark.parametrize("key", HISTORIES)
def test_a_sample_keeps_the_ends_and_the_order_and_has_nothing_twice(filled, key):
    found = sample(filled, key)
    ordered = sorted(HISTORIES[key], key=place)
    assert (found[0].step, found[0].at_ms) == (ordered[0].step, ordered[0].at_ms)
    assert (found[-1].step, found[-1].at_ms) == (ordered[-1].step, ordered[-1].at_ms)
    assert 2 <= len(found) <= LIMIT
    assert all(a.step <= b.step for a, b in pairwise(found))
    assert len({repr(one) for one in found}) == len(found)


def test_points_are_evenly_spread_over_steps(filled):
    steps = [one.step for one in sample(filled, "each step")]
    assert len(steps) == LIMIT
    assert max(b - a for a, b in pairwise(steps)) <= 1 + COUNT // (LIMIT - 1)


def evenly(points, limit):
    """The sample that the whole history gives, read and sorted."""
    ordered = sorted(points, key=place)
    size, larger = divmod(len(points), limit - 1)
    return [ordered[i * size + min(i, larger)] for i in range(limit - 1)] + ordered[-1:]


@pytest.mark.parametrize("key", ["each step", "swapped"])
@pytest.mark.parametrize("limit", [2, LIMIT, 2_500])
def test_places_are_the_same_whether_chunks_are_in_order_of_steps_or_not(filled, key, limit):
    assert sample(filled, key, limit=limit) == evenly(HISTORIES[key], limit)


def test_a_late_point_takes_its_place_among_the_steps_of_its_chunk(database):
    """The chunk that it comes into was in order of steps, and is not any more."""
    run, late = msgspec.structs.replace(RUN, run_id="late"), Metric("m", 1.0, 100, 200)
    others = [Metric("m", i / 7, i, i) for i in range(COUNT) if i != late.step]
    for points in (others, [late]):
        database.write(lambda tx, points=points: add_metrics(tx, run, points)).result()
    found = database.read(lambda c: sampled_history(c, "late", "m", limit=2_500, steps=None))
    assert found == evenly([*others, late], 2_500)


@pytest.mark.parametrize(("key", "least"), [("one step", LIMIT - 10), ("few steps", LIMIT - 10)])
def test_where_steps_are_few_points_are_spread_over_time(filled, key, least):
    found = sample(filled, key)
    assert len(found) >= least
    times = sorted(one.at_ms for one in found)
    assert max(b - a for a, b in pairwise(times)) < COUNT * 10 / 50


def test_a_range_of_steps(filled):
    found = sample(filled, "each step", steps=(500, 11_999), limit=50)
    assert (found[0].step, found[-1].step) == (500, 11_999)
    assert len(found) == 50
    few = sample(filled, "each step", steps=(500, 509), limit=50)
    assert [one.step for one in few] == list(range(500, 510))
    assert sample(filled, "each step", steps=(10**9, 10**10)) == []


def test_a_sample_of_what_waits_to_be_merged(database):
    arrival = arrival_of([Metric("m", i / 7, i, i) for i in range(COUNT)])
    database.write(lambda tx: put_arrivals(tx, [("waiting", 1, 0, arrival.body)])).result()
    found = database.read(lambda c: sampled_history(c, "waiting", "m", limit=LIMIT, steps=None))
    assert len(found) == LIMIT
    assert (found[0].step, found[-1].step) == (0, COUNT - 1)
    few = database.read(lambda c: sampled_history(c, "waiting", "m", limit=50, steps=(500, 509)))
    assert [one.step for one in few] == list(range(500, 510))


def test_a_sample_of_one_is_the_last_point(filled):
    assert [one.step for one in sample(filled, "each step", limit=1)] == [COUNT - 1]


def test_no_sample_reads_more_chunks_than_it_shows_points(filled):
    """Of the rest only the outline is read, which does not touch the bodies."""
    statements = []

    def look(connection):
        driver = connection.connection.driver_connection
        driver.set_trace_callback(statements.append)
        sampled_history(connection, "r", "each step", limit=5, steps=None)
        driver.set_trace_callback(None)
        return [
            row[3]
            for text in statements
            for row in driver.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()
        ]

    plan = filled.peek(look)
    assert sum(text.startswith("SELECT metric_chunks.in_step_order") for text in statements) <= 5
    assert all(step.startswith("SEARCH metric_") for step in plan if "metric_" in step)
    assert not any("TEMP B-TREE" in step for step in plan)

"""What runs logged: as it came, merged, and read in pages, is always the same set of points."""

import math
import random
from itertools import islice

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from lastgood.core.tracking import Metric, Run
from lastgood.store.open import open_database
from lastgood.store.tracking import metrics as store
from lastgood.store.tracking.arrivals import arrival_of, runs_waiting
from lastgood.store.tracking.entries import WAITING_MAX, Entry, Ledger
from lastgood.store.tracking.histories import CHUNK_POINTS, add_to_histories, points_after
from lastgood.store.tracking.metrics import history
from lastgood.store.tracking.points import as_metric, as_point, last_of, packed, unpacked
from lastgood.store.tracking.runs import add_run, facts_of
from lastgood.store.tracking.runs import run_of as stored_run

FLOATS = st.floats(allow_nan=False)
POINTS = st.tuples(
    st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), FLOATS, st.just(False)
)


def run_of(run_id):
    return Run(run_id, 3, "name", "user", "RUNNING", 1, None, "active", "")


def log(database, run, points):
    entry = Entry(run_id=run.run_id, arrival=arrival_of(points))

    def unit(tx):
        if stored_run(tx, run.run_id) is None:
            add_run(tx, run, {})
        ledger = Ledger(tx, [entry])
        ledger.take(entry, ledger.place_of(entry))
        ledger.store(tx)

    database.write(unit).result()


def fold(database, run):
    database.write(lambda tx: store.fold(tx, run)).result()


def waiting(database, *experiments):
    return [run_id for run_id, _ in database.read(lambda c: runs_waiting(c, experiments or None))]


def read(database, run, key="m", *, limit=10**6, after=None):
    return database.read(lambda c: history(c, run.run_id, key, limit=limit, after=after))


def paged(database, run, size, key="m"):
    found, after = [], None
    while page := read(database, run, key, limit=size, after=after):
        found += page
        after = page[-1]
    return found


@given(st.lists(POINTS, min_size=1))
def test_points_come_back_as_they_were(points):
    assert unpacked(packed(points)) == points
    assert last_of(packed(points)) == points[-1]


def test_nan_and_infinity_come_back():
    assert math.isnan(as_metric("m", as_point(1, 2, math.nan)).value)
    point = as_point(1, 2, -math.inf)
    assert as_metric("m", unpacked(packed([point]))[0]) == Metric("m", -math.inf, 1, 2)


ORDERS = {
    "in order": lambda points, _: points,
    "backwards": lambda points, _: points[::-1],
    "shuffled": lambda points, random_: random_.sample(points, len(points)),
    "old ones last": lambda points, _: points[len(points) // 3 :] + points[: len(points) // 3],
    "each twice": lambda points, random_: random_.sample(points * 2, 2 * len(points)),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 7, 400, 5_000])
def test_a_history_is_a_set_in_order_of_time_however_it_came(database, order, size):
    """Calls of all sizes, merged at some moments and waiting at others."""
    random_ = random.Random(f"{order} {size}")
    count = 150 if size == 1 else 2_500
    every = [as_point(i // 3, i % 5, math.nan if i % 50 == 0 else i / 7) for i in range(count)]
    run, coming = run_of("r"), ORDERS[order](every, random_)
    for start in range(0, len(coming), size):
        log(database, run, [as_metric("m", point) for point in coming[start : start + size]])
        if random_.random() < 0.3:
            fold(database, run)
            assert not waiting(database)
    wanted = sorted(every)
    for folded in (False, True):
        if folded:
            fold(database, run)
        assert read(database, run) == wanted
        assert paged(database, run, 377) == wanted
        middle = wanted[len(wanted) // 2]
        assert read(database, run, after=middle, limit=5) == wanted[len(wanted) // 2 + 1 :][:5]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_chunks_never_overlap_and_stay_within_their_size(tmp_path_factory, data):
    database = open_database(tmp_path_factory.mktemp("chunks") / "lastgood.db")
    generator = random.Random(data.draw(st.integers(0, 2**32)))
    known = set()
    for _ in range(data.draw(st.integers(1, 6))):
        span = generator.choice([50, 3_000, 10**9])
        points = [
            (generator.randrange(span), generator.randrange(3), float(i % 4), False)
            for i in range(generator.choice([1, 30, 900, 2_000]))
        ]
        known.update(points)
        database.write(
            lambda tx, points=points: add_to_histories(tx, "r", {"m": list(points)})
        ).result()
    rows = database.peek(
        lambda c: c.execute(
            sa.text(
                "SELECT at_ms, step, value, is_nan, count, body FROM metric_chunks ORDER BY 1, 2, 3, 4"
            )
        ).all()
    )
    pieces = [unpacked(row.body) for row in rows]
    everything = database.read(lambda c: list(points_after(c, "r", "m", None)))
    assert everything == sorted(known)
    assert [point for piece in pieces for point in piece] == everything[: sum(map(len, pieces))]
    for row, piece in zip(rows, pieces, strict=True):
        assert tuple(row[:4]) == piece[0]
        assert row.count == len(piece) <= CHUNK_POINTS
    sealed = database.peek(lambda c: c.execute(sa.text("SELECT sealed FROM metric_tails")).scalar())
    assert sealed == sum(map(len, pieces))
    database.close()


def test_a_page_reads_no_more_chunks_than_it_shows(database):
    points = [as_point(i, i, 1.0) for i in range(100 * CHUNK_POINTS)]
    database.write(lambda tx: add_to_histories(tx, "r", {"m": points})).result()
    place = points[50 * CHUNK_POINTS]
    found = database.read(lambda c: list(islice(points_after(c, "r", "m", place), 10)))
    assert [point[0] for point in found] == [place[0] + 1 + i for i in range(10)]


def test_what_waits_shows_at_once(database):
    run = run_of("r")
    log(database, run, [Metric("a", 1.0, 5, 1), Metric("b", math.nan, 5, 1)])
    fold(database, run)
    log(database, run, [Metric("a", 2.0, 4, 2), Metric("b", 7.0, 9, 0), Metric("c", 3.0, 1, 0)])
    found = database.read(lambda c: facts_of(c, ["r"]))["r"].metrics
    by_key = {metric.key: (metric.value, metric.step) for metric in found}
    assert by_key.pop("b")[1] == 1  # of the greatest step, though a later time is known
    assert by_key == {"a": (2.0, 2), "c": (3.0, 0)}
    assert [point[0] for point in read(database, run, "a")] == [4, 5]


def test_what_waits_is_found_by_experiment(database):
    run = run_of("r")
    log(database, run, [Metric("a", 1.0, 5, 1)])
    assert waiting(database) == waiting(database, 3) == ["r"]
    assert waiting(database, 4) == []
    fold(database, run)
    assert waiting(database) == []


def test_no_more_than_so_much_waits_of_one_run(database):
    run, other = run_of("r"), run_of("other")
    log(database, other, [Metric("a", 1.0, 5, 1)])
    calls = WAITING_MAX // 5_000
    for i in range(calls):
        log(database, run, [Metric("a", 1.0, i, j) for j in range(5_000)])
    assert waiting(database) == ["other"]
    assert len(read(database, run, "a")) == calls * 5_000

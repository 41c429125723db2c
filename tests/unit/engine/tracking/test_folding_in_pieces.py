"""Much that waits of one run is merged in pieces; whatever comes between them, no point is lost or doubled."""

import asyncio
import time

import pytest

from lastgood.api import upkeep
from lastgood.core.tracking import Metric
from lastgood.engine.tracking import entries, folding
from lastgood.store.tracking import pieces
from lastgood.store.tracking.arrivals import ROW_WEIGHT, arrival_of, runs_waiting
from lastgood.store.tracking.histories import points_after

KEYS = [f"m{i}" for i in range(7)]
PATIENCE_S = 30.0


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(folding, "WEIGHT_PER_WRITE", 20)
    monkeypatch.setattr(pieces, "PIECE_WEIGHT", 25)


@pytest.fixture
def between(desk, monkeypatch):
    """Has something done after each piece of a merge; all in all no more than 20 times."""
    database = desk.engine.kernel.database

    def install(what):
        original, left = database.write, list(range(20))

        def write(unit):
            future = original(unit)
            if getattr(unit, "func", None) is folding.merge_piece and left:
                future.result()
                what(left.pop(0))
            return future

        monkeypatch.setattr(database, "write", write)

    return install


def log_some(desk, run_id, first, *, count=10):
    for i in range(first, first + count):
        desk.log(run_id, metrics=[(key, float(i), 1000 - i, i) for key in KEYS])


def merged(desk, run_id):
    """What is in the histories alone."""
    read = desk.engine.kernel.database.read
    return {
        key: [p[1] for p in read(lambda c, k=key: list(points_after(c, run_id, k, None)))]
        for key in KEYS
    }


def steps(desk, run_id, key):
    return [m.step for m in desk.tracking.searches.history(run_id, key).items]


def waits(desk):
    return desk.engine.kernel.database.peek(runs_waiting)


@pytest.mark.usefixtures("small_pieces")
def test_a_merge_in_pieces_merges_all(desk, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        folding,
        "merge_piece",
        lambda tx, **k: (sizes.append(len(k["piece"])), pieces.merge_piece(tx, **k)),
    )
    run_id = desk.run()
    log_some(desk, run_id, 0)
    desk.tracking.folding.of_all()
    assert len(sizes) > 2
    assert waits(desk) == []
    assert merged(desk, run_id) == {key: list(reversed(range(10))) for key in KEYS}


@pytest.mark.usefixtures("small_pieces")
def test_what_is_logged_between_pieces_waits_for_the_next_merge(desk, between):
    run_id = desk.run()
    log_some(desk, run_id, 0)
    between(lambda i: log_some(desk, run_id, 100 + i, count=1))
    desk.tracking.folding.of_all()
    for key in KEYS:
        assert set(range(10)) < set(steps(desk, run_id, key))
        assert len(steps(desk, run_id, key)) == len(set(steps(desk, run_id, key)))
    ((waiting, weight),) = waits(desk)
    came_meanwhile = max(steps(desk, run_id, "m0")) - 99
    assert (waiting, weight) == (run_id, came_meanwhile * (ROW_WEIGHT + len(KEYS)))
    while waits(desk):
        desk.tracking.folding.of_all()
    newest = max(merged(desk, run_id)["m0"])
    assert newest > 100
    assert desk.latest(run_id)["m0"].step == newest


def merge_elsewhere_and_log_again(desk, run_id):
    """As another server over the same database may do: all is merged, and new points get the ids of the old ones."""

    def between_pieces(i):
        if i == 0:
            folding.Folding(desk.engine.kernel).of_all()
            log_some(desk, run_id, 100)

    return between_pieces


@pytest.mark.usefixtures("small_pieces")
def test_a_merge_forgets_nothing_that_came_after_another_one_had_merged_the_same(desk, between):
    run_id = desk.run()
    log_some(desk, run_id, 0)
    between(merge_elsewhere_and_log_again(desk, run_id))
    desk.tracking.folding.of_all()
    assert set(steps(desk, run_id, "m0")) == {*range(10), *range(100, 110)}


@pytest.mark.usefixtures("small_pieces")
def test_without_looking_it_would(desk, between, monkeypatch):
    run_id = desk.run()
    log_some(desk, run_id, 0)
    between(merge_elsewhere_and_log_again(desk, run_id))
    monkeypatch.setattr(
        folding,
        "finish",
        lambda tx, run_id, rows: pieces.remove_arrivals(tx, run_id, rows[-1][0]),
    )
    desk.tracking.folding.of_all()
    assert set(steps(desk, run_id, "m0")) == set(range(10))


@pytest.mark.usefixtures("small_pieces")
def test_a_merge_that_ends_in_the_middle_is_done_again(desk, between):
    run_id = desk.run()
    log_some(desk, run_id, 0)

    def fail(_i):
        raise ConnectionError

    between(fail)
    with pytest.raises(ConnectionError):
        desk.tracking.folding.of_all()
    assert sorted(steps(desk, run_id, "m0")) == list(range(10))
    for _ in range(25):  # it fails once for each piece
        try:
            desk.tracking.folding.of_all()
        except ConnectionError:
            continue
        break
    assert waits(desk) == []
    assert merged(desk, run_id) == {key: list(reversed(range(10))) for key in KEYS}


def test_a_server_does_not_wait_for_the_next_round_when_much_waits(desk, monkeypatch):
    monkeypatch.setattr(upkeep, "FOLD_INTERVAL_S", 3600.0)
    monkeypatch.setattr(entries, "MUCH_WAITS", 500)
    run_id = desk.run(metrics=[("first", 1.0, 1)])

    def until(waiting):
        deadline = time.monotonic() + PATIENCE_S
        while bool(waits(desk)) != waiting:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    async def serve():
        task = asyncio.create_task(upkeep.keep_folded(desk.tracking.folding))
        await asyncio.to_thread(until, False)
        points = [("m", float(i), i) for i in range(600)]
        await asyncio.to_thread(desk.log, run_id, metrics=points)
        await asyncio.to_thread(until, False)
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(serve())
    assert len(steps(desk, run_id, "m")) == 600
    desk.log(run_id, metrics=[("m", 1.0, i) for i in range(1000, 1600)])
    assert waits(desk) == []  # nobody listens any more: the call itself has merged


def test_points_of_one_metric_are_split_as_well(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_WEIGHT", 30)
    body = arrival_of([Metric("m", 1.0, i) for i in reversed(range(100))]).body
    found = [piece["m"] for piece in pieces.pieces_of([(1, body)]) if piece]
    assert [len(points) for points in found] == [30, 30, 30, 10]
    assert [point[0] for points in found for point in points] == list(range(100))

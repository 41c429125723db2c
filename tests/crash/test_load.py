"""Many clients at once, kills and restarts among them: what they were told is true, and nobody gets an odd answer."""

import asyncio
import itertools
import json
import random
import socket
import time

import httpx
import pytest
from load_clients import API, PATIENCE_S, Line, Server, Told, mixed_load, prepared, stopped

from lastgood.engine.open import open_engine
from lastgood.engine.tracking import Tracking

WRITERS, READERS = 50, 50
SECONDS, SECONDS_NIGHTLY = 4, 60
KILLS, KILLS_NIGHTLY = 2, 20
REGISTRARS = 64
VERSIONS, VERSIONS_NIGHTLY = 640, 10_000
CONNECTIONS = 1000
MEMORY_MAX = 700 * 2**20


@pytest.fixture
def server(tmp_path):
    started = Server(tmp_path)
    yield started
    stopped(started)


def flaws(server, writers, *, interruptions=0):
    """What the store does not have, or has without having been asked for; call it when the server has ended."""
    with open_engine(server.data) as engine:
        tracking = Tracking(engine.kernel)
        for writer in writers:
            points = tracking.searches.history(writer.run_id, "m").items
            stored = [point.step for point in points]
            if missing := set(writer.steps) - set(stored):
                yield f"{writer.name}: lost points {sorted(missing)}"
            if len(stored) - len(writer.steps) > interruptions:
                yield f"{writer.name}: {len(stored)} points, {len(writer.steps)} acknowledged"
            tags = tracking.runs.get(writer.run_id)[1].tags
            if int(tags.get("last", 0)) < writer.tag:
                yield f"{writer.name}: tag {tags.get('last')}, acknowledged {writer.tag}"
        numbers = [view.version for view in engine.registry.versions("shared")]
        told = [number for writer in writers for number in writer.versions]
        if len(told) != len(set(told)):
            yield "a version number was given twice"
        if missing := set(told) - set(numbers):
            yield f"lost versions {sorted(missing)}"
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            yield "a version number was skipped"
        for problem in engine.registry.fsck().problems:
            yield str(problem)


def under_load(server, during):
    writers, told = prepared(server, WRITERS), Told()
    asyncio.run(mixed_load(server, writers, READERS, told, during))
    assert told.strange == []
    assert len(told.write_s) > WRITERS
    assert len(told.read_s) > READERS
    return writers, told


@pytest.mark.slow
def test_fifty_writers_and_fifty_readers(server):
    mixed(server, SECONDS)


@pytest.mark.nightly
def test_fifty_writers_and_fifty_readers_for_a_minute(server):
    mixed(server, SECONDS_NIGHTLY)


def mixed(server, seconds):
    writers, told = under_load(server, lambda: time.sleep(seconds))
    assert set(told.statuses) == {200}
    assert told.lost == 0
    assert stopped(server) == 0
    assert "locked" not in server.log.read_text()
    assert list(flaws(server, writers)) == []
    p99_ms = sorted(told.write_s)[int(len(told.write_s) * 0.99)] * 1000
    text = f"{len(told.write_s):,} writes and {len(told.read_s):,} reads in {seconds} s"
    print(f"{text}, p99 of writes {p99_ms:.0f} ms")


@pytest.mark.slow
def test_kills_under_load(server):
    killed(server, KILLS, 1)


@pytest.mark.nightly
def test_many_kills_under_load(server):
    killed(server, KILLS_NIGHTLY, time.time_ns())


def killed(server, kills, seed):
    rng = random.Random(seed)

    def kill():
        for _ in range(kills):
            time.sleep(rng.uniform(0.3, 2.0))
            server.kill()
            server.start()
        time.sleep(1)

    writers, told = under_load(server, kill)
    assert told.lost > 0  # somebody was in the middle of something
    stopped(server)
    assert list(flaws(server, writers, interruptions=kills)) == []
    text = f"{kills} kills, {len(told.write_s):,} acknowledged writes, none lost"
    print(f"{text}; {told.lost:,} requests without an answer")


@pytest.mark.slow
def test_restarts_under_load(server):
    def restart():
        for _ in range(2):
            time.sleep(1)
            assert server.stop() == 0
            server.start()
        time.sleep(1)

    writers, _ = under_load(server, restart)
    assert stopped(server) == 0
    assert list(flaws(server, writers, interruptions=2)) == []


@pytest.mark.slow
def test_what_was_acknowledged_and_is_not_there_would_be_seen(server):
    """The control."""
    writers, _ = under_load(server, lambda: time.sleep(1))
    stopped(server)
    writers[0].steps.append(10**9)
    writers[1].versions += [10**6, 10**6]
    writers[2].steps.clear()
    writers[3].tag = 10**9
    found = " ".join(flaws(server, writers))
    for words in ("w0: lost points", "given twice", "lost versions", "w2: ", "w3: tag"):
        assert words in found


# --- registrations --------------------------------------------------------------------------------


@pytest.mark.slow
def test_many_register_versions_of_one_model(server):
    register_together(server, VERSIONS)


@pytest.mark.nightly
def test_ten_thousand_versions_of_one_model(server):
    register_together(server, VERSIONS_NIGHTLY)


def register_together(server, count):
    (writer,) = prepared(server, 1)
    told = []

    async def register(numbers):
        line = Line(server.port)
        for number in numbers:
            body = {"name": "shared", "source": f"s3://b/{number}", "run_id": writer.run_id}
            status, _, content = await line.call("POST", f"{API}/model-versions/create", body)
            assert status == 200, content
            told.append(int(json.loads(content)["model_version"]["version"]))
        line.close()

    async def all_at_once():
        shares = [range(n, count, REGISTRARS) for n in range(REGISTRARS)]
        await asyncio.gather(*(register(share) for share in shares))

    asyncio.run(all_at_once())
    assert sorted(told) == list(range(1, count + 1))
    assert stopped(server) == 0
    with open_engine(server.data) as engine:
        versions = engine.registry.versions("shared")
        assert sorted(v.version for v in versions) == list(range(1, count + 1))
        assert engine.registry.fsck().problems == ()


# --- too much at once -----------------------------------------------------------------------------


@pytest.mark.slow
def test_a_thousand_connections_are_served_or_refused_and_then_it_is_over(server):
    (writer,) = prepared(server, 1)
    told, line, steps = Told(), Line(server.port), itertools.count()

    async def write(stop):
        own = Line(server.port)
        while not stop.is_set():
            point = {"key": "m", "value": 1, "timestamp": 1, "step": next(steps)}
            body = {"run_id": writer.run_id, **point}
            began = time.monotonic()
            status, headers, content = await own.call("POST", f"{API}/runs/log-metric", body)
            told.note(status, headers, content, began=began, write=True)
            if status == 503:
                assert 1 <= int(headers["retry-after"]) <= 60
                assert json.loads(content)["error_code"] == "TEMPORARILY_UNAVAILABLE"
                await asyncio.sleep(0.2)  # much sooner than it was told
        own.close()

    async def scene():
        stop = asyncio.Event()
        tasks = [asyncio.create_task(write(stop)) for _ in range(CONNECTIONS)]
        await asyncio.sleep(SECONDS)
        assert (await line.call("GET", "/health"))[0] == 200
        stop.set()
        await asyncio.gather(*tasks)
        for _ in range(20):  # over
            status, _, _ = await line.call("GET", f"{API}/runs/get?run_id={writer.run_id}")
            assert status == 200
        line.close()

    asyncio.run(scene())
    assert told.strange == []
    assert told.statuses[200] > CONNECTIONS
    assert told.statuses[503] > 0
    assert server.peak_memory() < MEMORY_MAX
    assert stopped(server) == 0
    with open_engine(server.data) as engine:
        found = Tracking(engine.kernel).searches.history(writer.run_id, "m").items
    assert len(found) == told.statuses[200]  # what was refused was not done


@pytest.mark.slow
def test_a_thousand_connections_that_stall_keep_nobody_out(server):
    """Half of a head, or half of a body, and then nothing: the others do not notice."""
    prepared(server, 1)
    half_head = b"POST /api/2.0/mlflow/runs/create HTTP/1.1\r\nHost: 127.0"
    whole_head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    half_body = whole_head + b'Content-Length: 1000\r\n\r\n{"experiment_id": '
    bodies = [half_body % path for path in (b"/api/2.0/mlflow/runs/create", b"/api/v1/promote")]
    stalled = []
    try:
        for n in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", server.port))
            stalled.append(connection)
            connection.sendall((half_head, *bodies)[n % 3])
        with httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client:
            for n in range(20):
                body = {"experiment_id": "0", "run_name": f"r{n}"}
                assert client.post(f"{API}/runs/create", json=body).status_code == 200
                assert client.get("/api/v1/models").status_code == 200
    finally:
        for connection in stalled:
            connection.close()
    assert stopped(server) == 0
    assert "Traceback" not in server.log.read_text()

"""Two servers over one PostgreSQL database and one place for objects behave as one."""

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from contract.registry_doors import ANA, Door, running_process
from lastgood.core.commands import Promote
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import LastgoodError, StoreUnavailable
from lastgood.sdk import RemoteRegistry
from lastgood.store import log, rebuild

MLFLOW = "/api/2.0/mlflow"
WATCH_S = 60.0
WRITERS = 16
EACH = 15


@contextmanager
def running(folder, postgresql):
    """Their addresses and processes; each has a data directory of its own."""
    options = ("--store", postgresql.fresh(), "--objects", f"file://{folder}/objects")
    with (
        running_process(folder / "one", *options) as one,
        running_process(folder / "two", *options) as two,
    ):
        yield one, two


@pytest.fixture(scope="module")
def servers(tmp_path_factory, postgresql):
    with running(tmp_path_factory.mktemp("servers"), postgresql) as started:
        yield started


@pytest.fixture
def doors(servers, tmp_path):
    model = f"churn {uuid.uuid4().hex[:8]}"
    with (
        RemoteRegistry(servers[0][0], actor="Ana Müller") as one,
        RemoteRegistry(servers[1][0], actor="Ana Müller") as two,
    ):
        yield [Door(registry=r, data=tmp_path, kind="over http", model=model) for r in (one, two)]


def test_an_act_through_one_is_seen_by_a_watch_on_the_other(doors):
    one, two = doors
    one.versions(2)
    for number in (1, 2, 1, 2):
        before = two.registry.target(one.model, "production").seq
        with ThreadPoolExecutor(1) as pool:
            watching = pool.submit(
                two.registry.target, one.model, "production", after_seq=before, wait_s=WATCH_S
            )
            one.promote(number)
            found = watching.result(WATCH_S)
        assert (found.version, found.seq > before) == (number, True)


def test_what_one_acknowledged_the_other_knows(servers):
    """Also answers that a server keeps, which are right until the next operation of anybody."""
    with httpx.Client(timeout=60) as client:
        one, two = (f"{url}{MLFLOW}" for url, _ in servers)
        client.post(f"{one}/registered-models/create", json={"name": "m"}).raise_for_status()
        for n in range(1, 11):
            writer, reader = (one, two) if n % 2 else (two, one)
            made = client.post(
                f"{writer}/model-versions/create", json={"name": "m", "source": "s3://b/m"}
            )
            assert made.json()["model_version"]["version"] == str(n)
            alias = {"name": "m", "alias": "champion", "version": str(n)}
            client.post(f"{writer}/registered-models/alias", json=alias).raise_for_status()
            asked = {"name": "m", "alias": "champion"}
            found = client.get(f"{reader}/registered-models/alias", params=asked).json()
            assert found["model_version"]["version"] == str(n)


def test_no_number_is_given_twice_and_a_killed_server_takes_nothing_acknowledged_along(
    tmp_path, postgresql
):
    with running(tmp_path, postgresql) as ((one, process), (two, _)):
        acknowledged = _registered_while_one_is_killed(one, two, process)

    assert max(Counter(acknowledged).values()) == 1
    with open_engine(tmp_path / "two") as engine:
        stored = {v.version for v in engine.registry.versions("m")}
        database = engine.kernel.database
        chain = database.read(lambda c: list(log.verify_chain(c)))
        assert database.read(rebuild.compare)[1] == []
    assert set(acknowledged) <= stored == set(range(1, len(stored) + 1))
    assert [flaw for _, flaw in chain if flaw] == []
    assert [operation.seq for operation, _ in chain] == list(range(1, len(chain) + 1))


def _registered_while_one_is_killed(one, two, process):
    httpx.post(f"{one}{MLFLOW}/registered-models/create", json={"name": "m"}).raise_for_status()
    acknowledged: list[int] = []
    half_way = threading.Event()

    def register(index):
        with httpx.Client(timeout=60) as client:
            for i in range(EACH):
                url = (one, two)[(index + i) % 2]
                body = {"name": "m", "source": f"s3://b/{index}/{i}"}
                try:
                    answer = client.post(f"{url}{MLFLOW}/model-versions/create", json=body)
                except httpx.TransportError:
                    continue  # the server that was killed
                assert answer.status_code == 200, answer.text
                acknowledged.append(int(answer.json()["model_version"]["version"]))
                if len(acknowledged) >= WRITERS * EACH // 3:
                    half_way.set()

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(register, index) for index in range(WRITERS)]
        assert half_way.wait(WATCH_S)
        process.kill()
        for writer in writers:
            writer.result(120)
    return acknowledged


def test_a_server_that_looks_for_the_objects_elsewhere_is_refused(tmp_path, postgresql):
    url = postgresql.fresh()
    init_data_directory(tmp_path / "one", store_url=url)
    open_engine(tmp_path / "one").close()
    init_data_directory(tmp_path / "two", store_url=url)
    with pytest.raises(StoreUnavailable, match="somewhere else") as refused:
        open_engine(tmp_path / "two")
    assert refused.value.hint
    init_data_directory(
        tmp_path / "three", store_url=url, objects_url=f"file://{tmp_path}/one/objects"
    )
    with open_engine(tmp_path / "three") as engine:  # the control: the right place
        assert engine.registry.fsck().problems == ()


def test_two_promotions_decided_on_the_same_state_cannot_both_win(doors):
    one, two = doors
    one.versions(3)
    one.promote(1)
    asked = [
        Promote(reference=f"{one.model}/{number}", to="production", reason="r") for number in (2, 3)
    ]
    plans = [
        door.registry.plan_promote(command, caller=ANA)
        for door, command in zip(doors, asked, strict=True)
    ]
    refused = 0
    for door, number, plan in ((one, 2, plans[0]), (two, 3, plans[1])):
        try:
            door.promote(number, expect_head=plan.head, caller=ANA)
        except LastgoodError:
            refused += 1
    assert refused == 1
    assert two.registry.target(one.model, "production").version == 2

"""Faults as operators meet them: a real server, a real gateway, real models, and what each says."""

import io
import os
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from fault_processes import LASTGOOD as COMMAND
from fault_processes import (
    Gateway,
    Server,
    Stream,
    damaged,
    environment,
    eventually,
    free_port,
    run,
    write_model,
)

from lastgood.core.commands import Caller, Promote, Rollback
from lastgood.core.operations import Actor
from lastgood.errors import IntegrityFailure
from lastgood.sdk import RemoteRegistry

pytestmark = pytest.mark.slow
ANN = Caller(actor=Actor(name="ann"))
MLFLOW = "/api/2.0/mlflow"
KILLS, KILLS_NIGHTLY = 3, 60
ROLLBACKS, ROLLBACKS_NIGHTLY, ROLLBACKS_OF_THE_CONTROL = 150, 1000, 50


class Fleet:
    """One registry and one gateway that follows churn@production; version 1 is good and live."""

    def __init__(self, root):
        self._root = root
        self.server = Server(root / "server")
        self.register("one")
        self.promote(1)
        self.gateway = Gateway(root / "gateway", self.server).wait_serving(1)

    def register(self, name, **fault):
        """A new version that answers `name`; its number."""
        path = write_model(self._root / name, name, **fault)
        # Without a load test: here the gateway is to find out what is wrong with it.
        return self.server.json("register", path, "--name", "churn", "--no-load-test")["version"]

    def promote(self, number):
        arguments = ("--to", "production", "--reason", f"release {number}", "--release-hold")
        return self.server.json("promote", f"churn/{number}", *arguments)

    def back_to_one(self):
        """Whatever a test did: version 1 is ordered and served."""
        self.promote(1)
        self.gateway.wait_serving(1)
        eventually(lambda: self.server.live()["agrees"], "version 1 is seen serving")

    def file(self, number, path):
        manifest = self.server.json("show", f"churn/{number}")["manifest"]
        digest = next(f["digest"] for f in manifest["files"] if f["path"] == path)
        return digest, self.server.object_file(digest)

    def close(self):
        if hasattr(self, "gateway"):
            self.gateway.close()
        self.server.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    opened = Fleet(tmp_path_factory.mktemp("fleet"))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _settled(request):
    yield
    if "fleet" in request.fixturenames:
        request.getfixturevalue("fleet").back_to_one()


# --- models that cannot serve ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("load", "no such lexicon: de_core"), ("warm-up", "column tenure is missing")],
)
def test_a_model_that_cannot_serve_never_does_and_live_says_why(fleet, fault, reason):
    number = fleet.register(f"fails-at-{fault}", fault=fault)
    with Stream(fleet.gateway) as stream:
        fleet.promote(number)
        seen = eventually(
            lambda: [s for s in fleet.server.live()["observed"] if s["state"] == "load_failed"],
            "live shows that it cannot be loaded",
        )
        told = fleet.server.run("live", "churn")[1]
        code, _, err = fleet.server.run(
            "rollback", "churn", "--to", "churn/1", "--reason", "x", "--wait", "30"
        )
    assert (seen[0]["version"], seen[0]["agrees"]) == (1, False)
    assert reason in seen[0]["detail"]
    assert reason in " ".join(told.split())
    assert "does not serve it" in told
    assert (code, stream.failed) == (0, []), err
    assert {version for _, version in stream.answers} == {"1"}


def test_the_control_of_these_a_model_without_fault_goes_live(fleet):
    number = fleet.register("two")
    with Stream(fleet.gateway) as stream:
        fleet.promote(number)
        fleet.gateway.wait_serving(number)
        eventually(lambda: fleet.server.live()["agrees"], "live sees it serve")
    assert stream.failed == []
    assert stream.answers[-1] == (200, str(number))


# --- bytes ----------------------------------------------------------------------------------------


def test_a_flipped_bit_is_refused_by_name_everywhere_while_the_gateway_serves_on(fleet, tmp_path):
    number = fleet.register("damaged")
    fleet.promote(number)  # so that a rollback to it is thinkable
    fleet.gateway.wait_serving(number)
    fleet.back_to_one()
    name = "damaged.py"
    digest, path = fleet.file(number, name)
    url, reference = fleet.server.url, f"churn/{number}"
    stage = {"name": "churn", "version": str(number), "stage": "Production"}
    alias = {"name": "churn", "version": str(number), "alias": "production"}
    query = {"name": "churn", "version": str(number)}
    download = httpx.get(url + MLFLOW + "/model-versions/get-download-uri", params=query).json()
    artifact = download["artifact_uri"].removeprefix("mlflow-artifacts:/") + f"/{name}"
    artifact = f"{url}/api/2.0/mlflow-artifacts/artifacts/{quote(artifact)}"
    assert httpx.get(artifact).status_code == 200  # the control
    with damaged(path), Stream(fleet.gateway) as stream:
        for command in (
            ("promote", reference, "--to", "production", "--reason", "x"),
            ("rollback", "churn", "--to", reference, "--reason", "x"),
            ("fsck",),
        ):
            code, out, err = fleet.server.run(*command)
            assert code == 6, command
            assert name in out + err, command
        for method, path_, body in (
            ("POST", "/model-versions/transition-stage", stage),
            ("POST", "/registered-models/alias", alias),
        ):
            answer = httpx.request(method, url + MLFLOW + path_, json=body)
            assert (answer.status_code, answer.json()["error_code"]) == (409, "RESOURCE_CONFLICT")
            assert name in answer.json()["message"], path_
        answer = httpx.get(artifact)
        assert answer.status_code == 409
        assert digest in answer.text
        with RemoteRegistry(url) as registry, pytest.raises(IntegrityFailure, match=digest):
            list(registry.read_object(digest))
    assert (stream.failed, {version for _, version in stream.answers}) == ([], {"1"})
    assert fleet.server.live()["version"] == 1
    assert fleet.server.run("fsck")[0] == 0  # the control: mended, all is well


def test_bytes_that_are_damaged_after_the_order_are_not_loaded_by_a_gateway(fleet):
    number = fleet.register("rotten")
    _, path = fleet.file(number, "rotten.py")
    with ExitStack() as late, Stream(fleet.gateway) as stream:
        os.kill(fleet.gateway.pid, signal.SIGSTOP)  # so that it comes too late
        try:
            fleet.promote(number)
            late.enter_context(damaged(path))
        finally:
            os.kill(fleet.gateway.pid, signal.SIGCONT)
        seen = eventually(
            lambda: [s for s in fleet.server.live()["observed"] if s["state"] == "load_failed"],
            "live shows that it cannot be loaded",
        )
    assert "rotten.py" in seen[0]["detail"]
    assert (stream.failed, {version for _, version in stream.answers}) == ([], {"1"})
    # The control: the same bytes, mended, are served.
    fleet.back_to_one()
    fleet.promote(number)
    fleet.gateway.wait_serving(number)


# --- processes ------------------------------------------------------------------------------------


def test_a_killed_worker_costs_no_answer_and_live_sees_it_die_and_come_back(fleet):
    number = fleet.register("slow", delay_s=0.4)
    fleet.promote(number)
    fleet.gateway.wait_serving(number)
    first = fleet.gateway.status()["active"]["pid"]
    states = set()
    with Stream(fleet.gateway) as stream:
        eventually(lambda: fleet.gateway.status()["in_flight"], "a request is under way")
        os.kill(first, signal.SIGKILL)
        eventually(
            lambda: fleet.gateway.status()["active"]["pid"] not in {first, None},
            "another worker is there",
        )
        answers = len(stream.answers)
        eventually(lambda: len(stream.answers) > answers, "it answers")
    assert stream.failed == []

    def agrees():
        live = fleet.server.live()
        states.update(slot["detail"] for slot in live["observed"])
        return live["agrees"] and any("replaces" in detail for detail in states)

    eventually(agrees, "live sees that it serves again")
    assert any(f"replaces {first}" in detail for detail in states)


def kill_the_registry_again_and_again(root, kills):
    """Kill it while releases go on, at the same address, under a stream of requests."""
    server = Server(root / "server", port=free_port())
    port, gateway, acknowledged = int(server.url.rsplit(":", 1)[1]), None, []
    try:
        for name in ("one", "two"):
            path = write_model(root / name, name)
            assert server.run("register", path, "--name", "churn", "--no-load-test")[0] == 0
        release = Promote(reference="churn/1", to="production", release_hold=True)
        with RemoteRegistry(server.url) as registry:
            registry.promote(release, caller=ANN)
        gateway = Gateway(root / "gateway", server).wait_serving(1)
        with Stream(gateway) as stream:
            for round_ in range(kills):
                stop = threading.Event()
                client = threading.Thread(
                    target=release_until, args=(server.url, stop, acknowledged)
                )
                client.start()
                time.sleep(0.05 + (round_ * 0.137) % 0.4)
                server.kill()
                stop.set()
                client.join(60)
                before = len(stream.answers)
                eventually(lambda: len(stream.answers) > before + 3, "answers without a registry")  # noqa: B023
                server = Server(root / "server", port=port)
                server.live()  # its first answer takes longer than most of its life would be
            target = httpx.get(f"{server.url}/api/v1/target/churn/production").json()
            eventually(
                lambda: (gateway.status()["active"] or {}).get("seq") == target["seq"],
                "the gateway follows the last order",
            )
        logged = set()
        with RemoteRegistry(server.url) as registry:
            before_seq = None
            while entries := registry.log(limit=1000, before_seq=before_seq):
                logged |= {entry.operation for entry in entries}
                before_seq = entries[-1].seq
            problems = registry.fsck().problems
        return stream, set(acknowledged) - logged, problems, len(acknowledged)
    finally:
        if gateway is not None:
            gateway.close()
        server.close()


def release_until(url, stop, acknowledged):
    with RemoteRegistry(url) as registry:
        while not stop.is_set():
            for number in (2, 1):
                command = Promote(reference=f"churn/{number}", to="production")
                try:
                    outcome = registry.promote(command, caller=ANN)
                except Exception:
                    return  # it was killed; what was not answered may or may not be done
                if outcome.operation:
                    acknowledged.append(outcome.operation)


@pytest.mark.parametrize(
    "kills",
    [KILLS, pytest.param(KILLS_NIGHTLY, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])],
)
def test_a_registry_killed_at_any_moment_costs_no_answer_and_no_acknowledged_act(tmp_path, kills):
    stream, lost, problems, acknowledged = kill_the_registry_again_and_again(tmp_path, kills)
    assert (stream.failed, lost, list(problems)) == ([], set(), [])
    assert acknowledged > kills
    assert {version for _, version in stream.answers} <= {"1", "2"}


# --- what is taken --------------------------------------------------------------------------------


def test_a_second_server_and_taken_ports_are_refused_in_words(fleet, tmp_path):
    server, gateway = fleet.server, fleet.gateway
    code, _, err = run("server", "--data", server.data, "--port", 0)
    assert code == 1
    assert server.url in err
    for url, command in (
        (server.url, ("server", "--data", tmp_path / "other")),
        (
            gateway.url,
            ("serve", "churn", "--server", server.url, "--cache-dir", tmp_path / "cache"),
        ),
    ):
        port = url.rsplit(":", 1)[1]
        code, _, err = run(*command, "--port", port)
        assert code == 1
        assert port in err
    assert not (tmp_path / "other").exists()
    assert gateway.ask().status_code == 200
    assert server.run("list")[0] == 0


# --- one act --------------------------------------------------------------------------------------


def test_racing_requests_with_one_idempotency_key_are_one_act(fleet):
    number = fleet.register("idempotent")
    body = {"reference": f"churn/{number}", "to": "shadow", "reason": "x"}
    url = f"{fleet.server.url}/api/v1/promote"

    def promote(key):
        return httpx.post(url, json=body, headers={"idempotency-key": key}, timeout=60).json()

    def operations():
        return len(fleet.server.json("log", "churn", "--env", "shadow")["operations"])

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(promote, ["one key"] * 32))
    assert len({answer["operation"] for answer in answers}) == 1
    assert operations() == 1
    # A client that lost the answer asks again much later: the same result, also if the ref moved on.
    body["reference"] = "churn/1"
    promote("another key")
    assert operations() == 2
    body["reference"] = f"churn/{number}"
    assert promote("one key")["operation"] == answers[0]["operation"]
    assert operations() == 2
    # The control: a new key is a new act.
    assert promote("a third key")["operation"] not in {None, answers[0]["operation"]}
    assert operations() == 3


# --- readers --------------------------------------------------------------------------------------


class Readers:
    """Threads that ask the server over MLflow's and the native API until the block ends."""

    def __init__(self, url, good, bad):
        self._url, self._good, self._bad = url, good, bad
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(look,))
            for look in (self._versions, self._search, self._alias)
        ]
        self.looks, self.wrong = 0, []

    def _look(self, look):
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._stop.is_set():
                self.wrong += look(client)
                self.looks += 1

    def _versions(self, client):
        versions = client.get("/api/v1/models/churn/versions").json()
        live = [v["version"] for v in versions if "production" in v["refs"]]
        labelled = [v["version"] for v in versions if v["stage"] == "Production"]
        held = [v["version"] for v in versions if v["holds"]]
        right = live == labelled and (live, held) in (
            ([self._good], [self._bad]),
            ([self._bad], []),
        )
        return [] if right else [("native", live, labelled, held)]

    def _search(self, client):
        query = {"filter": "name='churn'", "max_results": 100}
        found = client.get(MLFLOW + "/model-versions/search", params=query).json()["model_versions"]
        labelled = [v["version"] for v in found if v["current_stage"] == "Production"]
        live = [v["version"] for v in found if "production" in v.get("aliases", ())]
        right = len(labelled) == 1 and live in ([], labelled)
        return [] if right else [("mlflow", live, labelled)]

    def _alias(self, client):
        query = {"name": "churn", "alias": "production"}
        answer = client.get(MLFLOW + "/registered-models/alias", params=query)
        found = answer.json().get("model_version", {})
        right = found.get("current_stage") == "Production"
        return [] if right else [("alias", answer.status_code, found.get("current_stage"))]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


@pytest.fixture
def two_versions(tmp_path):
    """A server with churn/1 live and churn/2 on hold; no gateway."""
    server = Server(tmp_path / "server")
    for number in (1, 2):
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / "weights.bin").write_bytes(b"%d" % number)
        assert (
            server.run("register", tmp_path / "model", "--name", "churn", "--no-load-test")[0] == 0
        )
    with RemoteRegistry(server.url) as registry:
        release_and_return(registry, first=True)
    yield server
    server.close()


def release_and_return(registry, *, first=False):
    for number in (1, 2) if first else (2,):
        promotion = Promote(reference=f"churn/{number}", to="production", release_hold=True)
        registry.promote(promotion, caller=ANN)
    registry.rollback(Rollback(model="churn", to="churn/1", reason="it fails"), caller=ANN)


@pytest.mark.parametrize(
    "rollbacks", [ROLLBACKS, pytest.param(ROLLBACKS_NIGHTLY, marks=pytest.mark.nightly)]
)
def test_no_reader_over_http_sees_half_of_a_rollback(two_versions, rollbacks):
    with (
        RemoteRegistry(two_versions.url) as registry,
        Readers(two_versions.url, good=1, bad=2) as readers,
    ):
        for _ in range(rollbacks):
            release_and_return(registry)
    assert readers.wrong == []
    assert readers.looks > rollbacks


def test_readers_over_http_would_see_half_of_what_is_two_calls(two_versions):
    """The control: the move as MLflow's users have to make it, one call per label."""
    with (
        httpx.Client(base_url=two_versions.url, timeout=60) as client,
        Readers(two_versions.url, good=1, bad=2) as readers,
    ):
        for _ in range(ROLLBACKS_OF_THE_CONTROL):
            for number, stage in (("1", "Archived"), ("1", "Production")):
                body = {"name": "churn", "version": number, "stage": stage}
                path = MLFLOW + "/model-versions/transition-stage"
                assert client.post(path, json=body).status_code == 200
    assert {kind for kind, *_ in readers.wrong} >= {"native", "alias"}


# --- disks ----------------------------------------------------------------------------------------

NAMESPACE = ["unshare", "--mount", "--map-root-user", "sh", "-c"]


@pytest.fixture(scope="module")
def mounting():
    """The beginning of a command that runs after a mount only it sees."""
    probe = [*NAMESPACE, "mount -t tmpfs none /tmp"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("mounting in a namespace is not allowed here")
    return lambda mount: [*NAMESPACE, f'{mount} && exec "$@"', "sh"]


def test_a_server_on_a_full_disk_says_so_serves_on_and_recovers(mounting, tmp_path):
    folder = tmp_path / "server"
    data = folder / "data"
    data.mkdir(parents=True)
    server = Server(folder, prefix=mounting(f"mount -t tmpfs -o size=32m none {data}"))
    inside = f"/proc/{server.pid}/root{data}/filler"
    gateway = None
    try:
        for name in ("one", "two"):
            path = write_model(tmp_path / name, name)
            assert server.run("register", path, "--name", "churn", "--no-load-test")[0] == 0
        promote = ("--to", "production", "--reason", "x")
        server.json("promote", "churn/1", *promote)
        gateway = Gateway(tmp_path / "gateway", server).wait_serving(1)
        artifact = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/0/large"
        answer = httpx.put(artifact, content=bytes(64 << 20), timeout=60)
        assert (answer.status_code, answer.json()["error_code"]) == (507, "RESOURCE_EXHAUSTED")
        assert httpx.get(artifact).status_code == 404
        httpx.put(artifact, content=b"small").raise_for_status()  # nothing of it was left behind
        fill(inside)
        refused = []
        with Stream(gateway) as stream:
            for _ in range(3):
                code, _, err = server.run("promote", "churn/2", *promote)
                refused.append((code, "No space left" in err))
            run_ = httpx.post(server.url + MLFLOW + "/runs/create", json={"experiment_id": "0"})
            upload = httpx.put(artifact, content=bytes(1 << 20))
            shown = server.live()["version"]
        Path(inside).unlink()
        assert refused == [(1, True)] * 3
        for answer in (run_, upload):
            assert (answer.status_code, answer.json()["error_code"]) == (507, "RESOURCE_EXHAUSTED")
        assert (stream.failed, shown) == ([], 1)
        assert server.run("promote", "churn/2", *promote)[0] == 0
        gateway.wait_serving(2)
        report = server.json("fsck")
        assert report["problems"] == []
        logged = server.json("log", "churn", "--env", "production")["operations"]
        assert len(logged) == 2  # the refused ones left nothing
    finally:
        if gateway is not None:
            gateway.close()
        server.close()


def fill(path):
    with io.FileIO(path, "w") as file:
        for size in (1 << 20, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


def test_a_read_only_data_directory_or_cache_is_refused_in_words(mounting, tmp_path, fleet):
    folder = tmp_path / "readonly"
    assert run("init", "--data", folder / "data")[0] == 0
    prefix = mounting(f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}")
    for command, word in (
        (("server", "--data", folder / "data", "--port", 0), "data"),
        (("server", "--data", folder / "new", "--port", 0), "new"),
        (("register", tmp_path, "--name", "churn", "--data", folder / "data"), "data"),
        (
            ("serve", "churn", "--server", fleet.server.url, "--port", 0, "--cache-dir", folder),
            "readonly",
        ),
    ):
        done = subprocess.run(
            [*prefix, *COMMAND, *map(str, command)],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(),
        )
        assert done.returncode == 1, command
        assert "Traceback" not in done.stderr
        assert word in done.stderr
        assert "ead-only" in done.stderr
        assert "hint: " in done.stderr, command

"""`lastgood server --workers N`: several processes behind one address are one server."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

START_TIMEOUT_S = 60.0
WORKERS = 3
PROGRAM = """
import sys
from pathlib import Path
from lastgood.api.server import serve_registry
sys.exit(serve_registry(
    data=Path(sys.argv[1]), host="127.0.0.1", port=0, ready_file=Path(sys.argv[2]), workers=int(sys.argv[3])
))
"""


def children(pid):
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(what):
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


class Crew:
    def __init__(self, folder):
        self.ready = folder / "ready.json"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder / "data"), str(self.ready), str(WORKERS)],
            stderr=subprocess.PIPE,
        )
        until(lambda: self.ready.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.stderr.read().decode()
        self.url = json.loads(self.ready.read_text())["url"]
        self.mlflow = f"{self.url}/api/2.0/mlflow"

    def workers(self):
        return children(self.process.pid)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(START_TIMEOUT_S)
        self.process.stderr.close()
        return code


@pytest.fixture
def crew(tmp_path):
    crew = Crew(tmp_path)
    yield crew
    if crew.process.poll() is None:
        crew.process.kill()
        crew.stop()


def gone(pids):
    return all(not Path(f"/proc/{pid}").exists() for pid in pids)


def post(url, body):
    # A connection of its own for each request, so that all workers get some.
    answer = httpx.post(url, json=body, timeout=START_TIMEOUT_S)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_one_worker_wrote_all_of_them_answer(crew):
    post(f"{crew.mlflow}/registered-models/create", {"name": "churn"})

    def register(number):
        version = post(
            f"{crew.mlflow}/model-versions/create", {"name": "churn", "source": "s3://b/m"}
        )["model_version"]["version"]
        alias = {"name": "churn", "alias": f"a{number}", "version": version}
        post(f"{crew.mlflow}/registered-models/alias", alias)
        for _ in range(WORKERS):
            found = httpx.get(
                f"{crew.mlflow}/registered-models/alias",
                params={"name": "churn", "alias": f"a{number}"},
            )
            assert found.json()["model_version"]["version"] == version
        return int(version)

    with ThreadPoolExecutor(12) as pool:
        numbers = list(pool.map(register, range(60)))
    assert sorted(numbers) == list(range(1, 61))
    log = httpx.get(f"{crew.url}/api/v1/log", params={"limit": 200}, timeout=START_TIMEOUT_S).json()
    assert [entry["seq"] for entry in log] == list(range(121, 0, -1))


def test_a_watch_at_one_worker_hears_of_the_operation_at_another(crew):
    post(f"{crew.mlflow}/registered-models/create", {"name": "churn"})
    post(f"{crew.mlflow}/model-versions/create", {"name": "churn", "source": "s3://b/m"})
    heard = []

    def watch():
        query = {"after_seq": 2, "wait_s": 30}
        answer = httpx.get(f"{crew.url}/api/v1/target/churn/champion", params=query, timeout=60)
        heard.append(answer.json()["version"])

    watchers = [threading.Thread(target=watch) for _ in range(4 * WORKERS)]
    for watcher in watchers:
        watcher.start()
    time.sleep(1.0)
    post(
        f"{crew.mlflow}/registered-models/alias",
        {"name": "churn", "alias": "champion", "version": "1"},
    )
    for watcher in watchers:
        watcher.join(START_TIMEOUT_S)
    assert heard == [1] * len(watchers)


def test_a_killed_worker_is_replaced_and_nothing_is_lost(crew):
    before = until(lambda: len(crew.workers()) == WORKERS and crew.workers())
    experiment = post(f"{crew.mlflow}/experiments/create", {"name": "kept"})["experiment_id"]
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(crew.workers()) == WORKERS and set(crew.workers()) != set(before))
    found = until(lambda: ask_again(f"{crew.mlflow}/experiments/get?experiment_id={experiment}"))
    assert found["experiment"]["name"] == "kept"


def ask_again(url):
    # The killed worker may have taken the connection.
    try:
        return httpx.get(url).json()
    except httpx.HTTPError:
        return None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_they_stop_together(crew, number):
    workers = crew.workers()
    assert len(workers) == WORKERS
    assert crew.stop(number) == 0
    assert gone(workers)
    assert not crew.ready.exists()


def test_they_end_when_the_process_that_holds_them_is_killed(crew):
    workers = crew.workers()
    crew.stop(signal.SIGKILL)
    until(lambda: gone(workers))


def test_workers_that_cannot_start_end_the_server(tmp_path):
    """The database is damaged after the directory was looked at: every worker fails the same way."""
    ready = tmp_path / "ready.json"
    broken = PROGRAM.replace(
        "sys.exit(serve",
        "from lastgood.api import server\n"
        "init = server.init_data_directory\n"
        "def damage(data, **places):\n"
        "    init(data, **places)\n"
        "    (data / 'config.toml').write_text('nonsense')\n"
        "server.init_data_directory = damage\n"
        "sys.exit(serve",
    ).replace("import sys\n", "import sys\nfrom lastgood.errors import LastgoodError\n")
    done = subprocess.run(
        [sys.executable, "-c", broken, str(tmp_path / "data"), str(ready), "2"],
        capture_output=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    assert b"config.toml" in done.stderr
    assert not ready.exists()

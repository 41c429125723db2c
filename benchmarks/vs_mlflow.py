"""lastgood server against mlflow server: the same requests, taking turns, the other one stopped meanwhile.

    python benchmarks/vs_mlflow.py [--seconds 2] [--rounds 3] [--clients 1 8 16] [--only log-metric ...]

Each figure is requests answered with 200 per second; a round measures MLflow, then lastgood, and the ratio
is taken round by round, so that a machine that speeds up or slows down meanwhile does not favour one of them.
Results go to benchmarks/results/vs_mlflow.json and vs_mlflow.md; with --store postgresql, where both work over
one PostgreSQL server, each in a schema of its own, to vs_mlflow_postgresql.json and .md.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import msgspec

RESULTS = Path(__file__).parent / "results"
TESTS = Path(__file__).parents[1] / "tests"
STORES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
START_TIMEOUT_S = 120.0
RUNS_TO_SEARCH = 1_000
VERSIONS = 1_000
PREFIX = "/api/2.0/mlflow"
BATCH_KEYS = [f"b{k}" for k in range(1_000)]
FORK = multiprocessing.get_context("fork")


@dataclass
class Server:
    name: str
    port: int
    pid: int
    ready_s: float
    state: dict = field(default_factory=dict)

    def memory_mib(self) -> float:
        """Resident memory of the process and all its children."""
        pids, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            pids.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                todo += [int(p) for p in task.read_text().split()]
        kib = 0
        for pid in pids:
            found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
            kib += int(found[1]) if found else 0
        self.state["processes"] = len(pids)
        return kib / 1024


class Client:
    """A keep-alive HTTP client that costs as little as Python allows: it must not be what is measured."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def call(self, method: str, path: str, body: dict | None = None) -> tuple[int, bytes]:
        self.send(method, path, body)
        return self.answer()

    def answer(self) -> tuple[int, bytes]:
        while (answer := self.answer_if_complete()) is None:
            pass
        return answer

    def send(self, method: str, path: str, body: dict | None = None) -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        if body is None:
            self.socket.sendall(f"{head}\r\n".encode())
            return
        data = msgspec.json.encode(body)
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        self.socket.sendall(head.encode() + data)

    def receive(self) -> bytes:
        chunk = self.socket.recv(262_144)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        return chunk

    def answer_if_complete(self) -> tuple[int, bytes] | None:
        """Read what has come, at least a byte."""
        self.buffer += self.receive()
        if (end := self.buffer.find(b"\r\n\r\n")) < 0:
            return None
        head, rest = self.buffer[:end].lower(), self.buffer[end + 4 :]
        status, at = int(head[9:12]), head.find(b"content-length:")
        if at >= 0:
            if len(rest) < int(head[at + 15 :].partition(b"\r")[0]):
                return None
        elif b"chunked" in head:
            if not rest.endswith(b"0\r\n\r\n"):
                return None
            rest = b"".join(re.split(rb"(?:^|\r\n)[0-9a-fA-F]+\r\n", rest))
        self.buffer = b""
        return status, rest

    def ok(self, method: str, path: str, body: dict | None = None) -> dict:
        status, answer = self.call(method, path, body)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer or b"{}")


# --- the work: per workload, what to prepare once per server and what each client then repeats -------------

Step = Callable[[Client, int], None]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def new_run(client: Client) -> str:
    answer = client.ok(
        "POST", f"{PREFIX}/runs/create", {"experiment_id": "0", "start_time": now_ms()}
    )
    return answer["run"]["info"]["run_id"]


def prepare(client: Client, server: Server) -> None:
    """A run to read, runs to search, and a registered model with many versions."""
    server.state["run"] = run = new_run(client)
    server.state["written"] = new_run(client)  # apart, so that the run that is read stays as it is
    for i in range(20):
        client.ok(
            "POST",
            f"{PREFIX}/runs/log-metric",
            {"run_id": run, "key": f"m{i}", "value": i, "timestamp": now_ms()},
        )
        client.ok(
            "POST", f"{PREFIX}/runs/log-parameter", {"run_id": run, "key": f"p{i}", "value": str(i)}
        )
    experiment = client.ok("POST", f"{PREFIX}/experiments/create", {"name": "to search"})[
        "experiment_id"
    ]
    server.state["experiment"] = experiment
    for i in range(RUNS_TO_SEARCH):
        made = client.ok(
            "POST",
            f"{PREFIX}/runs/create",
            {"experiment_id": experiment, "start_time": now_ms() + i},
        )
        metric = {"key": "auc", "value": i / RUNS_TO_SEARCH, "timestamp": now_ms(), "step": 0}
        client.ok(
            "POST",
            f"{PREFIX}/runs/log-batch",
            {"run_id": made["run"]["info"]["run_id"], "metrics": [metric]},
        )
    client.ok("POST", f"{PREFIX}/registered-models/create", {"name": "model"})
    for _ in range(VERSIONS):
        client.ok("POST", f"{PREFIX}/model-versions/create", version_body(server))
    client.ok(
        "POST",
        f"{PREFIX}/registered-models/alias",
        {"name": "model", "alias": "champion", "version": "7"},
    )


def version_body(server: Server) -> dict:
    # An address outside of both stores: neither server copies or checks bytes for it, so the bookkeeping is compared.
    return {"name": "model", "source": "s3://bucket/model", "run_id": server.state["run"]}


def steps(server: Server, client_index: int) -> dict[str, Step]:
    run, written = server.state["run"], server.state["written"]
    experiment = server.state["experiment"]
    own = f"client{client_index}"

    def batch(i: int, size: int) -> dict:
        at = now_ms()
        metrics = [
            {"key": key, "value": i + k, "timestamp": at, "step": i}
            for k, key in enumerate(BATCH_KEYS[:size])
        ]
        return {"run_id": written, "metrics": metrics}

    def search(i: int) -> dict:
        # Another question each time, so that no answer can have been kept from before.
        return {
            "experiment_ids": [experiment],
            "filter": f"metrics.auc > {0.5 + i % 1_000_000_000 * 1e-10:.10f}",
            "order_by": ["metrics.auc DESC"],
            "max_results": 100,
        }

    metric = f"{PREFIX}/runs/log-metric"
    return {
        "create run": lambda c, i: c.send(
            "POST", f"{PREFIX}/runs/create", {"experiment_id": "0", "start_time": now_ms()}
        ),
        "log-metric": lambda c, i: c.send(
            "POST",
            metric,
            {"run_id": written, "key": own, "value": i, "timestamp": now_ms(), "step": i},
        ),
        "log-batch 100": lambda c, i: c.send("POST", f"{PREFIX}/runs/log-batch", batch(i, 100)),
        "log-batch 1000": lambda c, i: c.send("POST", f"{PREFIX}/runs/log-batch", batch(i, 1000)),
        "set tag": lambda c, i: c.send(
            "POST", f"{PREFIX}/runs/set-tag", {"run_id": written, "key": own, "value": str(i)}
        ),
        "get run": lambda c, i: c.send(
            "GET",
            # An argument that nobody looks at makes it another question, see `search`.
            f"{PREFIX}/runs/get?run_id={run}&again={i}",
        ),
        "search runs": lambda c, i: c.send("POST", f"{PREFIX}/runs/search", search(i)),
        "create version": lambda c, i: c.send(
            "POST", f"{PREFIX}/model-versions/create", version_body(server)
        ),
        "set alias": lambda c, i: c.send(
            "POST",
            f"{PREFIX}/registered-models/alias",
            {"name": "model", "alias": own, "version": str(1 + i % 50)},
        ),
        "get alias": lambda c, i: c.send(
            "GET", f"{PREFIX}/registered-models/alias?name=model&alias=champion"
        ),
        "stage transition": lambda c, i: c.send(
            "POST",
            f"{PREFIX}/model-versions/transition-stage",
            {
                "name": "model",
                "version": str(1 + client_index),
                "stage": ("Staging", "None")[i % 2],
                "archive_existing_versions": False,
            },
        ),
        "get model": lambda c, i: c.send("GET", f"{PREFIX}/registered-models/get?name=model"),
        "latest versions": lambda c, i: c.send(
            "POST", f"{PREFIX}/registered-models/get-latest-versions", {"name": "model"}
        ),
    }


WORK = (
    "create run",
    "log-metric",
    "log-batch 100",
    "log-batch 1000",
    "set tag",
    "get run",
    "search runs",
    "create version",
    "set alias",
    "get alias",
    "stage transition",
    "latest versions",
    "get model",
)


def drive(
    server: Server, work: str, clients: int, seconds: float, results: "multiprocessing.Queue"
) -> None:
    """Many clients, each of which asks again as soon as it is answered.

    They are connections of one process: the cores are the servers', too, and a process for each client took half
    of what a fast server could have used.
    """
    waiting = selectors.DefaultSelector()
    numbers = itertools.count(time.time_ns() // 1_000_000 % 1_000_000_000)
    connected = [(Client(server.port), steps(server, index)[work]) for index in range(clients)]
    done, failed, latencies = 0, 0, []
    began = dict.fromkeys(range(clients), 0.0)
    start = time.monotonic()
    for index, (client, step) in enumerate(connected):
        waiting.register(client.socket, selectors.EVENT_READ, index)
        began[index] = time.monotonic()
        step(client, next(numbers))
    while waiting.get_map():  # every request that was begun is waited for, and counted
        for key, _ in waiting.select():
            client, step = connected[key.data]
            if (answer := client.answer_if_complete()) is None:
                continue
            now = time.monotonic()
            latencies.append(now - began[key.data])
            done, failed = done + (answer[0] == 200), failed + (answer[0] != 200)
            if now < start + seconds:
                began[key.data] = now
                step(client, next(numbers))
            else:
                waiting.unregister(client.socket)
    results.put((done, failed, latencies, time.monotonic() - start))


def measure(server: Server, work: str, clients: int, seconds: float) -> dict:
    results = FORK.Queue()
    process = FORK.Process(target=drive, args=(server, work, clients, seconds, results))
    process.start()
    done, failed, latencies, took_s = results.get(timeout=seconds + 60)
    process.join(30)
    latencies.sort()
    return {
        "per_s": done / took_s,
        "failed": failed,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[int(len(latencies) * 0.99)],
    }


# --- the servers -----------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(name: str, command: list[str], port: int, folder: Path) -> Iterator[Server]:
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    began = time.monotonic()
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True
        )
        try:
            wait_ready(port, process, folder / f"{name}.log")
            yield Server(name, port, process.pid, time.monotonic() - began)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """The machine without that server: idle ones are not quiet, MLflow's takes a quarter of a core."""
    os.killpg(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(server.pid, signal.SIGCONT)


def wait_ready(port: int, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if Client(port).call("GET", "/health")[0] == 200:
                return
        except OSError:
            time.sleep(0.01)
    sys.exit(f"the server did not start:\n{log.read_text()[-2000:]}")


def mlflow_command(folder: Path, port: int, store_url: str = "") -> list[str]:
    store = store_url or f"sqlite:///{folder}/mlflow.db"
    files = str(folder / "mlflow-artifacts")
    return [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", store, "--artifacts-destination", files,
    ]  # fmt: skip


def lastgood_command(folder: Path, port: int, store_url: str = "") -> list[str]:
    command = [sys.executable, "-m", "lastgood", "server", "--port", str(port)]
    store = ["--store", store_url] if store_url else []
    return [*command, "--data", str(folder / "lastgood"), *store]


@contextmanager
def databases(store: str) -> Iterator[tuple[str, str]]:
    """The addresses of two empty databases, for MLflow and lastgood; "" for a file of SQLite."""
    if store == "sqlite":
        yield "", ""
        return
    sys.path.insert(0, str(TESTS))
    from postgresql_server import running_postgresql

    with running_postgresql() as server:
        theirs = server.fresh().replace(
            "postgresql:", "postgresql+psycopg:"
        )  # the driver that is here
        yield theirs, server.fresh()


# --- the report ------------------------------------------------------------------------------------------


def compare(peer: Server, ours: Server, options: argparse.Namespace) -> list[dict]:
    rows = []
    for clients in options.clients:
        for work in options.only or WORK:
            rounds = []
            for _ in range(options.rounds):
                with stopped(ours):
                    theirs = measure(peer, work, clients, options.seconds)
                with stopped(peer):
                    rounds.append((theirs, measure(ours, work, clients, options.seconds)))
            row = {
                "work": work,
                "clients": clients,
                "mlflow_per_s": statistics.median(a["per_s"] for a, _ in rounds),
                "lastgood_per_s": statistics.median(b["per_s"] for _, b in rounds),
                "ratio": statistics.median(b["per_s"] / max(a["per_s"], 1e-9) for a, b in rounds),
                "mlflow_p50_ms": statistics.median(a["p50_ms"] for a, _ in rounds),
                "lastgood_p50_ms": statistics.median(b["p50_ms"] for _, b in rounds),
                "mlflow_p99_ms": statistics.median(a["p99_ms"] for a, _ in rounds),
                "lastgood_p99_ms": statistics.median(b["p99_ms"] for _, b in rounds),
                "failed": [
                    sum(a["failed"] for a, _ in rounds),
                    sum(b["failed"] for _, b in rounds),
                ],
            }
            rows.append(row)
            print(
                f"{clients:2d} clients  {work:17s} mlflow {row['mlflow_per_s']:8.1f}/s   "
                f"lastgood {row['lastgood_per_s']:8.1f}/s   {row['ratio']:6.1f}x   failed {row['failed']}",
                flush=True,
            )
    return rows


def markdown(report: dict) -> str:
    lines = [
        "# lastgood server against mlflow server",
        "",
        f"{report['date']}, {report['machine']}; mlflow {report['mlflow']}, lastgood {report['lastgood']}, "
        f"Python {report['python']}; {report['rounds']} rounds of {report['seconds']} s each, servers taking turns (the other one stopped meanwhile), medians.",
        f"Made by benchmarks/vs_mlflow.py. Both servers run with their defaults on {report['store']}; "
        "lastgood acknowledges only what is fsynced.",
        "",
        "| | MLflow | lastgood |",
        "|---|---|---|",
    ]
    lines += [
        f"| {label} | {report['servers']['mlflow'][key]:,.1f} | {report['servers']['lastgood'][key]:,.1f} |"
        for label, key in (
            ("start to first answer, s", "ready_s"),
            ("memory idle, MiB", "memory_mib"),
            ("memory after the work, MiB", "memory_after_mib"),
            ("processes", "processes"),
        )
    ]
    lines += [
        "",
        "| work | clients | MLflow /s | lastgood /s | ratio | MLflow p99 ms | lastgood p99 ms |",
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [
        f"| {r['work']} | {r['clients']} | {r['mlflow_per_s']:,.0f} | {r['lastgood_per_s']:,.0f} | "
        f"**{r['ratio']:,.1f}x** | {r['mlflow_p99_ms']:,.1f} | {r['lastgood_p99_ms']:,.1f} |"
        for r in report["rows"]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--only", nargs="+", choices=WORK)
    parser.add_argument("--store", choices=STORES, default="sqlite", help="the database of both")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        ports = free_port(), free_port()
        theirs_url, ours_url = stack.enter_context(databases(options.store))
        command = mlflow_command(folder, ports[0], theirs_url)
        peer = stack.enter_context(running("mlflow", command, ports[0], folder))
        command = lastgood_command(folder, ports[1], ours_url)
        with stopped(peer):
            ours = stack.enter_context(running("lastgood", command, ports[1], folder))
        servers = {}
        for server in (peer, ours):
            time.sleep(3)  # let helpers of the server finish starting before memory is read
            servers[server.name] = {"ready_s": server.ready_s, "memory_mib": server.memory_mib()}
            servers[server.name]["processes"] = server.state["processes"]
            print(f"{server.name}: {servers[server.name]}", flush=True)
            prepare(Client(server.port), server)
        rows = compare(peer, ours, options)
        for server in (peer, ours):
            servers[server.name]["memory_after_mib"] = server.memory_mib()
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "mlflow": version("mlflow"),
        "lastgood": version("lastgood"),
        "store": STORES[options.store],
        "seconds": options.seconds,
        "rounds": options.rounds,
        "servers": servers,
        "rows": rows,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    name = "vs_mlflow" if options.store == "sqlite" else f"vs_mlflow_{options.store}"
    (options.output / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.output / f"{name}.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

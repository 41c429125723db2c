"""Many writers and readers at once on one lastgood server, and then more connections than it takes on.

    python benchmarks/mixed_load.py [--seconds 60] [--writers 50] [--readers 50] [--connections 1000]

Writers log metrics and tags to runs of their own and register versions of one model; readers get runs,
versions and histories, and search. Every write is durable before it is acknowledged. Clients are
threads of four processes on the same machine, so that part of each figure is theirs.
Results go to benchmarks/results/mixed_load/mixed_load.json and mixed_load.md.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from vs_mlflow import FORK, PREFIX, RESULTS, Client, new_run

PROCESSES = 4
WRITES = ("log metric", "set tag", "create version")
START_TIMEOUT_S = 60.0
PAUSE_S = 1.0  # of a client that was refused; shorter than it is told


def post(client: Client, path: str, body: dict) -> int:
    return client.call("POST", PREFIX + path, body)[0]


def write(client: Client, run: str, number: int) -> tuple[str, int]:
    if number % 10 == 9:
        body = {"name": "shared", "source": f"s3://bucket/{run}/{number}"}
        return "create version", post(client, "/model-versions/create", body)
    if number % 3 == 0:
        body = {"run_id": run, "key": "last", "value": str(number)}
        return "set tag", post(client, "/runs/set-tag", body)
    point = {"key": "m", "value": number, "timestamp": number, "step": number}
    return "log metric", post(client, "/runs/log-metric", {"run_id": run, **point})


def read(client: Client, run: str, number: int) -> tuple[str, int]:
    if number % 4 == 0:
        body = {"experiment_ids": ["0"], "filter": "metrics.m > 3", "max_results": 20}
        return "search runs", post(client, "/runs/search", body)
    name, path = (
        ("get run", f"/runs/get?run_id={run}"),
        ("get model", "/registered-models/get?name=shared"),
        ("history", f"/metrics/get-history?run_id={run}&metric_key=m&max_results=50"),
    )[number % 4 - 1]
    return name, client.call("GET", PREFIX + path)[0]


class Tally:
    """What the clients of one process saw."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.latencies_s: dict[str, list[float]] = {}
        self.statuses: Counter[str] = Counter()

    def note(self, name: str, status: int, took_s: float) -> None:
        with self.lock:
            self.statuses[str(status)] += 1
            if status == 200:
                self.latencies_s.setdefault(name, []).append(took_s)


def repeat(step, port: int, run: str, until: float, tally: Tally) -> None:
    client, number = Client(port), 0
    while time.monotonic() < until:
        number += 1
        began = time.monotonic()
        try:
            name, status = step(client, run, number)
        except OSError:
            name, status, client = "", 0, Client(port)
        tally.note(name, status, time.monotonic() - began)
        if status == 503:
            time.sleep(PAUSE_S)


def clients(share: list[tuple], port: int, until: float, sink) -> None:
    tally = Tally()
    threads = [
        threading.Thread(target=repeat, args=(step, port, run, until, tally)) for step, run in share
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.put((tally.latencies_s, tally.statuses))


def measure(port: int, work: list[tuple], seconds: float) -> tuple[dict[str, list[float]], Counter]:
    sink, until = FORK.Queue(), time.monotonic() + seconds
    shares = [work[n::PROCESSES] for n in range(PROCESSES)]
    processes = [FORK.Process(target=clients, args=(s, port, until, sink)) for s in shares if s]
    for process in processes:
        process.start()
    latencies: dict[str, list[float]] = {}
    statuses: Counter[str] = Counter()
    for _ in processes:
        found, counted = sink.get()
        statuses += counted
        for name, values in found.items():
            latencies.setdefault(name, []).extend(values)
    for process in processes:
        process.join()
    return latencies, statuses


def figures(values: list[float], seconds: float) -> dict:
    values = sorted(values)

    def at(share: float) -> float:
        return round(values[min(int(len(values) * share), len(values) - 1)] * 1000, 1)

    return {
        "requests": len(values),
        "per_second": round(len(values) / seconds, 1),
        "median_ms": round(statistics.median(values) * 1000, 1),
        "p99_ms": at(0.99),
        "max_ms": at(1.0),
    }


def start(folder: Path) -> tuple[subprocess.Popen, int]:
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "lastgood", "server", "--data", str(folder / "data")]
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [*command, "--port", "0", "--ready-file", str(ready)], stdout=log, stderr=log
    )
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready.exists():
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError((folder / "log").read_text())
        time.sleep(0.02)
    return process, int(json.loads(ready.read_text())["url"].rpartition(":")[2])


def table(result: dict) -> str:
    asked = result["asked"]
    lines = [
        f"# {asked['writers']} writers and {asked['readers']} readers, {asked['seconds']:g} s",
        "",
        f"{result['machine']}; load average {result['load_average']}.",
        "",
        "| request | answered | per second | median, ms | p99, ms | slowest, ms |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {f['requests']:,} | {f['per_second']:,} | {f['median_ms']:,} | {f['p99_ms']:,} | {f['max_ms']:,} |"
        for name, f in result["mixed"].items()
    ]
    lines += [
        "",
        f"Answers by status: {result['statuses']}. `database is locked` in the log: {result['locked']}.",
        "",
        f"# {asked['connections']:,} connections that write without a pause, {asked['overload_seconds']:g} s",
        "",
        f"Answers by status: {result['overload_statuses']} (503: refused with Retry-After, nothing changed); "
        f"of those that were taken on: {result['overload']}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("seconds", 60.0), ("overload-seconds", 10.0)):
        parser.add_argument(f"--{name}", type=float, default=default)
    for name, default in (("writers", 50), ("readers", 50), ("connections", 1000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    result = {
        "asked": vars(asked),
        "machine": f"{os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}",
        "load_average": f"{os.getloadavg()[0]:.1f} before",
    }
    with tempfile.TemporaryDirectory() as folder:
        process, port = start(Path(folder))
        try:
            client = Client(port)
            client.ok("POST", f"{PREFIX}/registered-models/create", {"name": "shared"})
            runs = [new_run(client) for _ in range(asked.writers)]
            work = [(write, run) for run in runs]
            work += [(read, runs[n % len(runs)]) for n in range(asked.readers)]
            found, statuses = measure(port, work, asked.seconds)
            writes = [v for n in WRITES for v in found[n]]
            reads = [v for n, vs in found.items() if n not in WRITES for v in vs]
            result["mixed"] = {
                "all writes": figures(writes, asked.seconds),
                "all reads": figures(reads, asked.seconds),
                **{name: figures(values, asked.seconds) for name, values in sorted(found.items())},
            }
            result["statuses"] = dict(statuses)
            work = [(write, runs[n % len(runs)]) for n in range(asked.connections)]
            found, statuses = measure(port, work, asked.overload_seconds)
            every = [v for values in found.values() for v in values]
            result["overload"] = figures(every, asked.overload_seconds)
            result["overload_statuses"] = dict(statuses)
            client = Client(port)
            client.ok("GET", f"{PREFIX}/runs/get?run_id={runs[0]}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        result["locked"] = (Path(folder) / "log").read_text().count("database is locked")
    out = RESULTS / "mixed_load"
    out.mkdir(parents=True, exist_ok=True)
    (out / "mixed_load.json").write_text(json.dumps(result, indent=2) + "\n")
    (out / "mixed_load.md").write_text(table(result))
    print(table(result))


if __name__ == "__main__":
    main()

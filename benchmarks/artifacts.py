"""Artifacts through the server: one large file against the disk, many small ones against mlflow server.

    python benchmarks/artifacts.py [--size-mib 1024] [--files 10000] [--rounds 3] [--clients 1 8]

Large: what one SHA-256 pass over the file and one copy of it cost on this machine, measured in each round
right before the transfers; the share is that time divided by the transfer's. The least of all rounds counts: how
long a copy takes depends on the memory that the kernel has at hand for it, and varies tenfold. For the same reason
the client of a download counts the bytes and does not store them: storing them took longer than all that the server
did. Once, and not timed, it compares their digest. Small: files a second, the same client against both servers,
which take turns. Results go to benchmarks/results/artifacts.json and artifacts.md.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import selectors
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from vs_mlflow import (
    RESULTS,
    Client,
    Server,
    free_port,
    lastgood_command,
    mlflow_command,
    running,
    stopped,
)

FILES = "/api/2.0/mlflow-artifacts/artifacts"
CHUNK = 1 << 20
RECEIVED_AT_ONCE = 256 << 10  # small enough for the processor's cache
SMALL_SIZE = 2048
CLIENT_SCRIPT = """
import sys, time
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
run = client.create_run("0").info.run_id
began = time.monotonic()
client.log_artifacts(run, sys.argv[2])
sent = time.monotonic()
client.download_artifacts(run, "", sys.argv[3])
print(sent - began, time.monotonic() - sent)
"""


# --- one large file ------------------------------------------------------------------------------------


def write_random(file: Path, size: int) -> None:
    block = os.urandom(CHUNK)
    with file.open("wb") as out:
        for i in range(size // CHUNK):
            out.write(i.to_bytes(8, "little") + block[8:])


def start_anew(file: Path, turn: int) -> None:
    """Other bytes of the same length, so that they have to be stored."""
    with file.open("r+b") as out:
        out.write(turn.to_bytes(8, "big"))
    os.sync()


def hash_and_copy(file: Path, target: Path) -> dict:
    began = time.monotonic()
    with file.open("rb") as data:
        hashlib.file_digest(data, hashlib.sha256)
    hashed = time.monotonic()
    shutil.copyfile(file, target)
    copied = time.monotonic()
    with target.open("rb+") as out:
        os.fsync(out.fileno())
    synced = time.monotonic()
    target.unlink()
    return {
        "hash_s": hashed - began,
        "copy_s": copied - hashed,
        "sync_s": synced - copied,
    }


def put_large(server: Server, path: str, file: Path) -> float:
    client, size = Client(server.port), file.stat().st_size
    began = time.monotonic()
    client.socket.sendall(
        f"PUT {FILES}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    with file.open("rb") as data:
        client.socket.sendfile(data)
    status, answer = client.answer()
    if status != 200:
        raise RuntimeError(f"PUT {path}: {status} {answer[:300]!r}")
    return time.monotonic() - began


def get_large(
    server: Server, path: str, size: int, take: Callable[[memoryview], object] = lambda _: None
) -> float:
    """How long it takes to receive the file; `take` gets the bytes."""
    client = Client(server.port)
    began = time.monotonic()
    client.socket.sendall(f"GET {FILES}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.receive()
    rest = memoryview(head.partition(b"\r\n\r\n")[2])
    take(rest)
    buffer, got = memoryview(bytearray(RECEIVED_AT_ONCE)), len(rest)
    while got < size:
        count = client.socket.recv_into(buffer)
        if not count:
            raise ConnectionError("the server closed the connection")
        take(buffer[:count])
        got += count
    return time.monotonic() - began


def check_large(server: Server, path: str, file: Path) -> None:
    with file.open("rb") as data:
        sent = hashlib.file_digest(data, hashlib.sha256)
    received = hashlib.sha256()
    get_large(server, path, file.stat().st_size, received.update)
    if received.digest() != sent.digest():
        raise RuntimeError(f"GET {path}: other bytes than were sent")


def peak_memory_mib(server: Server) -> float:
    text = Path(f"/proc/{server.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


def disk_use(folder: Path) -> int:
    return sum(f.stat().st_blocks * 512 for f in folder.rglob("*") if f.is_file())


def measure_large(server: Server, folder: Path, options: argparse.Namespace) -> dict:
    size = options.size_mib << 20
    file, other = folder / "large", folder / "other"
    write_random(file, size)
    rows = []
    before = peak_memory_mib(server)
    for turn in range(options.rounds):
        start_anew(file, turn)
        row = hash_and_copy(file, other)
        os.sync()
        row["up_s"] = put_large(server, f"large/{turn}", file)
        row["down_s"] = get_large(server, f"large/{turn}", size)
        rows.append(row)
        print({name: round(value, 2) for name, value in row.items()}, flush=True)
    check_large(server, f"large/{options.rounds - 1}", file)
    least = {name: min(row[name] for row in rows) for name in ("hash_s", "copy_s", "sync_s")}
    work = least["hash_s"] + least["copy_s"]
    up_s, down_s = (statistics.median(row[name] for row in rows) for name in ("up_s", "down_s"))
    stored = disk_use(folder / "lastgood" / "objects")
    again_s = put_large(server, "large/again", file)
    return {
        **least,
        "up_s": up_s,
        "down_s": down_s,
        "up_share": work / up_s,
        "up_share_synced": (work + least["sync_s"]) / up_s,
        "down_share": work / down_s,
        "rounds": rows,
        "again_s": again_s,
        "again_bytes": disk_use(folder / "lastgood" / "objects") - stored,
        "memory_before_mib": before,
        "memory_peak_mib": peak_memory_mib(server),
    }


# --- many small files ------------------------------------------------------------------------------------


def put_small(client: Client, path: str, data: bytes) -> None:
    client.socket.sendall(
        f"PUT {FILES}/{path} HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n".encode()
        + data
    )


def get_small(client: Client, path: str, _data: bytes) -> None:
    client.send("GET", f"{FILES}/{path}")


def rate(server: Server, step: str, folder: str, files: int, clients: int) -> float:
    """Files a second; the clients are connections of one process, which take from the machine what one does."""
    ask = {"up": put_small, "down": get_small}[step]
    waiting, numbers = selectors.DefaultSelector(), iter(range(files))
    start = time.monotonic()

    def ask_next(client: Client) -> None:
        if (number := next(numbers, None)) is None:
            waiting.unregister(client.socket)
            return
        path = f"{folder}/{number % 20}/{number}"
        data = f"{folder} {number} ".encode().ljust(SMALL_SIZE, b"x")
        waiting.modify(client.socket, selectors.EVENT_READ, (client, path, data))
        ask(client, path, data)

    for _ in range(clients):
        client = Client(server.port)
        waiting.register(client.socket, selectors.EVENT_READ)
        ask_next(client)
    while waiting.get_map():
        for key, _ in waiting.select():
            client, path, data = key.data
            if (answer := client.answer_if_complete()) is None:
                continue
            if answer[0] != 200 or (step == "down" and answer[1] != data):
                raise RuntimeError(f"{step} {path}: {answer[0]} {answer[1][:300]!r}")
            ask_next(client)
    return files / (time.monotonic() - start)


def measure_small(peer: Server, ours: Server, options: argparse.Namespace) -> list[dict]:
    rows = []
    for clients in options.clients:
        for step in ("up", "down"):
            found: dict[str, list[float]] = {"mlflow": [], "lastgood": []}
            for turn in range(options.rounds):
                for server, other in ((peer, ours), (ours, peer)):
                    # MLflow's rate does not depend on how many there are; a tenth of them is enough to know it.
                    files = options.files // options.rounds // (10 if server is peer else 1)
                    folder = f"small/{clients}-{turn}"
                    with stopped(other):
                        found[server.name].append(rate(server, step, folder, files, clients))
            row = {"step": step, "clients": clients}
            row |= {f"{name}_per_s": statistics.median(rates) for name, rates in found.items()}
            row["ratio"] = statistics.median(
                o / p for p, o in zip(found["mlflow"], found["lastgood"], strict=True)
            )
            rows.append(row)
            print(row, flush=True)
    return rows


def measure_real_client(server: Server, folder: Path, files: int) -> dict:
    """MLflow's own client, one after the other as it does; most of the time is its own."""
    source, target = folder / f"{server.name}-files", folder / f"{server.name}-down"
    source.mkdir()
    target.mkdir()
    for i in range(files):
        (source / f"{i}.bin").write_bytes(f"{server.name} {i} ".encode().ljust(SMALL_SIZE, b"x"))
    environment = {**os.environ, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    done = subprocess.run(
        [sys.executable, "-c", CLIENT_SCRIPT, f"http://127.0.0.1:{server.port}", source, target],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    up_s, down_s = (float(x) for x in done.stdout.split()[-2:])
    return {"server": server.name, "up_per_s": files / up_s, "down_per_s": files / down_s}


# --- the report ------------------------------------------------------------------------------------------


def markdown(report: dict) -> str:
    large = report["large"]
    lines = [
        "# Artifacts through the server",
        "",
        f"{report['date']}, {report['machine']}; mlflow {report['mlflow']}, lastgood {report['lastgood']}, "
        f"Python {report['python']}; {report['rounds']} rounds, medians. Load of the machine before: {report['load']:.1f}.",
        "Made by benchmarks/artifacts.py. Objects on local disk; lastgood acknowledges only what is fsynced. The client sends "
        "large files from the kernel's cache and counts what it downloads: what a client does with the bytes is not measured.",
        "",
        f"## One file of {report['size_mib']:,} MiB",
        "",
        "| | seconds | hash and copy take, as a share of it |",
        "|---|---|---|",
        f"| one SHA-256 pass and one copy, not synced; the least of all rounds | {large['hash_s'] + large['copy_s']:.2f} | |",
        f"| sync of that copy | {large['sync_s']:.2f} | |",
        f"| upload, durable | {large['up_s']:.2f} | **{large['up_share']:.0%}** (with the sync: {large['up_share_synced']:.0%}) |",
        f"| download, verified | {large['down_s']:.2f} | **{large['down_share']:.0%}** |",
        f"| the same bytes again | {large['again_s']:.2f} | needs {large['again_bytes']:,} bytes of disk |",
        "",
        f"Memory of the server: {large['memory_before_mib']:.0f} MiB before, {large['memory_peak_mib']:.0f} MiB at its peak.",
        "",
        f"## {report['files']:,} files of {SMALL_SIZE:,} bytes",
        "",
        "| | clients | MLflow, files/s | lastgood, files/s | ratio |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['step']} | {row['clients']} | {row['mlflow_per_s']:,.0f} | {row['lastgood_per_s']:,.0f} | "
        f"**{row['ratio']:.1f}x** |"
        for row in report["small"]
    ]
    lines += [
        "",
        "With MLflow's own client (`log_artifacts`, `download_artifacts`), whose own work then dominates:",
        "",
        "| server | up, files/s | down, files/s |",
        "|---|---|---|",
    ]
    lines += [
        f"| {row['server']} | {row['up_per_s']:,.0f} | {row['down_per_s']:,.0f} |"
        for row in report["real_client"]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size-mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "mlflow": version("mlflow"),
        "lastgood": version("lastgood"),
        "rounds": options.rounds,
        "size_mib": options.size_mib,
        "files": options.files,
    }
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        ports = free_port(), free_port()
        ours = stack.enter_context(
            running("lastgood", lastgood_command(folder, ports[1]), ports[1], folder)
        )
        report["large"] = measure_large(ours, folder, options)
        peer = stack.enter_context(
            running("mlflow", mlflow_command(folder, ports[0]), ports[0], folder)
        )
        report["small"] = measure_small(peer, ours, options)
        report["real_client"] = [
            measure_real_client(server, folder, options.files // 10) for server in (peer, ours)
        ]
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "artifacts.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.output / "artifacts.md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()

"""Many clients of one server at once, in one event loop, and what each of them was told."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

API = "/api/2.0/mlflow"
PATIENCE_S = 60.0
PAUSE_S = 0.05


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """`lastgood server` on one data directory and one port, however often it is started."""

    def __init__(self, folder):
        self.data, self.port = folder / "data", free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready, self.log = folder / "ready.json", folder / "log"
        self.start()

    def start(self):
        self._ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "lastgood", "server", "--data", str(self.data)]
        command += ["--port", str(self.port), "--ready-file", str(self._ready)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while not self._ready.exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def kill(self):
        """At once, whatever it was doing."""
        return self.stop(signal.SIGKILL)

    def peak_memory(self):
        """Bytes."""
        with Path(f"/proc/{self.process.pid}/status").open(encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


class Line:
    """A keep-alive connection that costs little and opens itself again."""

    def __init__(self, port):
        self.port = port
        self._streams = None

    async def call(self, method, path, body=None):
        """Status, headers and body; ConnectionError if no answer came."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        try:
            async with asyncio.timeout(PATIENCE_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self.port)
                reader, writer = self._streams
                writer.write(head.encode() + data)
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                content = await reader.readexactly(int(headers["content-length"]))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConnectionError(str(error)) from error
        except TimeoutError as error:
            self.close()
            raise AssertionError(f"no answer to {path} within {PATIENCE_S:g} s") from error
        return int(lines[0].split()[1]), headers, content

    def close(self):
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Told:
    """What clients were told."""

    statuses: Counter = field(default_factory=Counter)
    strange: list = field(default_factory=list)  # answers that nobody should get
    lost: int = 0  # requests without an answer
    write_s: list = field(default_factory=list)
    read_s: list = field(default_factory=list)

    def note(self, status, headers, content, *, began, write):
        self.statuses[status] += 1
        if status == 200:
            (self.write_s if write else self.read_s).append(time.monotonic() - began)
        elif status != 503 or not headers.get("retry-after"):
            self.strange.append((status, content[:300]))


@dataclass
class Writer:
    """Logs to a run of its own and registers versions; remembers what was acknowledged."""

    name: str
    run_id: str
    steps: list = field(default_factory=list)
    tag: int = 0
    versions: list = field(default_factory=list)

    async def work(self, line, told, stop):
        number = 0
        while not stop.is_set():
            number += 1
            if number % 10 == 1:
                body = {"name": "shared", "source": f"s3://bucket/{self.name}/{number}"}
                answer = await call(line, told, "POST", "/model-versions/create", body)
                if answer is not None:
                    self.versions.append(int(answer["model_version"]["version"]))
            elif number % 3 == 0:
                body = {"run_id": self.run_id, "key": "last", "value": str(number)}
                if await call(line, told, "POST", "/runs/set-tag", body) is not None:
                    self.tag = number
            else:
                point = {"key": "m", "value": number, "timestamp": 1, "step": number}
                body = {"run_id": self.run_id, **point}
                if await call(line, told, "POST", "/runs/log-metric", body) is not None:
                    self.steps.append(number)


async def read(run_id, line, told, stop):
    """Looks at what others write."""
    paths = (
        f"/runs/get?run_id={run_id}",
        "/registered-models/get?name=shared",
        f"/metrics/get-history?run_id={run_id}&metric_key=m&max_results=50",
    )
    search = {"experiment_ids": ["0"], "filter": "metrics.m > 3", "max_results": 20}
    while not stop.is_set():
        for path in paths:
            await call(line, told, "GET", path)
        await call(line, told, "POST", "/runs/search", search, write=False)


async def call(line, told, method, path, body=None, *, write=None):
    """The answer; None if the server was busy or away."""
    began = time.monotonic()
    try:
        status, headers, content = await line.call(method, API + path, body)
    except ConnectionError:
        told.lost += 1
        await asyncio.sleep(PAUSE_S)
        return None
    told.note(status, headers, content, began=began, write=method == "POST" and write is None)
    return json.loads(content) if status == 200 else None


def prepared(server, writers):
    """A model, and a run for each writer."""
    with httpx.Client(base_url=server.url + API, timeout=PATIENCE_S) as client:
        client.post("/registered-models/create", json={"name": "shared"}).raise_for_status()
        made = []
        for n in range(writers):
            answer = client.post("/runs/create", json={"experiment_id": "0"}).raise_for_status()
            made.append(Writer(f"w{n}", answer.json()["run"]["info"]["run_id"]))
    return made


async def mixed_load(server, writers, readers, told, during):
    """All at once, while `during` (in a thread) goes on."""
    stop = asyncio.Event()
    lines = [Line(server.port) for _ in range(len(writers) + readers)]
    tasks = [
        asyncio.create_task(writer.work(line, told, stop))
        for writer, line in zip(writers, lines, strict=False)
    ]
    tasks += [
        asyncio.create_task(read(writers[n % len(writers)].run_id, line, told, stop))
        for n, line in enumerate(lines[len(writers) :])
    ]
    await asyncio.to_thread(during)
    stop.set()
    await asyncio.gather(*tasks)
    for line in lines:
        line.close()


def stopped(server):
    """In an orderly way, or at least surely."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return server.stop()
    os.kill(server.process.pid, signal.SIGKILL)
    return server.process.wait(PATIENCE_S)

"""The server as a process: start, stop, and what it refuses to start on."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest

from lastgood.api.server import serve_registry
from lastgood.engine.open import ServerLock, init_data_directory
from lastgood.errors import LastgoodError, Refused, StoreUnavailable

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
PROGRAM = """
import sys
from pathlib import Path
from lastgood.api.server import serve_registry
sys.exit(serve_registry(data=Path(sys.argv[1]), host="127.0.0.1", port=0, ready_file=Path(sys.argv[2])))
"""


IMPATIENT = """
from lastgood.api import pace, server
pace.STALL_TIMEOUT_S = server.UNREAD_TIMEOUT_S = 3
"""


class Running:
    def __init__(self, folder, program=PROGRAM):
        self.data, self.ready = folder / "data", folder / "ready.json"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(self.data), str(self.ready)], stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready.exists():
            assert self.process.poll() is None, self.process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        announced = json.loads(self.ready.read_text())
        assert announced["pid"] == self.process.pid
        self.url = announced["url"]

    @property
    def port(self):
        return int(self.url.rpartition(":")[2])

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(STOP_TIMEOUT_S)
        self.process.stderr.close()
        return code


@pytest.fixture
def running(tmp_path):
    server = Running(tmp_path)
    yield server
    if server.process.poll() is None:
        server.process.kill()
        server.stop()


def incoming(data):
    return list((data / "objects" / "incoming").iterdir())


def test_it_serves_and_stops_in_order(running):
    assert httpx.get(f"{running.url}/health").text == "OK"
    assert httpx.get(f"{running.url}/api/v1/models", timeout=START_TIMEOUT_S).json() == []
    assert running.stop() == 0
    assert not running.ready.exists()


def test_it_stops_on_interrupt_while_a_watch_waits(running):
    httpx.post(f"{running.url}/api/2.0/mlflow/registered-models/create", json={"name": "churn"})
    query = {"after_seq": 10, "wait_s": 60}

    def watch():
        # What the waiting client gets is not promised; that the server ends is.
        with suppress(httpx.HTTPError):
            httpx.get(f"{running.url}/api/v1/target/churn/production", params=query, timeout=90)

    thread = threading.Thread(target=watch)
    thread.start()
    time.sleep(0.5)
    assert running.stop(signal.SIGINT) == 0
    thread.join(STOP_TIMEOUT_S)
    assert not thread.is_alive()


def test_a_second_server_on_the_same_directory_is_refused(running):
    with pytest.raises(StoreUnavailable) as error:
        serve_registry(data=running.data, host="127.0.0.1", port=0, ready_file=None)
    assert str(running.process.pid) in error.value.message
    assert running.url in error.value.message


def test_a_killed_server_leaves_the_directory_free(running):
    running.stop(signal.SIGKILL)
    ServerLock(running.data).close()


def test_a_taken_port_is_refused(running, tmp_path):
    with pytest.raises(LastgoodError) as error:
        serve_registry(
            data=tmp_path / "other", host="127.0.0.1", port=running.port, ready_file=None
        )
    assert f"127.0.0.1:{running.port}" in error.value.message
    assert error.value.exit_code == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_other_than_loopback_is_refused(host, tmp_path):
    with pytest.raises(Refused) as error:
        serve_registry(data=tmp_path / "data", host=host, port=0, ready_file=None)
    assert "access control does not exist yet" in error.value.message


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    init_data_directory(tmp_path)
    tmp_path.chmod(0o500)
    with pytest.raises(StoreUnavailable):
        serve_registry(data=tmp_path, host="127.0.0.1", port=0, ready_file=None)


def test_a_large_upload_streams(running):
    size = 192 << 20

    def chunks():
        for _ in range(size >> 20):
            yield b"x" * (1 << 20)

    path = f"{running.url}/api/2.0/mlflow-artifacts/artifacts/0/large.bin"
    assert httpx.put(path, content=chunks(), timeout=120).status_code == 200
    received = 0
    with httpx.stream("GET", path, timeout=120) as answer:
        for chunk in answer.iter_bytes():
            received += len(chunk)
    assert received == size
    peak = next(
        int(line.split()[1])
        for line in Path(f"/proc/{running.process.pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    assert peak < 180 << 10  # KiB: the server itself has about 100 MiB


def test_an_upload_that_breaks_off_leaves_nothing(running):
    path = "/api/2.0/mlflow-artifacts/artifacts/0/broken.bin"
    head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.sendall(head.encode() + b"x" * 3_000_000)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not incoming(running.data):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    deadline = time.monotonic() + START_TIMEOUT_S
    while incoming(running.data):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert httpx.get(running.url + path).status_code == 404


def sockets(process):
    descriptors = Path(f"/proc/{process.pid}/fd").iterdir()
    count = 0
    for descriptor in descriptors:
        with suppress(FileNotFoundError):  # closed meanwhile
            count += str(descriptor.readlink()).startswith("socket:")
    return count


@pytest.mark.slow
@pytest.mark.parametrize("address", ["artifact", "object"])
def test_a_download_that_nobody_reads_is_given_up(tmp_path, address):
    server = Running(tmp_path, program=IMPATIENT + PROGRAM)
    try:
        content = os.urandom(1 << 20) * 32  # more than the buffers on the way hold
        path = "/api/2.0/mlflow-artifacts/artifacts/0/large.bin"
        assert httpx.put(server.url + path, content=content, timeout=60).status_code == 200
        if address == "object":
            path = f"/api/v1/objects/sha256:{hashlib.sha256(content).hexdigest()}"
        assert httpx.get(server.url + path, timeout=60).content == content  # the control
        deadline, before = time.monotonic() + START_TIMEOUT_S, sockets(server.process)
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
            while sockets(server.process) > before:
                assert time.monotonic() < deadline, "the connection is still held"
                time.sleep(0.05)
            received = 0
            with suppress(ConnectionError):
                while chunk := connection.recv(1 << 20):
                    received += len(chunk)
            assert received < len(content)
        assert httpx.get(f"{server.url}/health").text == "OK"
    finally:
        server.process.kill()
        server.stop()


def test_a_damaged_file_breaks_off_instead_of_ending_well(running):
    content = os.urandom(3 << 20)
    url = f"{running.url}/api/2.0/mlflow-artifacts/artifacts/0/large.bin"
    assert httpx.put(url, content=content).status_code == 200
    assert httpx.get(url).content == content  # the control
    digest = hashlib.sha256(content).hexdigest()
    path = running.data / "objects" / "sha256" / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_bytes(b"X" + content[1:])
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(url)
    running.process.send_signal(signal.SIGTERM)
    _, log = running.process.communicate(timeout=STOP_TIMEOUT_S)
    assert f"{digest} is damaged" in log.decode()


@pytest.mark.parametrize(
    ("address", "extra", "status"),
    [("/" + "x" * 70_000, 0, 414), ("/api/v1/models", 200, 431), ("/api/v1/models", 50, 200)],
)
def test_heads_are_bounded_before_anything_looks_at_them(running, address, extra, status):
    lines = [f"GET {address} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"X-{n}: x" for n in range(extra)]
    with socket.create_connection(("127.0.0.1", running.port), START_TIMEOUT_S) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(12) == f"HTTP/1.1 {status}".encode()


class Line:
    """One connection, on which a request's head and its body do not come at once."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), START_TIMEOUT_S)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._socket.close()

    def head(self, method, path, length):
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {length}"]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())

    def body(self, content):
        time.sleep(0.1)  # who refuses by the head has done so
        self._socket.sendall(content)

    def answer(self):
        answer = HTTPResponse(self._socket)
        answer.begin()
        answer.read()
        return answer.status, answer.headers["Connection"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/%2e%2e/x", 400),
        ("POST", "/api/2.0/mlflow/runs/create", 400),  # it does not say that it is JSON
        ("POST", "/api/2.0/mlflow/no/such", 404),
        ("POST", "/api/v1/models", 405),
        ("POST", "/" + "x" * 9000, 414),
    ],
)
def test_a_connection_takes_the_next_request_after_one_that_was_refused_by_its_head(
    running, method, path, status
):
    with Line(running.port) as line:
        line.head(method, path, 3)
        line.body(b"xyz")
        assert line.answer() == (status, None)
        line.head("GET", "/health", 0)
        assert line.answer() == (200, None)


def test_who_sends_much_after_a_refusal_is_told_that_the_connection_ends(running):
    with Line(running.port) as line:
        line.head("PUT", "/api/2.0/mlflow-artifacts/artifacts/%2e%2e/x", 1 << 30)
        assert line.answer() == (400, "close")


def test_a_hundred_megabytes_of_json_get_an_answer(running):
    url = f"{running.url}/api/2.0/mlflow/registered-models/create"
    # The server may hang up before all was sent.
    with suppress(httpx.WriteError):
        answer = httpx.post(
            url,
            content=b" " * (100 << 20),
            headers={"content-type": "application/json"},
            timeout=60,
        )
        assert answer.status_code == 413
    assert httpx.get(f"{running.url}/health").text == "OK"


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n", b"POST " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n"],
)
def test_garbage_on_the_socket(running, garbage):
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.sendall(garbage)
        connection.settimeout(10)
        connection.recv(100)
    assert httpx.get(f"{running.url}/health").text == "OK"

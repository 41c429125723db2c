"""Artifacts over a real socket: hostile paths, broken uploads, memory."""

import http.client
import os
import socket
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

FILES = "/api/2.0/mlflow-artifacts/artifacts"
PATIENCE_S = 20.0
MIB = 1 << 20

_STEPS = (
    "..",
    "%2e%2e",
    "%252e%252e",
    "%2E.",
    "..%00",
    "..%5c..",
    "%c0%ae%c0%ae",
    "..;",
    "\uff0e\uff0e",
)
_SLASHES = ("/", "%2f", "%252F", "\\", "%5c", "//")
HOSTILE = sorted(
    {
        prefix + slash.join([step] * depth + ["etc", "passwd"])
        for prefix in ("", "0/run/artifacts/", "sha256/")
        for step in _STEPS
        for slash in _SLASHES
        for depth in (1, 4)
    }
)


@pytest.fixture
def ask(server):
    address = urlsplit(server.url)
    with closing(
        http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE_S)
    ) as connection:

        def asking(method, path, body=None, headers=None):
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read()

        yield asking


def stored_files(server):
    return {
        p.relative_to(server.data.parent)
        for p in server.data.parent.rglob("*")
        if p.is_file() and "objects" not in p.parts
    }


@pytest.mark.slow
def test_hostile_paths_neither_escape_nor_break_the_server(server, ask):
    assert len(HOSTILE) > 300
    before = stored_files(server)
    statuses = set()
    for path in HOSTILE:
        sent = quote(path, safe="/%;\\")
        statuses |= {
            ask(method, f"{FILES}/{sent}", body)[0]
            for method, body in (("PUT", b"x"), ("GET", None), ("DELETE", None))
        }
        statuses.add(ask("GET", f"{FILES}?path={quote(path, safe='')}")[0])
    assert statuses <= {200, 400, 403, 404, 409}
    assert stored_files(server) == before
    listed = ask("GET", FILES)[1]
    assert b".." not in listed
    assert b"etc" not in listed


def _incoming(server):
    return list((server.data / "objects" / "incoming").iterdir())


def _eventually(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("announced", "sent"), [(10 * MIB, 3 * MIB), (1000, 10)])
def test_an_upload_that_breaks_off_leaves_nothing(server, ask, announced, sent):
    address = urlsplit(server.url)
    with socket.create_connection(
        (address.hostname, address.port), timeout=PATIENCE_S
    ) as connection:
        head = f"PUT {FILES}/broken/file HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {announced}\r\n\r\n"
        connection.sendall(head.encode() + b"x" * sent)
        if sent > MIB:  # a small body is not written before all of it is there
            _eventually(lambda: _incoming(server))  # control: there is something to leave behind
    _eventually(lambda: not _incoming(server))
    assert ask("GET", f"{FILES}/broken/file")[0] == 404


class _Zeros:
    def __init__(self, size):
        self._left = size

    def read(self, size=-1):
        size = min(MIB if size < 0 else size, self._left)
        self._left -= size
        return bytes(size)


def _peak_memory(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(
        int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")
    )


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    "size", [256 * MIB, pytest.param(5 * 1024 * MIB, marks=pytest.mark.nightly)]
)
def test_a_large_artifact_needs_little_memory(server, ask, size):
    before = _peak_memory(server.pid)
    path = f"{FILES}/large/{os.getpid()}"
    assert ask("PUT", path, _Zeros(size), {"Content-Length": str(size)})[0] == 200
    address = urlsplit(server.url)
    with closing(
        http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE_S)
    ) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        received = 0
        while chunk := response.read(MIB):
            received += len(chunk)
    assert received == size
    assert ask("DELETE", path)[0] == 200
    assert _peak_memory(server.pid) - before < 100 * MIB


def _open_objects(pid):
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(descriptor.readlink())
    return [path for path in found if "objects" in path.parts]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are read from /proc")
def test_a_download_that_breaks_off_lets_go_of_the_file(server, ask):
    path, size = f"{FILES}/left/alone", 64 * MIB
    assert ask("PUT", path, _Zeros(size), {"Content-Length": str(size)})[0] == 200
    address = urlsplit(server.url)
    with socket.create_connection(
        (address.hostname, address.port), timeout=PATIENCE_S
    ) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        connection.recv(MIB)
        _eventually(lambda: _open_objects(server.pid))  # control: there is something to let go of
    _eventually(lambda: not _open_objects(server.pid))
    assert ask("DELETE", path)[0] == 200

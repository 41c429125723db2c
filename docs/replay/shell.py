"""The terminal of a story: an empty directory, its variables, and the processes in its background."""

import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

__all__ = ["Shell"]

ROOT = Path(__file__).parents[2]
COMMAND_TIMEOUT_S = 600.0
READY_TIMEOUT_S = 60.0
READY_POLL_S = 0.1
STOP_TIMEOUT_S = 15.0
OUTPUT_MAX = 4 * 2**20  # bytes
WIDTH, HEIGHT = 100, 50
HOME_SHOWN = "~/churn"
HOST_SHOWN = "vm-"
USER_SHOWN = "ops"
SERVER_PORT, GATEWAY_PORT = 5000, 5001
PACKAGE = "'lastgood[serve]'"
"""How a page installs the package; what is installed is this checkout."""
PROGRAMS = {"lastgood": '-m lastgood "$@"', "python": '"$@"'}
_DROPPED = ("LASTGOOD_", "MLFLOW_", "VIRTUAL_ENV", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")


class Shell:
    """Runs commands as a reader would type them; `close` ends what they left in the background.

    The ports of a page, 5000 and 5001, are free ones in truth; they, the directory, this machine and its
    user are written in what is printed as the page has them.
    """

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="replay-")).resolve()
        self.folder = self._home / "story"
        self.folder.mkdir()
        self._ports = {port: _free_port() for port in (SERVER_PORT, GATEWAY_PORT)}
        self._running: list[subprocess.Popen[bytes]] = []
        self._environment = self._first_environment()

    def write(self, path: str, text: str) -> None:
        """Write a file of the story."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(self._inward(text), encoding="utf-8")

    def run(self, command: str) -> tuple[int, str]:
        """Run a command to its end, or in the background if it ends with ``&``; its exit code and output.

        Raises:
            TimeoutError: it did not end, or did not listen in time.
        """
        inward = self._inward(command)
        if inward.endswith("&"):
            return self._start(inward.removesuffix("&").strip())
        if inward.startswith("export "):
            return self._export(inward)
        return self._foreground(inward)

    def close(self) -> None:
        """End the processes in the background, the last first, and remove the directory."""
        while self._running:
            process = self._running.pop()
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                _kill(process)
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _first_environment(self) -> dict[str, str]:
        programs = self._home / "bin"
        programs.mkdir()
        for name, arguments in PROGRAMS.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}\n')
            (programs / name).chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_DROPPED)}
        beside = str(Path(sys.executable).parent)
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return kept | {
            "PATH": f"{programs}:{kept['PATH']}:{beside}",
            "TERM": "dumb",  # no colours, and the width is what COLUMNS says
            "COLUMNS": str(WIDTH),
            "LINES": str(HEIGHT),
            "TZ": "UTC",
            "LOGNAME": USER_SHOWN,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
            "PYTHONWARNINGS": "ignore",
            "XDG_CACHE_HOME": str(self._home / "cache"),
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(cache / "uv"),
        }

    def _export(self, command: str) -> tuple[int, str]:
        done = subprocess.run(
            ["/bin/sh", "-c", f"{command}; exec env -0"],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            check=True,
        )
        pairs = (line.partition("=") for line in done.stdout.decode().split("\0") if line)
        self._environment = {name: value for name, _, value in pairs}
        return 0, ""

    def _foreground(self, command: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        watch = threading.Timer(COMMAND_TIMEOUT_S, _kill, [process])
        watch.start()
        try:
            output = _read(ours)
            code = process.wait(COMMAND_TIMEOUT_S)
        finally:
            watch.cancel()
            os.close(ours)
        if code == -signal.SIGKILL:
            raise TimeoutError(f"`{command}` did not end within {COMMAND_TIMEOUT_S:.0f} s")
        return code, self._outward(output.decode("utf-8", "replace"))

    def _start(self, command: str) -> tuple[int, str]:
        """Start a server or a gateway and wait until it listens."""
        number = len(self._running)
        ready, log = self._home / f"ready-{number}", self._home / f"log-{number}"
        shown = GATEWAY_PORT if command.startswith("lastgood serve ") else SERVER_PORT
        given = f"--port {self._ports[shown]} --ready-file {ready}"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command} {given}"],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self._running.append(process)
        end = time.monotonic() + READY_TIMEOUT_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(f"`{command}` does not listen:\n{log.read_text()}")
            time.sleep(READY_POLL_S)
        return 0, ""

    def _inward(self, text: str) -> str:
        for shown, real in self._ports.items():
            text = text.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{real}")
        return text.replace(PACKAGE, f"'{ROOT}[serve]'")

    def _outward(self, text: str) -> str:
        for shown, real in self._ports.items():
            text = text.replace(f"127.0.0.1:{real}", f"127.0.0.1:{shown}")
        text = text.replace("\r\n", "\n").replace(str(self.folder), HOME_SHOWN)
        host = socket.gethostname()
        shown = HOST_SHOWN.ljust(len(host), "0")[
            : len(host)
        ]  # as long as it was: it stands in tables
        text = re.sub(rf"\bon {re.escape(host)}\b", f"on {shown}", text)
        text = "\n".join(line.rstrip() for line in text.splitlines())
        for told in (str(self._home), str(ROOT), sys.prefix, str(Path.home())):
            if told in text and told != "/":
                raise ValueError(f"The output tells of this machine, {told}:\n{text}")
        return text.strip("\n")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _read(descriptor: int) -> bytes:
    """Everything that is printed, until nobody has the terminal open any more."""
    parts: list[bytes] = []
    size = 0
    with suppress(OSError):  # so Linux says that the other end is closed
        while size < OUTPUT_MAX and (part := os.read(descriptor, 1 << 16)):
            parts.append(part)
            size += len(part)
    return b"".join(parts)


def _kill(process: subprocess.Popen[bytes]) -> None:
    # It leads a session of its own, so this reaches exactly it and its children.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_TIMEOUT_S)

"""The processes of a demo: the server and the gateway in the background, commands as a user types them."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lastgood.errors import LastgoodError, NotConverged

__all__ = ["Background", "Household", "Ran"]

READY_TIMEOUT_S = 60.0
READY_POLL_S = 0.05
STOP_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 90.0
LOG_TAIL_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """A process that listens."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that ended well."""

    output: str
    started_ms: float
    ended_ms: float


class Household:
    """Starts processes, runs commands, and ends what it started.

    Every process gets a session of its own: Ctrl-C reaches the demo only, which then stops the others in order.
    """

    def __init__(self, folder: Path, *, columns: int, colour: bool) -> None:
        self._folder = folder
        self._running: list[Background] = []
        self._busy: subprocess.Popen[str] | None = None
        self.environment = dict(os.environ) | {"COLUMNS": str(columns)}
        for name in ("LASTGOOD_SERVER", "LASTGOOD_HOME", "LASTGOOD_CACHE"):
            self.environment.pop(
                name, None
            )  # whatever the user works with: the demo stays by itself
        if colour:
            self.environment["FORCE_COLOR"] = "1"

    def start(self, name: str, arguments: Sequence[str]) -> Background:
        """Start `lastgood <arguments>` and wait until it listens.

        Raises:
            NotConverged: it ended, or did not listen in time.
        """
        ready, log = self._folder / f"{name}.ready.json", self._folder / f"{name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "lastgood", *arguments, "--ready-file", str(ready)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        self._running.append(Background(name=name, url="", process=process, log=log))
        end = time.monotonic() + READY_TIMEOUT_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise NotConverged(f"The {name} did not start")
            time.sleep(READY_POLL_S)
        url = str(json.loads(ready.read_text(encoding="utf-8"))["url"])
        self._running[-1] = Background(name=name, url=url, process=process, log=log)
        return self._running[-1]

    def command(
        self, *arguments: str, extra: Mapping[str, str] | None = None, fine: Sequence[int] = (0,)
    ) -> Ran:
        """Run `lastgood <arguments>` to its end; `fine` are the exit codes that mean success.

        Raises:
            LastgoodError: it ended with an error, or not in time.
        """
        return self._run([sys.executable, "-m", "lastgood", *arguments], extra or {}, fine)

    def script(self, path: Path, *arguments: str, extra: Mapping[str, str]) -> Ran:
        """Run a Python script to its end. Raises as `command`."""
        return self._run([sys.executable, str(path), *arguments], extra, (0,))

    def listening(self) -> tuple[Background, ...]:
        """The processes in the background."""
        return tuple(self._running)

    def last_words(self) -> str:
        """The end of what each process in the background wrote, for when something went wrong."""
        return "\n".join(f"--- {one.name} ---\n{_tail(one.log)}" for one in self._running)

    def stop(self) -> None:
        """End everything that was started, the last first; kill what does not end in time."""
        if self._busy is not None:
            _end(self._busy)
        while self._running:
            _end(self._running.pop().process)

    def _run(self, command: Sequence[str], extra: Mapping[str, str], fine: Sequence[int]) -> Ran:
        started_ms = time.time() * 1000
        process = subprocess.Popen(
            command,
            env=self.environment | dict(extra),
            text=True,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._busy = process
        shown = shlex.join(["lastgood", *command[3:]] if command[1] == "-m" else command[1:])
        try:
            output, errors = process.communicate(timeout=COMMAND_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise NotConverged(f"`{shown}` did not end within {COMMAND_TIMEOUT_S:.0f} s") from error
        ended_ms = time.time() * 1000
        if process.returncode not in fine:
            last = "\n".join((errors or output).strip().splitlines()[-LOG_TAIL_LINES:])
            raise LastgoodError(f"`{shown}` ended with exit code {process.returncode}:\n{last}")
        self._busy = None
        return Ran(output=output, started_ms=started_ms, ended_ms=ended_ms)


def _end(process: subprocess.Popen[Any]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        # It leads a session of its own, so this reaches exactly it and its children.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=STOP_TIMEOUT_S)


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:]) or "(it said nothing)"

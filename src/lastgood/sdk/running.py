"""A program of somebody else's, in a process group of its own: bounded in time, and nothing of it stays."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Ended", "run_apart"]

SAID_SIZE_MAX = 16 * 2**10  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How it went."""

    code: int | None
    """The exit code, negative for a signal; None: it took too long and was ended."""
    said: str
    """The end of what it printed on both streams."""


def run_apart(
    command: Sequence[str],
    *,
    timeout_s: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run a program to its end, or to the end of its time.

    Args:
        command: The program and its arguments.
        timeout_s: How long it may take; then it is killed with all that it started.
        folder: Where it runs; by default here.
        environment: All its variables; by default ours.

    Raises:
        OSError: it cannot be started.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        code: int | None
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # Also what it left behind after ending by itself, and all of it when we are interrupted.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(max(0, output.seek(0, os.SEEK_END) - SAID_SIZE_MAX))
        return Ended(code=code, said=output.read().decode("utf-8", "replace").strip())

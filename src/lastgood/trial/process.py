"""Starting the throw-away process, waiting for its report, and ending it whatever it does."""

import importlib.util
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from lastgood.errors import InvalidInput, Refused

__all__ = ["Trial", "TrialOrder", "TrialReport", "mlflow_is_here"]

WORKER = Path(__file__).with_name("worker.py")
TRIAL_TIMEOUT_S = 300.0
REPORT_SIZE_MAX = 64 * 2**20
ERROR_LINES_SHOWN_MAX = 12
ERROR_TAIL_SIZE = 16 * 2**10


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOrder:
    """What to try."""

    path: Path
    """The model directory."""
    input: Path | None = None
    """A JSON request of MLflow, a CSV or a Parquet file; None: the model's input example."""
    times: int = 2
    """How often it answers; 0: it is only loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReport:
    """What was seen."""

    answers: Any
    """As JSON has them."""
    deterministic: bool
    """Whether it answered the same each time."""
    load_s: float
    predict_ms: float
    peak_mib: float
    mlflow: str
    python: str

    @property
    def figures(self) -> dict[str, float | str]:
        """What it took, as evidence keeps it."""
        return {
            "load_s": round(self.load_s, 4),
            "predict_ms": round(self.predict_ms, 3),
            "peak_mib": round(self.peak_mib, 1),
            "deterministic": "yes" if self.deterministic else "no",
            "mlflow": self.mlflow,
            "python": self.python,
        }

    @property
    def words(self) -> str:
        """The same in a few words."""
        return f"loaded in {self.load_s:.2f} s, answered in {self.predict_ms:.1f} ms, {self.peak_mib:.0f} MiB"


def mlflow_is_here() -> bool:
    """Whether this interpreter can load MLflow models."""
    return importlib.util.find_spec("mlflow") is not None


class Trial:
    """One throw-away process. It starts importing at once, so make it before the model is ready.

    Args:
        python: The interpreter; by default this one.
        modules: What to import besides mlflow while there is no order yet.
        timeout_s: How long loading and answering may take together.
    """

    def __init__(
        self,
        *,
        python: str = sys.executable,
        modules: Sequence[str] = (),
        timeout_s: float = TRIAL_TIMEOUT_S,
    ) -> None:
        self._timeout_s = timeout_s
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        read_end, write_end = os.pipe()
        try:
            self._process = subprocess.Popen(
                [python, "-W", "ignore", str(WORKER), str(write_end), *modules],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(write_end,),
                start_new_session=True,
                env={**os.environ, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"},
            )
        except OSError as error:
            os.close(read_end)
            self._errors.close()
            raise InvalidInput(f"{python} cannot be started: {error.strerror}") from error
        finally:
            os.close(write_end)
        self._report = read_end

    def run(self, order: TrialOrder) -> TrialReport:
        """Carry the order out. A trial is good for one order.

        Raises:
            Refused: the model cannot be loaded or does not answer; the message is its own error.
        """
        line = json.dumps(
            {
                "path": str(order.path.resolve()),
                "input": str(order.input.resolve()) if order.input else "",
                "times": order.times,
            }
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended before; the report says why
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.close()
        said = self._read()
        if "error" in said:
            raise Refused(str(said["error"]), hint=self._last_words())
        return msgspec.convert(said, TrialReport)

    def close(self) -> None:
        """End the process and whatever it started. May be called again."""
        if self._errors.closed:
            return  # the process id may be somebody else's by now
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        os.close(self._report)
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        deadline, parts, size = time.monotonic() + self._timeout_s, [], 0
        with selectors.DefaultSelector() as selector:
            selector.register(self._report, selectors.EVENT_READ)
            while size <= REPORT_SIZE_MAX:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return {"error": f"It took longer than {self._timeout_s:g} s"}
                chunk = os.read(self._report, 1 << 16)
                if not chunk:
                    break
                parts.append(chunk)
                size += len(chunk)
            else:
                return {"error": f"Its answers exceed {REPORT_SIZE_MAX:,} bytes"}
        if not parts:
            return {"error": f"Its process ended without a word ({self._ending()})"}
        said: dict[str, Any] = json.loads(b"".join(parts))
        return said

    def _ending(self) -> str:
        code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _last_words(self) -> str:
        """The end of what the process wrote, without its own frames."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - ERROR_TAIL_SIZE))
        lines = self._errors.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-ERROR_LINES_SHOWN_MAX:])

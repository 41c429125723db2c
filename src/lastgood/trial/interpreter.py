"""What another interpreter has installed, asked of itself."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lastgood.errors import InvalidInput

__all__ = ["Installed", "look_into"]

PROBE = Path(__file__).with_name("probe.py")
PROBE_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What was found."""

    python: str
    """Its version."""
    mlflow: bool
    """Whether it finds mlflow, without which no MLflow model can be loaded."""
    packages: dict[str, str | None]
    """The version of each package that was asked for; None where it is not installed."""


def look_into(python: str, names: Iterable[str]) -> Installed:
    """Ask an interpreter for the versions of packages.

    Args:
        python: Its path, or a name to be found.
        names: Of packages, in any spelling.

    Raises:
        InvalidInput: it cannot be started, or is no Python.
    """
    try:
        done = subprocess.run(
            [python, "-W", "ignore", str(PROBE)],
            input=json.dumps(list(names)).encode(),
            capture_output=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
        return msgspec.json.decode(done.stdout, type=Installed)
    except OSError as error:
        raise InvalidInput(f"{python} cannot be started: {error.strerror}") from error
    except (subprocess.TimeoutExpired, msgspec.MsgspecError) as error:
        raise InvalidInput(
            f"{python} does not tell its packages", hint="is it a Python interpreter?"
        ) from error

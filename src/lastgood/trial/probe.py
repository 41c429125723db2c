"""Tells what an interpreter has: its version, whether it finds mlflow, and versions of the packages that are asked for.

Runs as a script in that interpreter, so it imports the standard library only. The names come as a
JSON list on standard input, the answer is one JSON object on standard output.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import sys
from pathlib import Path

__all__ = ["main"]

STAND_INS = {"mlflow": "mlflow-skinny"}
"""A model that was saved with mlflow says so; mlflow-skinny of that version loads it as well."""


def version_of(name: str) -> str | None:
    """The installed version; None if neither it nor what may stand in for it is installed."""
    try:
        return importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return version_of(STAND_INS[name]) if name in STAND_INS else None


def main() -> None:
    """Read the names, print what is there."""
    json.dump(
        {
            "python": platform.python_version(),
            "mlflow": importlib.util.find_spec("mlflow") is not None,
            "packages": {name: version_of(name) for name in json.load(sys.stdin)},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    # Python put this file's directory first; what lies here must not be found as a package of theirs.
    if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]
    main()

"""The recorded environment of a version as an interpreter: built once by uv, kept by its digest."""

import hashlib
import os
import platform
import re
import shutil
import sys
from pathlib import Path

import lastgood
from lastgood.core.manifest import Environment
from lastgood.errors import NotSupported, Refused
from lastgood.sdk.running import run_apart

__all__ = ["Interpreter", "recorded_interpreter", "this_interpreter"]

BUILD_TIMEOUT_S = 1800.0
ERROR_LENGTH_MAX = 1000
_DRAWN = re.compile("[\u2500-\u257f\u25b6\u00d7]+")


class Interpreter:
    """An interpreter, what to call it, and the paths it needs beside its own."""

    def __init__(self, python: str, name: str, paths: tuple[str, ...] = ()) -> None:
        self.python, self.name, self.paths = python, name, paths


def this_interpreter() -> Interpreter:
    """The one that runs."""
    return Interpreter(sys.executable, "this interpreter")


def recorded_interpreter(
    environment: Environment, *, cache: Path | None = None, declared: bool = False
) -> Interpreter:
    """An interpreter with exactly the packages that were recorded.

    Args:
        environment: Of the manifest.
        cache: Where environments are kept; by default in the user's cache directory.
        declared: Where the packages of the training are not known, take what the model's own files
            require: enough to load it, not to make it again.

    Raises:
        NotSupported: uv is missing. Refused: nothing was recorded, or uv cannot build it.
    """
    local = frozenset(environment.local)
    lines = [line for line in environment.installed if line.partition("==")[0] not in local]
    exact = bool(lines)
    if declared and not exact:
        lines = list(environment.packages)
    if not lines or not environment.python:
        raise Refused(
            "The version does not say with which packages it was trained",
            hint="reproduce --here uses this interpreter",
        )
    text = "".join(f"{line}\n" for line in lines)
    kind = "" if exact else "and what they need\n"
    digest = hashlib.sha256(f"{environment.python}\n{kind}{text}".encode()).hexdigest()[:32]
    folder = (cache or _cache()) / digest
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        _build(folder, environment.python, text, exact=exact)
    # Installed from a directory, so no index has it: the one that runs takes its place.
    ours = str(Path(lastgood.__file__).parent.parent) if "lastgood" in local else ""
    return Interpreter(str(python), f"recorded environment {digest[:12]}", (ours,) if ours else ())


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lastgood" / "environments"


def _build(folder: Path, python: str, requirements: str, *, exact: bool) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        raise NotSupported(
            "uv is needed to build the recorded environment",
            hint="pip install uv; reproduce --here does without",
        )
    shutil.rmtree(folder, ignore_errors=True)  # left by a build that was interrupted
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted = sys.executable if python == platform.python_version() else python
    _run([uv, "venv", "--quiet", "--python", wanted, str(folder)])
    lock = folder / "requirements.txt"
    lock.write_text(requirements)
    alone = ["--no-deps"] if exact else []
    _run([uv, "pip", "install", "--quiet", *alone, "--python", str(folder), "-r", str(lock)])
    (folder / "complete").touch()


def _run(command: list[str]) -> None:
    hint = "reproduce --here uses this interpreter"
    try:
        ended = run_apart(command, timeout_s=BUILD_TIMEOUT_S)
    except OSError as error:
        raise Refused(f"uv cannot be started: {error.strerror}") from error
    if ended.code is None:
        raise Refused(
            f"uv did not build the recorded environment within {BUILD_TIMEOUT_S:g} s", hint=hint
        )
    if ended.code != 0:
        # It draws its reasons as a tree.
        said = " ".join(_DRAWN.sub(" ", ended.said).split())[:ERROR_LENGTH_MAX]
        raise Refused(f"uv cannot build the recorded environment: {said}", hint=hint)

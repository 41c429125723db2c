"""The interpreter of a rehearsal: does it have what was recorded, or can what was recorded be built?"""

from dataclasses import dataclass
from typing import Literal

from lastgood.core.manifest import Environment
from lastgood.errors import Refused
from lastgood.sdk.environments import recorded_interpreter
from lastgood.serve.environment import differences, pinned
from lastgood.trial import look_into

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An interpreter to load the model in, and what was found out about it."""

    outcome: Literal["pass", "fail", "unknown"]
    detail: str
    python: str = ""
    """Empty if it could not be built."""
    mlflow: bool = False
    """Whether it finds mlflow."""


def prepare(environment: Environment, *, python: str, build: bool) -> Prepared:
    """Compare an interpreter with the recorded environment, or build that one.

    Args:
        environment: As recorded with the version.
        python: The interpreter that would load the model.
        build: Build the recorded environment instead; what was not recorded cannot be built, so then
            `python` is taken after all.

    Raises:
        InvalidInput: `python` cannot be started. NotSupported: uv is needed to build, and missing.
    """
    if not build:
        return _compared(environment, python)
    if not environment.python or not (environment.packages or environment.installed):
        plain = _compared(environment, python)
        return Prepared(
            outcome="unknown",
            detail="nothing to build: Python and packages were not recorded with the version",
            python=plain.python,
            mlflow=plain.mlflow,
        )
    return _built(environment)


def _compared(environment: Environment, python: str) -> Prepared:
    # What the model declares is what it needs; a training has a hundred packages besides.
    recorded = pinned(environment.packages) or pinned(environment.installed)
    found = look_into(python, recorded)
    differing = differences(recorded, found.packages)
    if not _is_python(environment.python, found.python):
        differing = (f"Python {found.python} (recorded: {environment.python})", *differing)
    detail = f"Python {found.python}, {_packages(len(recorded))} as recorded"
    if differing:
        detail = f"other than recorded: {'; '.join(differing)}"
    elif not recorded:
        detail = "no versions of packages were recorded with the version"
    return Prepared(
        outcome="unknown" if differing or not recorded else "pass",
        detail=detail,
        python=python,
        mlflow=found.mlflow,
    )


def _is_python(recorded: str, found: str) -> bool:
    """Whether the version is the recorded one, which may leave its last parts open."""
    return not recorded or f"{found}.".startswith(f"{recorded}.")


def _built(environment: Environment) -> Prepared:
    try:
        interpreter = recorded_interpreter(environment, declared=True)
    except Refused as error:
        return Prepared(outcome="fail", detail=error.message)
    names = pinned(environment.installed or environment.packages)
    found = look_into(interpreter.python, names)
    count = sum(version is not None for version in found.packages.values())
    detail = f"built by uv: Python {found.python}, {_packages(count)} as recorded"
    if environment.local:
        detail += f", without {', '.join(environment.local)}, installed from a directory"
    return Prepared(outcome="pass", detail=detail, python=interpreter.python, mlflow=found.mlflow)


def _packages(count: int) -> str:
    return f"{count} package{'s' if count != 1 else ''}"

"""What a model directory says of itself: the `MLmodel` file and the environment files beside it.

Only the fields named here are read, with a safe YAML loader and into declared types: nothing in
these files is ever executed or imported, and aliases in them cannot grow.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from lastgood.core.canonical import canonical
from lastgood.core.ids import printable
from lastgood.core.manifest import Environment
from lastgood.errors import InvalidInput, TooLarge

__all__ = ["FACT_FILES", "FACT_FILE_SIZE_MAX", "MLMODEL", "ModelFacts", "read_model_facts"]

MLMODEL = "MLmodel"
REQUIREMENTS = "requirements.txt"
PYTHON_ENV = "python_env.yaml"
CONDA = "conda.yaml"
FACT_FILES = (MLMODEL, REQUIREMENTS, PYTHON_ENV, CONDA)
"""The files whose bytes `read_model_facts` wants, where they exist."""
FACT_FILE_SIZE_MAX = 8 * 2**20
ENVIRONMENT_FILES = (
    REQUIREMENTS,
    PYTHON_ENV,
    CONDA,
    "uv.lock",
    "pylock.toml",
    "poetry.lock",
    "environment.yml",
)
PACKAGES_MAX = 10_000

_T = TypeVar("_T")
_Scalar = str | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What goes into the manifest from the files themselves."""

    flavors: tuple[str, ...] = ()
    signature: str = ""
    environment: Environment = field(default_factory=Environment)
    run_id: str = ""
    logged_model_id: str = ""
    input_example: str = ""


class _Flavor(msgspec.Struct):
    python_version: _Scalar = None


class _Signature(msgspec.Struct):
    inputs: str | None = None
    outputs: str | None = None
    params: str | None = None


class _Example(msgspec.Struct):
    artifact_path: str | None = None


class _MLmodel(msgspec.Struct):
    flavors: dict[str, _Flavor | None] = {}
    signature: _Signature | None = None
    run_id: _Scalar = None
    model_id: _Scalar = None
    saved_input_example_info: _Example | None = None


class _PythonEnv(msgspec.Struct):
    python: _Scalar = None
    dependencies: list[str] = []


class _Conda(msgspec.Struct):
    dependencies: list[str | dict[str, list[str]]] = []


def read_model_facts(contents: Mapping[str, bytes], *, paths: Iterable[str]) -> ModelFacts:
    """Read what the files say.

    Args:
        contents: The bytes of those of `FACT_FILES` that the model has.
        paths: The paths of all files of the model.

    Raises:
        InvalidInput: one of the files is not what its name says. TooLarge: longer than 8 MiB.
    """
    for name, data in contents.items():
        if len(data) > FACT_FILE_SIZE_MAX:
            raise TooLarge(
                f"'{name}' has {len(data):,} bytes; at most {FACT_FILE_SIZE_MAX:,} are read"
            )
    mlmodel = _yaml(contents, MLMODEL, _MLmodel) or _MLmodel()
    known = frozenset(paths)
    return ModelFacts(
        flavors=tuple(sorted(mlmodel.flavors)),
        signature=_signature(mlmodel.signature),
        environment=Environment(
            python=_python(contents, mlmodel),
            packages=_packages(contents),
            files=tuple(name for name in ENVIRONMENT_FILES if name in known),
        ),
        run_id=_text(mlmodel.run_id),
        logged_model_id=_text(mlmodel.model_id),
        input_example=_example(mlmodel, known),
    )


def _example(mlmodel: _MLmodel, known: frozenset[str]) -> str:
    info = mlmodel.saved_input_example_info
    path = (info.artifact_path or "") if info else ""
    return path if path in known else ""


def _yaml(contents: Mapping[str, bytes], name: str, shape: type[_T]) -> _T | None:
    if name not in contents:
        return None
    try:
        return msgspec.yaml.decode(contents[name], type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        first = str(error).split("\n", maxsplit=1)[0]
        raise InvalidInput(
            f"'{name}' cannot be read: {printable(first)}", hint="was the model saved completely?"
        ) from error


def _signature(signature: _Signature | None) -> str:
    if signature is None:
        return ""
    stated = {name: _json(text) for name, text in msgspec.structs.asdict(signature).items() if text}
    return canonical(stated).decode() if stated else ""


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _python(contents: Mapping[str, bytes], mlmodel: _MLmodel) -> str:
    if (env := _yaml(contents, PYTHON_ENV, _PythonEnv)) and env.python is not None:
        return _text(env.python)
    for flavor in mlmodel.flavors.values():
        if flavor is not None and flavor.python_version is not None:
            return _text(flavor.python_version)
    conda = _yaml(contents, CONDA, _Conda) or _Conda()
    pins = [
        line for line in conda.dependencies if isinstance(line, str) and line.startswith("python=")
    ]
    return pins[0].removeprefix("python").lstrip("=") if pins else ""


def _packages(contents: Mapping[str, bytes]) -> tuple[str, ...]:
    if REQUIREMENTS in contents:
        try:
            return _requirement_lines(contents[REQUIREMENTS].decode("utf-8-sig").splitlines())
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"'{REQUIREMENTS}' is not UTF-8: {error.reason} at byte {error.start}"
            ) from error
    if env := _yaml(contents, PYTHON_ENV, _PythonEnv):
        return _requirement_lines(env.dependencies)
    conda = _yaml(contents, CONDA, _Conda) or _Conda()
    pip = [
        line
        for part in conda.dependencies
        if isinstance(part, dict)
        for line in part.get("pip", [])
    ]
    return _requirement_lines(pip)


def _requirement_lines(lines: Iterable[str]) -> tuple[str, ...]:
    found = [
        text
        for line in lines
        if (text := line.partition(" #")[0].strip()) and not text.startswith(("#", "-"))
    ]
    if len(found) > PACKAGES_MAX:
        raise TooLarge(
            f"The model lists {len(found):,} packages; at most {PACKAGES_MAX:,} are recorded"
        )
    return tuple(found)


def _text(value: _Scalar) -> str:
    return "" if value is None else str(value)

"""Writing a model down as MLflow does, without what makes MLflow slow.

`mlflow.log_model` finds out the requirements by loading the model again in a process that watches
imports; that is most of its time. What is installed is recorded as a whole anyway, so the packages of
the flavor are enough here, and whoever knows better says so.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lastgood.errors import InvalidInput, NotSupported
from lastgood.sdk.installed import environment_now

__all__ = ["flavor_of", "modules_ahead", "save"]

_MODULES = {
    "torch": "pytorch",
    "keras": "tensorflow",
    "sentence_transformers": "sentence_transformers",
}
"""Flavors that are not named like the library."""
_COMMON = ("sklearn", "xgboost", "lightgbm", "catboost", "torch", "keras")
PARTS_MAX = 64
_COMPARISON = "warn_dependency_requirement_mismatches"
_WITH_MOST_MODELS = {"mlflow": "mlflow", "numpy": "numpy", "pandas": "pandas", "scipy": "scipy"}
"""Modules whose version matters to whatever uses them, and their packages."""


def flavor_of(model: object) -> str:
    """The name of MLflow's flavor for the model, by the library that its class comes from.

    Raises:
        InvalidInput: MLflow has none.
    """
    for cls in type(model).__mro__:
        root = cls.__module__.partition(".")[0]
        if cls.__module__.startswith("mlflow.pyfunc"):
            return "pyfunc"
        name = _MODULES.get(root, root)
        if root not in {"builtins", "abc", "__main__"} and _has_flavor(name):
            return name
    raise InvalidInput(
        f"MLflow has no flavor for a {type(model).__module__}.{type(model).__qualname__}",
        hint="name it (flavor=...), wrap the model in mlflow.pyfunc.PythonModel, or save it and register the directory",
    )


def save(
    model: object,
    path: Path,
    *,
    flavor: str,
    input_example: Any,
    signature: Any,
    requirements: Sequence[str] | None,
    options: Mapping[str, Any],
) -> None:
    """Write the model directory.

    Raises:
        NotSupported: mlflow or the flavor's library is missing.
        InvalidInput: an option is one that is given otherwise.
        Whatever mlflow raises about the model itself.
    """
    try:
        module: Any = importlib.import_module(f"mlflow.{flavor}")
    except ImportError as error:
        raise NotSupported(
            f"mlflow.{flavor} cannot be imported: {error}", hint="pip install mlflow"
        ) from error
    given = {
        "input_example": input_example,
        "signature": signature,
        "pip_requirements": list(requirements)
        if requirements is not None
        else _requirements(module),
    }
    if twice := sorted(options.keys() & given.keys()):
        raise InvalidInput(f"save_options may not hold {', '.join(twice)}: give it as an argument")
    with _no_comparison() if requirements is None else nullcontext():
        if flavor == "pyfunc":
            module.save_model(path=str(path), python_model=model, **given, **options)
        else:
            module.save_model(model, str(path), **given, **options)


@contextmanager
def _no_comparison() -> Iterator[None]:
    """Without MLflow's look whether the requirements are installed: they were read from what is installed.

    It only ever warns, and takes most of a second because it reads the file lists of all packages. MLflow
    has no setting for it; an MLflow that calls it otherwise looks again.
    """
    from mlflow.utils import environment

    look = getattr(environment, _COMPARISON, None)
    if look is None:
        yield
        return
    setattr(environment, _COMPARISON, lambda _requirements: None)
    try:
        yield
    finally:
        setattr(environment, _COMPARISON, look)


def modules_ahead() -> tuple[str, ...]:
    """What a model that is made in this process will probably need to be loaded elsewhere.

    Judged by the libraries that are imported here so far; none of those with most models: nothing.
    """
    found = []
    for library in _COMMON:
        if library in sys.modules:
            parts = sorted(
                m for m in sys.modules if m.startswith(library + ".") and m.count(".") == 1
            )
            public = [m for m in parts if not m.partition(".")[2].startswith("_")]
            found += [f"mlflow.{_MODULES.get(library, library)}", library, *public[:PARTS_MAX]]
    if "sklearn" in sys.modules:
        found.append(
            "skops.io"
        )  # MLflow's format for its models, which imports all of scikit-learn
    return tuple(found)


def _has_flavor(name: str) -> bool:
    return name.isidentifier() and importlib.util.find_spec(f"mlflow.{name}") is not None


def _requirements(module: Any) -> list[str]:
    default = getattr(module, "get_default_pip_requirements", None)
    lines = list(default()) if default else []
    named = {line.partition("==")[0].strip().lower() for line in lines}
    installed = dict(line.split("==", 1) for line in environment_now().installed)
    return lines + [
        f"{package}=={installed[package]}"
        for import_name, package in _WITH_MOST_MODELS.items()
        if import_name in sys.modules and package not in named and package in installed
    ]

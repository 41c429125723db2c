"""Writing a model down as MLflow does, without what makes MLflow slow.

`mlflow.log_model` finds out the requirements by loading the model again in a process that watches
imports; that is most of its time. What is installed is recorded as a whole anyway, so the packages of
the flavor are enough here, and whoever knows better says so.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lastgood.errors import InvalidInput, NotSupported
from lastgood.sdk.installed import environment_now

__all__ = ["flavor_of", "save"]

_MODULES = {
    "torch": "pytorch",
    "keras": "tensorflow",
    "sentence_transformers": "sentence_transformers",
}
"""Flavors that are not named like the library."""
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
) -> None:
    """Write the model directory.

    Raises:
        NotSupported: mlflow or the flavor's library is missing.
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
    if flavor == "pyfunc":
        module.save_model(path=str(path), python_model=model, **given)
    else:
        module.save_model(model, str(path), **given)


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

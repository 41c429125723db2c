"""Making a version out of a directory, or out of a model in memory."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from lastgood.core.views import Outcome
from lastgood.library.flavors import flavor_of, save
from lastgood.library.place import open_registry
from lastgood.sdk.bundle import Described, register_path
from lastgood.sdk.capture import this_program
from lastgood.sdk.load_test import LoadTest
from lastgood.trial import Trial, mlflow_is_here

__all__ = ["PathLike", "described", "log_model", "register"]

PathLike = str | os.PathLike[str]


def register(
    path: PathLike,
    name: str,
    *,
    description: str = "",
    params: Mapping[str, object] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    data: Sequence[PathLike] = (),
    keep_data: bool = False,
    artifacts: Sequence[PathLike] = (),
    seeds: Mapping[str, object] | None = None,
    reason: str = "",
    load_test: bool = True,
    registry: PathLike | None = None,
) -> Outcome:
    """Make a version of a model directory or file, with the code, data and environment around it.

    Args:
        path: A model directory (of MLflow, or any files), or one file.
        name: The model to add a version to.
        description: What this version is.
        params: Parameters of the training.
        metrics: What it achieved.
        tags: Anything to find it by.
        data: Files and directories it was trained on; each file is recorded by its SHA-256.
        keep_data: Whether the registry keeps the bytes of `data`.
        artifacts: Reports, plots, ... to keep with the version.
        seeds: Random seeds, by what they seed.
        reason: Why it is registered.
        load_test: Whether an MLflow model with an input example has to answer it first.
        registry: A URL or a data directory; see `open_registry`.

    Returns:
        What was done: ``outcome.version``, ``outcome.digest``, ``outcome.already``.

    Raises:
        Refused: the model does not pass its load test.
        NotFound, InvalidInput, TooLarge: the files cannot be a model; the message says why.
    """
    said = described(
        description=description,
        params=params,
        metrics=metrics,
        tags=tags,
        data=data,
        keep_data=keep_data,
        artifacts=artifacts,
        seeds=seeds,
        reason=reason,
        load_test=load_test,
    )
    with open_registry(registry) as here:
        return register_path(
            here.registry, Path(path), model=name, caller=here.caller, described=said
        )


def log_model(
    model: object,
    name: str,
    *,
    input_example: Any = None,
    signature: Any = None,
    flavor: str | None = None,
    requirements: Sequence[str] | None = None,
    save_options: Mapping[str, Any] | None = None,
    load_test: bool = True,
    trial: Trial | None = None,
    registry: PathLike | None = None,
    **said: Any,
) -> Outcome:
    """Save a model as MLflow does and make a version of it.

    Args:
        model: Of scikit-learn, or of any library that MLflow has a flavor for.
        name: The model to add a version to.
        input_example: Some rows; they are saved with the model, and its answers to them are kept.
        signature: MLflow's; without it, it is inferred from `input_example`.
        flavor: The name of MLflow's flavor; by default by the class of the model.
        requirements: Requirement lines; by default the flavor's own packages, pinned as installed.
        save_options: What the flavor's `save_model` is told besides, as `{"serialization_format": "cloudpickle"}`.
        load_test: Whether the saved model has to load and answer `input_example` first.
        trial: A process that waits already for the load test, as `Run` has one; it is used up.
        registry: A URL or a data directory; see `open_registry`.
        **said: What `register` takes: `description`, `params`, `metrics`, `tags`, `data`, ...

    Returns:
        What was done.

    Raises:
        InvalidInput: MLflow has no flavor for the model. NotSupported: mlflow is missing.
        Refused: the model does not pass its load test.
    """
    facts = described(**said, load_test=load_test)
    with ExitStack() as stack:
        here = stack.enter_context(open_registry(registry))
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lastgood-"))) / "model"
        chosen = flavor or flavor_of(model)
        test = None
        if load_test and input_example is not None and mlflow_is_here():
            # Its process imports while the model is saved.
            waiting = trial or Trial(modules=(f"mlflow.{chosen}", type(model).__module__))
            test = stack.enter_context(LoadTest(path, trial=waiting))
        save(
            model,
            path,
            flavor=chosen,
            input_example=input_example,
            signature=signature,
            requirements=requirements,
            options=save_options or {},
        )
        return register_path(
            here.registry, path, model=name, caller=here.caller, described=facts, test=test
        )


def described(
    *,
    description: str = "",
    params: Mapping[str, object] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    data: Sequence[PathLike] = (),
    keep_data: bool = False,
    artifacts: Sequence[PathLike] = (),
    seeds: Mapping[str, object] | None = None,
    reason: str = "",
    load_test: bool = True,
) -> Described:
    """What `register` was told, as values, with the script that tells it."""
    around = replace(
        this_program(),
        data=tuple(Path(path) for path in data),
        keep_data=keep_data,
        side=tuple(Path(path) for path in artifacts),
        seeds={key: str(value) for key, value in (seeds or {}).items()},
    )
    return Described(
        description=description,
        params={key: str(value) for key, value in (params or {}).items()},
        metrics={key: float(value) for key, value in (metrics or {}).items()},
        tags=dict(tags or {}),
        reason=reason,
        around=around,
        load_test=load_test,
    )

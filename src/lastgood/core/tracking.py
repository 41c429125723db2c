"""What tracking knows of experiments, runs and logged models, as values."""

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

__all__ = [
    "ACTIVE",
    "DELETED",
    "Dataset",
    "DatasetInput",
    "Experiment",
    "FoundRun",
    "LoggedModel",
    "Metric",
    "ModelLink",
    "ModelMetric",
    "Run",
    "RunFacts",
    "RunPlace",
]

ACTIVE = "active"
DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment. `lifecycle` is ``active`` or ``deleted``."""

    id: int
    name: str
    artifact_location: str
    lifecycle: str
    created_ms: int
    changed_ms: int
    tags: dict[str, str] = field(default_factory=dict)


# Structs, not dataclasses: searches make thousands of these, and a struct is made ten times as quickly.


class Run(msgspec.Struct, frozen=True, gc=False):
    """A run without what was logged to it."""

    run_id: str
    experiment_id: int
    name: str
    user_id: str
    status: str
    start_ms: int
    end_ms: int | None
    lifecycle: str
    artifact_uri: str


class RunPlace(NamedTuple):
    """What whoever writes to a run has to know of it."""

    run_id: str
    experiment_id: int
    start_ms: int
    lifecycle: str
    waiting: int
    """What of its metrics was not merged yet, see `lastgood.store.tracking.arrivals`."""


class Metric(msgspec.Struct, frozen=True, gc=False):
    """One measurement. With `model_id` it is also one of that logged model."""

    key: str
    value: float
    at_ms: int
    step: int = 0
    model_id: str = ""
    dataset_name: str = ""
    dataset_digest: str = ""


@dataclass(frozen=True, slots=True)
class ModelMetric:
    """One measurement of a logged model."""

    key: str
    value: float
    at_ms: int
    step: int
    run_id: str
    dataset_name: str
    dataset_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset as its source described it."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInput:
    """A dataset that went into a run, with tags such as ``mlflow.data.context``."""

    dataset: Dataset
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelLink:
    """A logged model that went into a run or came out of it."""

    model_id: str
    step: int = 0


@dataclass(slots=True)
class RunFacts:
    """What was logged to a run: parameters, the latest value of each metric, tags, inputs, outputs."""

    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    datasets: list[DatasetInput] = field(default_factory=list)
    model_inputs: list[ModelLink] = field(default_factory=list)
    model_outputs: list[ModelLink] = field(default_factory=list)


class FoundRun(msgspec.Struct, frozen=True):
    """A run with what was logged to it, as a search shows it.

    Parameters and tags are JSON that the database wrote, ``[{"key": …, "value": …}, …]``: a page may have
    tens of thousands, and nobody looks at them on the way to the client.
    """

    run: Run
    params: str
    tags: str
    metrics: list[Metric] = []
    datasets: list[DatasetInput] = []
    model_inputs: list[ModelLink] = []
    model_outputs: list[ModelLink] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedModel:
    """A model that a run logged (MLflow 3), before or without registration."""

    model_id: str
    experiment_id: int
    name: str
    model_type: str
    source_run_id: str
    status: str
    status_message: str
    artifact_uri: str
    lifecycle: str
    created_ms: int
    changed_ms: int
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: tuple[ModelMetric, ...] = ()

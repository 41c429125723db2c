"""Tracking's entities as MLflow writes them, shared by its modules. What is unset is left out."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lastgood.api.mlflow.wire import Int64
from lastgood.core.tracking import (
    Dataset,
    DatasetInput,
    Experiment,
    FoundRun,
    Metric,
    Run,
    RunFacts,
)
from lastgood.errors import InvalidInput

__all__ = [
    "DatasetInputShape",
    "ExperimentShape",
    "KeyValue",
    "MetricShape",
    "ModelLinkShape",
    "OfRun",
    "RunInfoShape",
    "RunShape",
    "dataset_input_of",
    "experiment_shape",
    "metric_shape",
    "number",
    "pairs_of",
    "run_document",
    "run_info_shape",
    "run_shape",
    "shown_pairs",
]


_encoder = msgspec.json.Encoder()

WORKSPACE = "default"
"""Newer clients expect experiments to be in one; there is no other."""


class KeyValue(msgspec.Struct, frozen=True):
    """A parameter or a tag."""

    key: str
    value: str = ""


class OfRun(msgspec.Struct, kw_only=True):
    """A request about a run; old clients call its id ``run_uuid``."""

    run_id: str = ""
    run_uuid: str = ""

    @property
    def id(self) -> str:
        """The run's id.

        Raises:
            InvalidInput: neither name was sent.
        """
        found = self.run_id or self.run_uuid
        if not found:
            raise InvalidInput("Missing value for required parameter 'run_id'")
        return found


class MetricShape(msgspec.Struct, omit_defaults=True, frozen=True):
    """A point of a metric."""

    key: str
    value: float | str
    timestamp: int
    step: int


class ExperimentShape(msgspec.Struct, omit_defaults=True, frozen=True):
    """An experiment."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    workspace: str
    tags: list[KeyValue] = []


class RunInfoShape(msgspec.Struct, omit_defaults=True, frozen=True):
    """A run without what was logged to it."""

    run_id: str
    run_uuid: str
    run_name: str
    experiment_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    user_id: str
    end_time: int | None = None


class DatasetShape(msgspec.Struct, omit_defaults=True, frozen=True):
    """A dataset."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInputShape(msgspec.Struct, omit_defaults=True, frozen=True):
    """A dataset that went into a run."""

    dataset: DatasetShape
    tags: list[KeyValue] = []


class ModelLinkShape(msgspec.Struct, omit_defaults=True, frozen=True):
    """A logged model that went into a run or came out of it, as a client names it."""

    model_id: str
    step: Int64 = 0


class _ModelInputShape(msgspec.Struct, frozen=True):
    model_id: str


class _ModelOutputShape(msgspec.Struct, frozen=True):
    model_id: str
    step: int


class _RunData(msgspec.Struct, omit_defaults=True, frozen=True):
    metrics: list[MetricShape] = []
    params: list[KeyValue] = []
    tags: list[KeyValue] = []


class _RunInputs(msgspec.Struct, omit_defaults=True, frozen=True):
    dataset_inputs: list[DatasetInputShape] = []
    model_inputs: list[_ModelInputShape] = []


class _RunOutputs(msgspec.Struct, omit_defaults=True, frozen=True):
    model_outputs: list[_ModelOutputShape] = []


_NO_INPUTS, _NO_OUTPUTS = _RunInputs(), _RunOutputs()


class RunShape(msgspec.Struct, frozen=True):
    """A run with what was logged to it."""

    info: RunInfoShape
    data: _RunData
    inputs: _RunInputs
    outputs: _RunOutputs


class _FoundRunData(msgspec.Struct, omit_defaults=True, frozen=True):
    metrics: list[MetricShape] = []
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tags: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _FoundRunShape(msgspec.Struct, frozen=True):
    """A run that a search found: as `RunShape`, with texts that are JSON already."""

    info: RunInfoShape
    data: _FoundRunData
    inputs: _RunInputs
    outputs: _RunOutputs


def pairs_of(sent: Iterable[KeyValue]) -> dict[str, str]:
    """Keys and values; of a repeated key the last value."""
    return {one.key: one.value for one in sent}


def shown_pairs(pairs: Mapping[str, str]) -> list[KeyValue]:
    """Keys and values as MLflow writes them."""
    return [KeyValue(key, value) for key, value in pairs.items()]


def number(value: float) -> float | str:
    """A double as MLflow writes it: JSON has no name for NaN and the infinities."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def metric_shape(metric: Metric) -> MetricShape:
    """A point of a metric as MLflow writes it."""
    return MetricShape(metric.key, number(metric.value), metric.at_ms, metric.step)


def experiment_shape(experiment: Experiment) -> ExperimentShape:
    """An experiment as MLflow writes it."""
    return ExperimentShape(
        experiment_id=str(experiment.id),
        name=experiment.name,
        artifact_location=experiment.artifact_location,
        lifecycle_stage=experiment.lifecycle,
        last_update_time=experiment.changed_ms,
        creation_time=experiment.created_ms,
        workspace=WORKSPACE,
        tags=shown_pairs(experiment.tags),
    )


def run_info_shape(run: Run) -> RunInfoShape:
    """A run as MLflow writes it, without what was logged to it."""
    # By position, because a search makes many: names would cost twice as much.
    return RunInfoShape(
        run.run_id,
        run.run_id,
        run.name,
        str(run.experiment_id),
        run.status,
        run.start_ms,
        run.artifact_uri,
        run.lifecycle,
        run.user_id,
        run.end_ms or None,  # like MLflow, which takes 0 for none
    )


def run_shape(run: Run, facts: RunFacts) -> RunShape:
    """A run as MLflow writes it."""
    data = _RunData(
        metrics=list(map(metric_shape, facts.metrics)),
        params=shown_pairs(facts.params),
        tags=shown_pairs(facts.tags),
    )
    return RunShape(run_info_shape(run), data, _inputs(facts), _outputs(facts))


def run_document(found: FoundRun) -> bytes:
    """A run that a search found, as MLflow writes it, in JSON."""
    metrics = list(map(metric_shape, found.metrics))
    data = _FoundRunData(metrics, _raw(found.params), _raw(found.tags))
    info = run_info_shape(found.run)
    return _encoder.encode(_FoundRunShape(info, data, _inputs(found), _outputs(found)))


def _raw(pairs: str) -> msgspec.Raw | msgspec.UnsetType:
    return msgspec.UNSET if pairs == "[]" else msgspec.Raw(pairs)


def _inputs(facts: RunFacts | FoundRun) -> _RunInputs:
    if not facts.datasets and not facts.model_inputs:
        return _NO_INPUTS
    return _RunInputs(
        dataset_inputs=[_dataset_input_shape(one) for one in facts.datasets],
        model_inputs=[_ModelInputShape(link.model_id) for link in facts.model_inputs],
    )


def _outputs(facts: RunFacts | FoundRun) -> _RunOutputs:
    if not facts.model_outputs:
        return _NO_OUTPUTS
    return _RunOutputs(
        [_ModelOutputShape(link.model_id, link.step) for link in facts.model_outputs]
    )


def dataset_input_of(sent: DatasetInputShape) -> DatasetInput:
    """A dataset input that a client sent."""
    fields: dict[str, Any] = msgspec.structs.asdict(sent.dataset)
    return DatasetInput(dataset=Dataset(**fields), tags=pairs_of(sent.tags))


def _dataset_input_shape(one: DatasetInput) -> DatasetInputShape:
    d = one.dataset
    shape = DatasetShape(d.name, d.digest, d.source_type, d.source, d.schema, d.profile)
    return DatasetInputShape(shape, shown_pairs(one.tags))

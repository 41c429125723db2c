"""What runs log: metrics, parameters, tags, datasets and models. Each call is one write, all or nothing."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from lastgood.core.tracking import DatasetInput, Metric, ModelLink
from lastgood.engine.kernel import Kernel
from lastgood.engine.tracking import limits
from lastgood.engine.tracking.entries import log_entries
from lastgood.engine.tracking.folding import Folding
from lastgood.engine.tracking.runs import RUN_NAME_TAG, changing_run
from lastgood.errors import InvalidInput
from lastgood.store.database import Connection
from lastgood.store.tracking import inputs as input_store
from lastgood.store.tracking import runs as run_store
from lastgood.store.tracking.arrivals import arrival_of
from lastgood.store.tracking.entries import Entry

__all__ = ["Batch", "Evidence"]

LOGGED_MODELS_TAG = "mlflow.log-model.history"
_MODEL_JSON_REQUIRED = ("artifact_path", "flavors", "utc_time_created", "run_id")
_MODEL_JSON_KEPT = ("run_id", "utc_time_created", "artifact_path", "model_uuid")
MODEL_JSON_LENGTH_MAX = 1_000_000  # characters
_NONE: Mapping[str, str] = {}
MODEL_HISTORY_MAX = 200  # models that a run remembers in this tag; the newest stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Several things to log at once. Tags are set in order: the last of a key wins."""

    metrics: Sequence[Metric] = ()
    params: Sequence[tuple[str, str]] = ()
    tags: Sequence[tuple[str, str]] = ()


class Evidence:
    """The verbs that add to a run."""

    def __init__(self, kernel: Kernel, folding: Folding) -> None:
        self._database = kernel.database
        self._log_together = partial(log_entries, folding)

    def log_metric(self, run_id: str, metric: Metric) -> Future[None]:
        """Store one point. The same point again is no error and changes nothing.

        Raises:
            InvalidInput: its name or a number is not allowed, or the run is deleted (through the future).
            NotFound: there is no such run (through the future).
        """
        limits.check_metric(metric)
        return self._log(run_id, metrics=(metric,))

    def log_param(self, run_id: str, key: str, value: str) -> Future[None]:
        """Store a parameter. The same value again is no error, another value is.

        Raises:
            InvalidInput: the name is not allowed, the value would change, or the run is deleted.
            NotFound: there is no such run.
        """
        return self._log(run_id, params=dict([limits.check_param(key, value)]))

    def set_tag(self, run_id: str, key: str, value: str) -> Future[None]:
        """Set a tag; ``mlflow.runName`` renames the run. Raises InvalidInput, NotFound."""
        return self._log(run_id, tags=dict([limits.check_run_tag(key, value)]))

    def log_batch(self, run_id: str, batch: Batch) -> Future[None]:
        """Store all of the batch or, if anything is wrong with it, nothing.

        Raises:
            InvalidInput: too many, a name or number that is not allowed, a parameter twice or changed,
                or the run is deleted.
            NotFound: there is no such run.
        """
        params, tags = _checked(batch)
        return self._log(run_id, metrics=batch.metrics, params=params, tags=tags)

    def _log(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] = _NONE,
        tags: Mapping[str, str] = _NONE,
    ) -> Future[None]:
        entry = Entry(
            run_id=run_id,
            arrival=arrival_of(metrics) if metrics else None,
            of_models=[metric for metric in metrics if metric.model_id],
            params=params,
            tags=tags,
            name=tags.get(RUN_NAME_TAG, ""),
        )
        return self._database.write_together(self._log_together, entry)

    def log_inputs(
        self,
        run_id: str,
        *,
        datasets: Sequence[DatasetInput] = (),
        models: Sequence[ModelLink] = (),
    ) -> Future[None]:
        """Link datasets and logged models that went into the run. Raises InvalidInput, NotFound."""
        limits.check_dataset_inputs(datasets)
        limits.check_model_links(models)

        def unit(tx: Connection) -> None:
            run = changing_run(tx, run_id)
            input_store.add_dataset_inputs(tx, run, datasets)
            input_store.add_model_links(tx, run, "input", models)

        return self._database.write(unit)

    def log_outputs(self, run_id: str, models: Sequence[ModelLink]) -> Future[None]:
        """Link logged models that came out of the run. Raises InvalidInput, NotFound."""
        limits.check_model_links(models)

        def unit(tx: Connection) -> None:
            input_store.add_model_links(tx, changing_run(tx, run_id), "output", models)

        return self._database.write(unit)

    def record_model(self, run_id: str, model_json: str) -> Future[None]:
        """Append to the run's history of models, as MLflow 2 clients do.

        Raises:
            InvalidInput: the text is no such description, or the run is deleted (through the future).
            NotFound: through the future.
        """
        description = _model_description(model_json)

        def unit(tx: Connection) -> None:
            run = changing_run(tx, run_id)
            before = run_store.tag_of(tx, run_id, LOGGED_MODELS_TAG) or "[]"
            try:
                known = msgspec.json.decode(before, type=list[Any])
            except msgspec.MsgspecError:  # a user may have set the tag to anything
                known = []
            value = msgspec.json.encode([*known, description][-MODEL_HISTORY_MAX:]).decode()
            run_store.set_tags(tx, run, {LOGGED_MODELS_TAG: value})

        return self._database.write(unit)


def _checked(batch: Batch) -> tuple[dict[str, str], dict[str, str]]:
    limits.check_batch_size(
        metrics=len(batch.metrics), params=len(batch.params), tags=len(batch.tags)
    )
    limits.check_metrics(batch.metrics)
    params = [
        limits.check_param(key, value, path=f"params[{i}].")
        for i, (key, value) in enumerate(batch.params)
    ]
    tags = [
        limits.check_run_tag(key, value, path=f"tags[{i}].")
        for i, (key, value) in enumerate(batch.tags)
    ]
    return limits.unique_params(params), dict(tags)


def _model_description(model_json: str) -> dict[str, Any]:
    limits.check_text("model_json", model_json, MODEL_JSON_LENGTH_MAX)
    try:
        found = msgspec.json.decode(model_json, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"Malformed model info. {error}") from error
    missing = [key for key in _MODEL_JSON_REQUIRED if key not in found]
    if missing:
        raise InvalidInput(f"Model json is missing mandatory fields: {missing}")
    flavors = found["flavors"]
    if not isinstance(flavors, dict):
        raise InvalidInput("Malformed model info. flavors must be an object")
    kept = {key: found[key] for key in _MODEL_JSON_KEPT if key in found}
    return kept | {"flavors": {name: _without_config(flavor) for name, flavor in flavors.items()}}


def _without_config(flavor: Any) -> Any:
    return (
        {k: v for k, v in flavor.items() if k != "config"} if isinstance(flavor, dict) else flavor
    )

"""An MLflow store behind a server, read by MLflow's own client."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from lastgood.core.exchange import ImportedModel, ImportedVersion, Point, RunRecord, Series
from lastgood.core.ids import ModelName, VersionNumber
from lastgood.core.stages import Stage, stage_named
from lastgood.core.tracking import (
    Dataset,
    DatasetInput,
    Experiment,
    LoggedModel,
    Metric,
    ModelLink,
    ModelMetric,
    Run,
    RunFacts,
)
from lastgood.engine.tracking.logged_models import STATUSES as MODEL_STATUSES
from lastgood.exchange.library import clients_of, in_our_words
from lastgood.exchange.source import RUNS_PER_BATCH

__all__ = ["ServerSource"]

EXPERIMENTS_PER_PAGE = 1000
MODELS_PER_PAGE = 50  # what MLflow's servers allow of logged models
REGISTERED_PER_PAGE = 100
VERSIONS_PER_PAGE = 200
EXPERIMENTS_PER_SEARCH = 20
READERS = 8  # connections that ask for histories at the same time
PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
_MISSING = ("ENDPOINT_NOT_FOUND", "RESOURCE_DOES_NOT_EXIST", "NOT_IMPLEMENTED")


class ServerSource:
    """What an MLflow server answers.

    Some things no server shows: numbers of versions that were deleted after the newest, and deleted
    logged models.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self.notes: Sequence[str] = ()
        self._client, self._registry = clients_of(url)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="history")

    def close(self) -> None:
        """End the threads that read."""
        self._readers.shutdown(cancel_futures=True)

    def experiments(self) -> Sequence[Experiment]:
        """See `Source`."""
        found = _pages(
            lambda token: self._client.search_experiments(
                view_type=_everything(), max_results=EXPERIMENTS_PER_PAGE, page_token=token
            )
        )
        with in_our_words(self.address):
            return sorted((_experiment(one) for page in found for one in page), key=lambda e: e.id)

    def runs(self) -> Iterator[Sequence[RunRecord]]:
        """See `Source`."""
        for experiment in self.experiments():
            pages = _pages(
                lambda token, number=str(experiment.id): self._client.search_runs(  # type: ignore[misc]
                    [number],
                    run_view_type=_everything(),
                    max_results=RUNS_PER_BATCH,
                    order_by=["attributes.start_time ASC"],
                    page_token=token,
                )
            )
            for page in self._reading(pages):
                yield [_run(one) for one in page]

    def histories(self, runs: Sequence[RunRecord]) -> Iterator[Series]:
        """See `Source`."""
        wanted = [
            (record.run.run_id, key)
            for record in runs
            for key in sorted({metric.key for metric in record.facts.metrics})
        ]
        yield from self._readers.map(lambda one: self._series(*one), wanted)

    def _series(self, run_id: str, key: str) -> Series:
        with in_our_words(self.address):
            points = {
                (m.timestamp, m.step, repr(m.value)): m.value
                for m in self._client.get_metric_history(run_id, key)
            }
        ordered: list[Point] = [(at_ms, step, value) for (at_ms, step, _), value in points.items()]
        return Series(run_id=run_id, key=key, points=tuple(sorted(ordered, key=_place)))

    def logged_models(self) -> Iterator[Sequence[LoggedModel]]:
        """See `Source`."""
        ids = [str(experiment.id) for experiment in self.experiments()]
        for start in range(0, len(ids), EXPERIMENTS_PER_SEARCH):
            some = ids[start : start + EXPERIMENTS_PER_SEARCH]
            pages = _pages(
                lambda token, some=some: self._client.search_logged_models(  # type: ignore[misc]
                    experiment_ids=some, max_results=MODELS_PER_PAGE, page_token=token
                ),
                may_be_missing=True,
            )
            for page in self._reading(pages):
                yield [_logged_model(one) for one in page]

    def models(self) -> Sequence[ImportedModel]:
        """See `Source`."""
        names: set[str] = set()
        with in_our_words(self.address):
            for text in ("", PROMPTS):
                pages = _pages(
                    lambda token, text=text: self._registry.search_registered_models(  # type: ignore[misc]
                        filter_string=text or None,
                        max_results=REGISTERED_PER_PAGE,
                        page_token=token,
                    ),
                    may_be_missing=bool(text),
                )
                names.update(model.name for page in pages for model in page)
            # A search may leave the aliases out.
            return [
                self._model(self._registry.get_registered_model(name)) for name in sorted(names)
            ]

    def _model(self, model: Any) -> ImportedModel:
        made = ImportedModel(
            name=ModelName(model.name),
            description=model.description or "",
            created_ms=model.creation_timestamp or 0,
            changed_ms=model.last_updated_timestamp or model.creation_timestamp or 0,
            tags=dict(model._tags),  # noqa: SLF001 - `tags` leaves out what makes it a prompt
            aliases={alias: int(version) for alias, version in dict(model.aliases).items()},
        )
        used = max((int(v.version) for page in self._version_pages(made) for v in page), default=0)
        return replace(made, numbers_used=used)

    def versions(self, model: ImportedModel) -> Iterator[Sequence[ImportedVersion]]:
        """See `Source`."""
        for page in self._reading(self._version_pages(model)):
            with in_our_words(self.address):
                yield [self._version(one) for one in page]

    def _version_pages(self, model: ImportedModel) -> Iterator[Any]:
        quote = '"' if "'" in model.name else "'"
        text = f"name={quote}{model.name}{quote}"
        if model.tags.get("mlflow.prompt.is_prompt", "").lower() == "true":
            text = f"{text} AND {PROMPTS}"
        return _pages(
            lambda token: self._registry.search_model_versions(
                filter_string=text,
                max_results=VERSIONS_PER_PAGE,
                order_by=["version_number ASC"],
                page_token=token,
            )
        )

    def _version(self, version: Any) -> ImportedVersion:
        location = self._registry.get_model_version_download_uri(version.name, str(version.version))
        source = version.source or ""
        logged = source.removeprefix("models:/")
        return ImportedVersion(
            model=ModelName(version.name),
            version=VersionNumber(int(version.version)),
            created_ms=version.creation_timestamp or 0,
            changed_ms=version.last_updated_timestamp or version.creation_timestamp or 0,
            description=version.description or "",
            user=version.user_id or "",
            stage=stage_named(version.current_stage) if version.current_stage else Stage.NONE,
            source=source,
            run_id=version.run_id or "",
            run_link=version.run_link or "",
            logged_model_id=getattr(version, "model_id", None)
            or (logged if source != logged and logged.startswith("m-") else ""),
            tags=dict(version.tags),
            address=location or source,
        )

    def _reading(self, pages: Iterator[Any]) -> Iterator[Any]:
        while True:
            with in_our_words(self.address):
                page = next(pages, None)
            if page is None:
                return
            yield page


def _pages(ask: Callable[[str | None], Any], *, may_be_missing: bool = False) -> Iterator[Any]:
    from mlflow.exceptions import MlflowException

    token: str | None = None
    while True:
        try:
            page = ask(token)
        except MlflowException as error:
            if may_be_missing and (
                error.error_code in _MISSING or "404" in str(error)
            ):  # an older server has no such thing
                return
            raise
        yield page
        token = page.token
        if not token:
            return


def _everything() -> Any:
    from mlflow.entities import ViewType

    return ViewType.ALL


def _place(point: Point) -> tuple[int, int, float, bool]:
    at_ms, step, value = point
    is_nan = math.isnan(value)
    return at_ms, step, 0.0 if is_nan else value, is_nan


def _experiment(one: Any) -> Experiment:
    return Experiment(
        id=int(one.experiment_id),
        name=one.name,
        artifact_location=one.artifact_location or "",
        lifecycle=one.lifecycle_stage,
        created_ms=one.creation_time or 0,
        changed_ms=one.last_update_time or one.creation_time or 0,
        tags=dict(one.tags),
    )


def _run(one: Any) -> RunRecord:
    info, data = one.info, one.data
    facts = RunFacts(params=dict(data.params), tags=dict(data.tags))
    # `data.metrics` forgets times and steps; the protocol has them.
    facts.metrics.extend(
        Metric(m.key, m.value, m.timestamp, m.step)
        for m in data._metric_objs  # noqa: SLF001
    )
    for given in one.inputs.dataset_inputs if one.inputs else ():
        dataset = Dataset(
            name=given.dataset.name,
            digest=given.dataset.digest,
            source_type=given.dataset.source_type,
            source=given.dataset.source,
            schema=given.dataset.schema or None,
            profile=given.dataset.profile or None,
        )
        tags = {tag.key: tag.value for tag in given.tags}
        facts.datasets.append(DatasetInput(dataset=dataset, tags=tags))
    inputs = getattr(one.inputs, "model_inputs", None) or ()
    facts.model_inputs.extend(ModelLink(link.model_id) for link in inputs)
    outputs = getattr(getattr(one, "outputs", None), "model_outputs", None) or ()
    facts.model_outputs.extend(ModelLink(link.model_id, link.step) for link in outputs)
    run = Run(
        run_id=info.run_id,
        experiment_id=int(info.experiment_id),
        name=info.run_name or facts.tags.get("mlflow.runName", ""),
        user_id=info.user_id or "",
        status=info.status,
        start_ms=info.start_time or 0,
        end_ms=info.end_time,
        lifecycle=info.lifecycle_stage,
        artifact_uri=info.artifact_uri or "",
    )
    return RunRecord(run=run, facts=facts)


def _logged_model(one: Any) -> LoggedModel:
    return LoggedModel(
        model_id=one.model_id,
        experiment_id=int(one.experiment_id),
        name=one.name,
        model_type=one.model_type or "",
        source_run_id=one.source_run_id or "",
        status=MODEL_STATUSES[one.status.to_int()],
        status_message=one.status_message or "",
        artifact_uri=one.artifact_location,
        lifecycle="active",
        created_ms=one.creation_timestamp,
        changed_ms=one.last_updated_timestamp,
        tags=dict(one.tags or {}),
        params=dict(one.params or {}),
        metrics=tuple(
            ModelMetric(
                m.key,
                m.value,
                m.timestamp,
                m.step,
                m.run_id or "",
                m.dataset_name or "",
                m.dataset_digest or "",
            )
            for m in one.metrics or ()
        ),
    )

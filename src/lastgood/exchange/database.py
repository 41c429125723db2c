"""An MLflow store in a SQLite file, read by plain statements.

MLflow's own store classes show one run or one metric at a time and hide what was deleted: numbers of
versions, logged models. The tables show all of it, a hundred times as fast.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

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
from lastgood.exchange.database_writer import DELETED_VERSION
from lastgood.exchange.source import RUNS_PER_BATCH

__all__ = ["DatabaseSource"]

POINTS_PER_SERIES = 10_000
VERSIONS_PER_BATCH = 200
WORKSPACE = "default"
LOGGED_MODEL = "models:/"
_NAN = float("nan")
Rows = Iterator[tuple[Any, ...]]


class DatabaseSource:
    """An MLflow database of the installed library's schema, which nobody else writes to.

    Args:
        path: The file.
        address: How the user named the store.
        notes: What the user should know of how it is read.
    """

    def __init__(self, path: Path, *, address: str, notes: Sequence[str] = ()) -> None:
        self.address = address
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        self.notes = [*notes, *self._left_out()]

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def experiments(self) -> Sequence[Experiment]:
        """See `Source`."""
        tags = self._pairs("SELECT experiment_id, key, value FROM experiment_tags")
        rows = self._rows(
            "SELECT experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time"
            " FROM experiments WHERE workspace = ? ORDER BY experiment_id",
            WORKSPACE,
        )
        return [
            Experiment(
                id=number,
                name=name,
                artifact_location=location or "",
                lifecycle=lifecycle,
                created_ms=created or 0,
                changed_ms=changed or created or 0,
                tags=tags.get(number, {}),
            )
            for number, name, location, lifecycle, created, changed in rows
        ]

    def runs(self) -> Iterator[Sequence[RunRecord]]:
        """See `Source`."""
        rows = self._rows(
            "SELECT run_uuid, r.experiment_id, r.name, user_id, status, start_time, end_time, r.lifecycle_stage,"
            " artifact_uri FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id"
            " WHERE e.workspace = ? ORDER BY r.experiment_id, start_time, run_uuid",
            WORKSPACE,
        )
        for batch in _batches(rows, RUNS_PER_BATCH):
            facts = self._facts([row[0] for row in batch])
            yield [_run(row, facts[row[0]]) for row in batch]

    def _facts(self, ids: Sequence[str]) -> dict[str, RunFacts]:
        found = {run_id: RunFacts() for run_id in ids}
        for run_id, key, value in self._rows(
            "SELECT run_uuid, key, value FROM params WHERE run_uuid IN (SELECT value FROM json_each(?))",
            _json(ids),
        ):
            found[run_id].params[key] = value
        for run_id, key, value in self._rows(
            "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN (SELECT value FROM json_each(?))",
            _json(ids),
        ):
            found[run_id].tags[key] = value or ""
        for run_id, key, value, at_ms, step, is_nan in self._rows(
            "SELECT run_uuid, key, value, timestamp, step, is_nan FROM latest_metrics"
            " WHERE run_uuid IN (SELECT value FROM json_each(?))",
            _json(ids),
        ):
            found[run_id].metrics.append(Metric(key, _NAN if is_nan else value, at_ms or 0, step))
        self._add_datasets(found, _json(ids))
        self._add_links(found, _json(ids))
        return found

    def _add_datasets(self, found: dict[str, RunFacts], ids: str) -> None:
        tags = self._pairs(
            "SELECT t.input_uuid, t.name, t.value FROM input_tags t JOIN inputs i ON i.input_uuid = t.input_uuid"
            " WHERE i.destination_type = 'RUN' AND i.destination_id IN (SELECT value FROM json_each(?))",
            ids,
        )
        for input_id, run_id, *dataset in self._rows(
            "SELECT i.input_uuid, i.destination_id, d.name, d.digest, d.dataset_source_type, d.dataset_source,"
            " d.dataset_schema, d.dataset_profile FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id"
            " WHERE i.destination_type = 'RUN' AND i.destination_id IN (SELECT value FROM json_each(?))",
            ids,
        ):
            name, digest, source_type, source, schema, profile = dataset
            described = Dataset(
                name=name,
                digest=digest,
                source_type=source_type,
                source=source,
                schema=schema,
                profile=profile,
            )
            found[run_id].datasets.append(
                DatasetInput(dataset=described, tags=tags.get(input_id, {}))
            )

    def _add_links(self, found: dict[str, RunFacts], ids: str) -> None:
        for run_id, kind, model_id, step in self._rows(
            "SELECT source_id, source_type, destination_id, step FROM inputs"
            " WHERE source_type IN ('RUN_INPUT', 'RUN_OUTPUT') AND source_id IN (SELECT value FROM json_each(?))",
            ids,
        ):
            facts = found[run_id]
            if kind == "RUN_INPUT":  # MLflow keeps a step for it but never shows it
                facts.model_inputs.append(ModelLink(model_id))
            else:
                facts.model_outputs.append(ModelLink(model_id, step))

    def histories(self, runs: Sequence[RunRecord]) -> Iterator[Series]:
        """See `Source`."""
        ids = [record.run.run_id for record in runs]
        rows = self._rows(
            "SELECT run_uuid, key, timestamp, step, value, is_nan FROM metrics"
            " WHERE run_uuid IN (SELECT value FROM json_each(?)) ORDER BY run_uuid, key, timestamp, step, value, is_nan",
            _json(ids),
        )
        for (run_id, key), points in groupby(rows, key=lambda row: (row[0], row[1])):
            for batch in _batches(points, POINTS_PER_SERIES):
                yield Series(run_id=run_id, key=key, points=tuple(map(_point, batch)))

    def logged_models(self) -> Iterator[Sequence[LoggedModel]]:
        """See `Source`."""
        rows = self._rows(
            "SELECT model_id, l.experiment_id, l.name, model_type, source_run_id, status, status_message,"
            " l.artifact_location, l.lifecycle_stage, creation_timestamp_ms, last_updated_timestamp_ms"
            " FROM logged_models l JOIN experiments e ON e.experiment_id = l.experiment_id"
            " WHERE e.workspace = ? ORDER BY l.experiment_id, model_id",
            WORKSPACE,
        )
        for batch in _batches(rows, RUNS_PER_BATCH):
            yield self._with_evidence(batch)

    def _with_evidence(self, batch: Sequence[tuple[Any, ...]]) -> list[LoggedModel]:
        ids = [row[0] for row in batch]
        tags = self._pairs(
            "SELECT model_id, tag_key, tag_value FROM logged_model_tags WHERE model_id IN (SELECT value FROM json_each(?))",
            _json(ids),
        )
        params = self._pairs(
            "SELECT model_id, param_key, param_value FROM logged_model_params WHERE model_id IN (SELECT value FROM json_each(?))",
            _json(ids),
        )
        metrics: dict[str, list[ModelMetric]] = {}
        for model_id, key, value, at_ms, step, run_id, name, digest in self._rows(
            "SELECT model_id, metric_name, metric_value, metric_timestamp_ms, metric_step, run_id, dataset_name,"
            " dataset_digest FROM logged_model_metrics WHERE model_id IN (SELECT value FROM json_each(?))",
            _json(ids),
        ):
            number = _NAN if value is None else value
            metrics.setdefault(model_id, []).append(
                ModelMetric(key, number, at_ms, step, run_id, name or "", digest or "")
            )
        return [
            LoggedModel(
                model_id=row[0],
                experiment_id=row[1],
                name=row[2],
                model_type=row[3] or "",
                source_run_id=row[4] or "",
                status=MODEL_STATUSES[row[5]],
                status_message=row[6] or "",
                artifact_uri=row[7],
                lifecycle=row[8],
                created_ms=row[9],
                changed_ms=row[10],
                tags=tags.get(row[0], {}),
                params=params.get(row[0], {}),
                metrics=tuple(metrics.get(row[0], ())),
            )
            for row in batch
        ]

    def models(self) -> Sequence[ImportedModel]:
        """See `Source`."""
        tags = self._pairs(
            "SELECT name, key, value FROM registered_model_tags WHERE workspace = ?", WORKSPACE
        )
        aliases: dict[str, dict[str, int]] = {}
        for name, alias, version in self._rows(
            "SELECT name, alias, version FROM registered_model_aliases WHERE workspace = ?",
            WORKSPACE,
        ):
            aliases.setdefault(name, {})[alias] = version
        used: dict[str, int] = dict(
            self._rows(
                "SELECT name, max(version) FROM model_versions WHERE workspace = ? GROUP BY name",
                WORKSPACE,
            )
        )
        rows = self._rows(
            "SELECT name, description, creation_time, last_updated_time FROM registered_models"
            " WHERE workspace = ? ORDER BY name",
            WORKSPACE,
        )
        return [
            ImportedModel(
                name=ModelName(name),
                description=description or "",
                created_ms=created or 0,
                changed_ms=changed or created or 0,
                tags=tags.get(name, {}),
                aliases=aliases.get(name, {}),
                numbers_used=used.get(name, 0),
            )
            for name, description, created, changed in rows
        ]

    def versions(self, model: ImportedModel) -> Iterator[Sequence[ImportedVersion]]:
        """See `Source`."""
        tags = self._pairs(
            "SELECT version, key, value FROM model_version_tags WHERE workspace = ? AND name = ?",
            WORKSPACE,
            model.name,
        )
        rows = self._rows(
            "SELECT version, creation_time, last_updated_time, description, user_id, current_stage, source, run_id,"
            " run_link, storage_location FROM model_versions WHERE workspace = ? AND name = ?"
            " AND current_stage <> ? ORDER BY version",
            WORKSPACE,
            model.name,
            DELETED_VERSION,
        )
        for batch in _batches(rows, VERSIONS_PER_BATCH):
            yield [_version(model.name, row, tags.get(row[0], {})) for row in batch]

    def _left_out(self) -> Iterator[str]:
        ((experiments, models, traces),) = self._rows(
            "SELECT (SELECT count(*) FROM experiments WHERE workspace <> ?),"
            " (SELECT count(*) FROM registered_models WHERE workspace <> ?),"
            " (SELECT count(*) FROM trace_info)",
            WORKSPACE,
            WORKSPACE,
        )
        if experiments or models:
            yield f"left out: {experiments:,} experiments and {models:,} models of other workspaces"
        if traces:
            yield f"left out: {traces:,} traces, which lastgood does not keep"

    def _pairs(self, query: str, *values: object) -> dict[Any, dict[str, str]]:
        found: dict[Any, dict[str, str]] = {}
        for owner, key, value in self._rows(query, *values):
            found.setdefault(owner, {})[key] = value or ""
        return found

    def _rows(self, query: str, *values: object) -> Rows:
        # A cursor of its own each time: one may be read while another is at work.
        return iter(self._db.execute(query, values))


def _run(row: tuple[Any, ...], facts: RunFacts) -> RunRecord:
    run_id, experiment, name, user, status, start, end, lifecycle, artifact_uri = row
    run = Run(
        run_id=run_id,
        experiment_id=experiment,
        name=name or facts.tags.get("mlflow.runName", ""),
        user_id=user or "",
        status=status,
        start_ms=start or 0,
        end_ms=end,
        lifecycle=lifecycle,
        artifact_uri=artifact_uri or "",
    )
    return RunRecord(run=run, facts=facts)


def _point(row: tuple[Any, ...]) -> Point:
    _, _, at_ms, step, value, is_nan = row
    return (at_ms or 0, step, _NAN if is_nan else value)


def _version(model: ModelName, row: tuple[Any, ...], tags: dict[str, str]) -> ImportedVersion:
    number, created, changed, description, user, stage, source, run_id, run_link, location = row
    source = source or ""
    logged = source.removeprefix(LOGGED_MODEL)
    return ImportedVersion(
        model=model,
        version=VersionNumber(number),
        created_ms=created or 0,
        changed_ms=changed or created or 0,
        description=description or "",
        user=user or "",
        stage=stage_named(stage) if stage else Stage.NONE,
        source=source,
        run_id=run_id or "",
        run_link=run_link or "",
        logged_model_id=logged if source != logged and logged.startswith("m-") else "",
        tags=tags,
        address=location or source,
    )


def _batches(rows: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    batch: list[tuple[Any, ...]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _json(values: Sequence[str]) -> str:
    return json.dumps(list(values))

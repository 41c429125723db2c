"""Writing an MLflow database: the rows that MLflow's own server would have written.

Its protocol could not: it gives out ids, numbers and times itself. Rows that are there stay, so that
everything may be written again.
"""

import math
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lastgood.core.exchange import ImportedModel, ImportedVersion, RunRecord, Series
from lastgood.core.tracking import DELETED, Experiment, LoggedModel
from lastgood.engine.tracking.logged_models import STATUSES as MODEL_STATUSES

__all__ = ["DELETED_VERSION", "DatabaseWriter", "finite"]

DELETED_VERSION = "Deleted_Internal"  # a stage of MLflow
INFINITY = 1.7976931348623157e308  # what MLflow stores for it
_IDS = uuid.UUID("5f4e2d6a-8c1b-5d3f-9a7e-0b6c4d2e8f10")


class DatabaseWriter:
    """Fills an MLflow database of the installed library's schema. Each method is one transaction.

    Args:
        path: The file.
        now_ms: When deleted runs are said to have been deleted.
    """

    def __init__(self, path: Path, *, now_ms: int) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._now_ms = now_ms

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def known_runs(self) -> set[str]:
        """The runs that are there already."""
        return {row[0] for row in self._db.execute("SELECT run_uuid FROM runs")}

    def known_logged_models(self) -> set[str]:
        """The logged models that are there already."""
        return {row[0] for row in self._db.execute("SELECT model_id FROM logged_models")}

    def experiments(self, experiments: Iterable[Experiment]) -> None:
        """Write experiments with their tags."""
        with self._db:
            for one in experiments:
                self._add(
                    "INSERT OR IGNORE INTO experiments (experiment_id, name, artifact_location, lifecycle_stage,"
                    " creation_time, last_update_time) VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        one.id,
                        one.name,
                        one.artifact_location,
                        one.lifecycle,
                        one.created_ms,
                        one.changed_ms,
                    ),
                )
                self._pairs(
                    "INSERT OR IGNORE INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?)",
                    one.tags,
                    one.id,
                )

    def histories(self, series: Sequence[Series]) -> None:
        """Write points, before the runs that they belong to."""
        with self._db:
            for one in series:
                self._db.executemany(
                    "INSERT OR IGNORE INTO metrics (run_uuid, key, timestamp, step, value, is_nan)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        (one.run_id, one.key, at_ms, step, *_number(value))
                        for at_ms, step, value in one.points
                    ],
                )

    def runs(self, records: Iterable[RunRecord]) -> None:
        """Write runs with all that belongs to them but their histories."""
        with self._db:
            for record in records:
                self._run(record)

    def _run(self, record: RunRecord) -> None:
        run, facts = record.run, record.facts
        self._add(
            "INSERT OR IGNORE INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,"
            " start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id, deleted_time)"
            " VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, ?, '', ?, ?, ?, ?)",
            (
                run.run_id,
                run.name,
                run.user_id,
                run.status,
                run.start_ms,
                run.end_ms,
                run.lifecycle,
                run.artifact_uri,
                run.experiment_id,
                self._now_ms if run.lifecycle == DELETED else None,
            ),
        )
        self._pairs(
            "INSERT OR IGNORE INTO params (run_uuid, key, value) VALUES (?, ?, ?)",
            facts.params,
            run.run_id,
        )
        self._pairs(
            "INSERT OR IGNORE INTO tags (run_uuid, key, value) VALUES (?, ?, ?)",
            facts.tags,
            run.run_id,
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO latest_metrics (run_uuid, key, timestamp, step, value, is_nan)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [(run.run_id, m.key, m.at_ms, m.step, *_number(m.value)) for m in facts.metrics],
        )
        self._datasets(record)
        links = [("RUN_INPUT", "MODEL_INPUT", link) for link in facts.model_inputs]
        links += [("RUN_OUTPUT", "MODEL_OUTPUT", link) for link in facts.model_outputs]
        for kind, of, link in links:
            self._input(kind, run.run_id, of, link.model_id, step=link.step)

    def _datasets(self, record: RunRecord) -> None:
        for given in record.facts.datasets:
            dataset = given.dataset
            dataset_id = _id(record.run.experiment_id, dataset.name, dataset.digest)
            self._add(
                "INSERT OR IGNORE INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type,"
                " dataset_source, dataset_schema, dataset_profile) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    dataset_id,
                    record.run.experiment_id,
                    dataset.name,
                    dataset.digest,
                    dataset.source_type,
                    dataset.source,
                    dataset.schema,
                    dataset.profile,
                ),
            )
            input_id = self._input("DATASET", dataset_id, "RUN", record.run.run_id)
            self._pairs(
                "INSERT OR IGNORE INTO input_tags (input_uuid, name, value) VALUES (?, ?, ?)",
                given.tags,
                input_id,
            )

    def _input(self, kind: str, source: str, of: str, destination: str, *, step: int = 0) -> str:
        input_id = _id(kind, source, of, destination)
        self._add(
            "INSERT OR IGNORE INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (input_id, kind, source, of, destination, step),
        )
        return input_id

    def logged_models(self, models: Iterable[LoggedModel]) -> None:
        """Write logged models with all that belongs to them."""
        with self._db:
            for model in models:
                self._logged_model(model)

    def _logged_model(self, model: LoggedModel) -> None:
        self._add(
            "INSERT OR IGNORE INTO logged_models (model_id, experiment_id, name, artifact_location,"
            " creation_timestamp_ms, last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id,"
            " status_message) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                model.model_id,
                model.experiment_id,
                model.name,
                model.artifact_uri,
                model.created_ms,
                model.changed_ms,
                MODEL_STATUSES.index(model.status),
                model.lifecycle,
                model.model_type,
                model.source_run_id,
                model.status_message,
            ),
        )
        owner = (model.model_id, model.experiment_id)
        self._pairs(
            "INSERT OR IGNORE INTO logged_model_tags (model_id, experiment_id, tag_key, tag_value)"
            " VALUES (?, ?, ?, ?)",
            model.tags,
            *owner,
        )
        self._pairs(
            "INSERT OR IGNORE INTO logged_model_params (model_id, experiment_id, param_key, param_value)"
            " VALUES (?, ?, ?, ?)",
            model.params,
            *owner,
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO logged_model_metrics (model_id, experiment_id, metric_name, metric_timestamp_ms,"
            " metric_step, metric_value, run_id, dataset_name, dataset_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *owner,
                    m.key,
                    m.at_ms,
                    m.step,
                    None if math.isnan(m.value) else _number(m.value)[0],
                    m.run_id,
                    m.dataset_name or None,
                    m.dataset_digest or None,
                )
                for m in model.metrics
            ],
        )

    def model(self, model: ImportedModel, versions: Iterable[Sequence[ImportedVersion]]) -> None:
        """Write a registered model with its versions; `address` is where their bytes are."""
        with self._db:
            self._add(
                "INSERT OR IGNORE INTO registered_models (name, creation_time, last_updated_time, description)"
                " VALUES (?, ?, ?, ?)",
                (model.name, model.created_ms, model.changed_ms, model.description or None),
            )
            self._pairs(
                "INSERT OR IGNORE INTO registered_model_tags (name, key, value) VALUES (?, ?, ?)",
                model.tags,
                model.name,
            )
            for batch in versions:
                for version in batch:
                    self._version(version)
            self._note_number(model)
            self._db.executemany(
                "INSERT OR IGNORE INTO registered_model_aliases (name, alias, version) VALUES (?, ?, ?)",
                [(model.name, alias, number) for alias, number in model.aliases.items()],
            )

    def _note_number(self, model: ImportedModel) -> None:
        """Leave what MLflow leaves of a deleted version, so that its number is not given out again."""
        if model.numbers_used:
            self._add(
                "INSERT OR IGNORE INTO model_versions (name, version, creation_time, last_updated_time,"
                " current_stage, status) VALUES (?, ?, ?, ?, ?, 'READY')",
                (
                    model.name,
                    model.numbers_used,
                    model.changed_ms,
                    model.changed_ms,
                    DELETED_VERSION,
                ),
            )

    def _version(self, version: ImportedVersion) -> None:
        self._add(
            "INSERT OR IGNORE INTO model_versions (name, version, creation_time, last_updated_time, description,"
            " user_id, current_stage, source, run_id, status, run_link, storage_location)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'READY', ?, ?)",
            (
                version.model,
                version.version,
                version.created_ms,
                version.changed_ms,
                version.description or None,
                version.user or None,
                version.stage.value,
                version.source,
                version.run_id or None,
                version.run_link or None,
                version.address,
            ),
        )
        self._pairs(
            "INSERT OR IGNORE INTO model_version_tags (name, version, key, value) VALUES (?, ?, ?, ?)",
            version.tags,
            version.model,
            version.version,
        )

    def _add(self, statement: str, row: Sequence[Any]) -> None:
        self._db.execute(statement, row)

    def _pairs(self, statement: str, pairs: dict[str, str], *owner: object) -> None:
        self._db.executemany(statement, [(*owner, key, value) for key, value in pairs.items()])


def _number(value: float) -> tuple[float, bool]:
    if math.isnan(value):
        return 0.0, True
    return finite(value), False


def finite(value: float) -> float:
    """The value as MLflow's databases hold it, which know no infinity; NaN stays."""
    return value if math.isnan(value) else max(-INFINITY, min(INFINITY, value))


def _id(*parts: object) -> str:
    # The same thing written again is the same row.
    return uuid.uuid5(_IDS, "\x00".join(map(str, parts))).hex

"""Experiments, runs, histories, logged models and their files as they were in another registry."""

from collections.abc import Sequence
from dataclasses import replace

from lastgood.core.exchange import ImportedFile, RunRecord, Series
from lastgood.core.ids import parse_digest, printable
from lastgood.core.tracking import ACTIVE, DELETED, Experiment, LoggedModel
from lastgood.engine.artifacts import Artifacts, StoredFile, parse_artifact_path
from lastgood.engine.kernel import Kernel
from lastgood.engine.tracking import limits
from lastgood.engine.tracking.logged_models import STATUSES as MODEL_STATUSES
from lastgood.engine.tracking.runs import STATUSES as RUN_STATUSES
from lastgood.errors import InvalidInput, NotFound, TooLarge
from lastgood.store.database import Connection
from lastgood.store.tracking import experiments as experiment_store
from lastgood.store.tracking import imports
from lastgood.store.tracking import inputs as input_store
from lastgood.store.tracking import logged_models as model_store
from lastgood.store.tracking import runs as run_store

__all__ = ["TrackingImport"]

RECORDS_MAX = 1_000  # runs, models or experiments in one call
FILES_MAX = 10_000
POINTS_MAX = 50_000
RUN_ID_LENGTH_MAX = 32
MODEL_ID_LENGTH_MAX = 64
TEXT_LENGTH_MAX = 100_000
USER_LENGTH_MAX = 256
_LIFECYCLES = (ACTIVE, DELETED)


class TrackingImport:
    """What runs logged elsewhere. Each method returns when all of it is durable."""

    def __init__(self, kernel: Kernel, artifacts: Artifacts) -> None:
        self._database = kernel.database
        self._artifacts = artifacts

    def known_runs(self, ids: Sequence[str]) -> list[str]:
        """Those of the runs that are here already. Raises TooLarge."""
        _check_count("runs", len(ids), RECORDS_MAX)
        return sorted(self._database.read(lambda c: imports.known_runs(c, ids)))

    def known_logged_models(self, ids: Sequence[str]) -> list[str]:
        """Those of the logged models that are here already. Raises TooLarge."""
        _check_count("logged models", len(ids), RECORDS_MAX)
        return sorted(self._database.read(lambda c: imports.known_models(c, ids)))

    def experiments(self, wanted: Sequence[Experiment]) -> list[int]:
        """Make experiments; the ids that they have here, in the same order.

        One of that name that is here is taken instead; if nothing was ever put into it, with the place,
        tags, times and lifecycle given. A new one gets the id it had if no other has it.

        Raises:
            InvalidInput: a name, location or lifecycle is not allowed. TooLarge: more than 1,000.
        """
        _check_count("experiments", len(wanted), RECORDS_MAX)
        for experiment in wanted:
            _check_experiment(experiment)
        return self._database.write(lambda tx: [_experiment(tx, one) for one in wanted]).result()

    def points(self, series: Sequence[Series]) -> None:
        """Store histories of runs that are not here yet; their runs come after them.

        Raises:
            InvalidInput: a name or a number is not allowed. TooLarge: more than 50,000 points.
        """
        _check_count("points", sum(len(one.points) for one in series), POINTS_MAX)
        _check_count("series", len(series), POINTS_MAX)
        for one in series:
            _check_series(one)

        def unit(tx: Connection) -> None:
            known = imports.known_runs(tx, sorted({one.run_id for one in series}))
            for one in series:
                if one.run_id not in known:
                    imports.add_points(tx, one.run_id, one.key, one.points)

        self._database.write(unit).result()

    def runs(self, records: Sequence[RunRecord]) -> int:
        """Store runs with all that belongs to them; how many were new.

        Raises:
            InvalidInput: a field is not allowed. NotFound: an experiment does not exist.
            TooLarge: more than 1,000.
        """
        _check_count("runs", len(records), RECORDS_MAX)
        for record in records:
            _check_run(record)

        def unit(tx: Connection) -> int:
            known = imports.known_runs(tx, [record.run.run_id for record in records])
            new = {r.run.run_id: r for r in records if r.run.run_id not in known}
            for record in new.values():
                _add_run(tx, record)
            return len(new)

        return self._database.write(unit).result()

    def logged_models(self, models: Sequence[LoggedModel]) -> int:
        """Store logged models; how many were new.

        Raises:
            InvalidInput: a field is not allowed. NotFound: an experiment does not exist.
            TooLarge: more than 1,000.
        """
        _check_count("logged models", len(models), RECORDS_MAX)
        for model in models:
            _check_model(model)

        def unit(tx: Connection) -> int:
            known = imports.known_models(tx, [model.model_id for model in models])
            new = {m.model_id: m for m in models if m.model_id not in known}
            for model in new.values():
                limits.existing(
                    experiment_store.place_of(tx, model.experiment_id), model.experiment_id
                )
                model_store.add_model(tx, model)
                imports.add_points_of_model(tx, model)
            return len(new)

        return self._database.write(unit).result()

    def files(self, files: Sequence[ImportedFile]) -> None:
        """Let paths under the artifact root name objects that are stored already.

        Raises:
            InvalidInput: a path is not allowed. Protected: it is of a registered version.
            NotFound: an object is not stored. TooLarge: more than 10,000.
        """
        _check_count("files", len(files), FILES_MAX)
        stored = [
            StoredFile(parse_artifact_path(f.path), parse_digest(f.digest), f.size) for f in files
        ]
        if missing := [f.path for f in stored if not self._artifacts.is_stored(f)]:
            raise NotFound(f"The object of '{printable(missing[0])}' is not stored")
        self._database.write(
            lambda tx: [self._artifacts.name_file(tx, file) for file in stored]
        ).result()


def _experiment(tx: Connection, wanted: Experiment) -> int:
    here = experiment_store.experiment_named(tx, wanted.name)
    if here is not None:
        if imports.is_untouched(tx, here.id):
            location = wanted.artifact_location or here.artifact_location
            imports.replace_experiment(tx, replace(wanted, id=here.id, artifact_location=location))
        return here.id
    number = wanted.id
    if experiment_store.place_of(tx, number) is not None:
        number = experiment_store.next_experiment_id(tx)
    location = wanted.artifact_location or f"mlflow-artifacts:/{number}"
    experiment_store.add_experiment(tx, replace(wanted, id=number, artifact_location=location))
    return number


def _add_run(tx: Connection, record: RunRecord) -> None:
    run, facts = record.run, record.facts
    limits.existing(experiment_store.place_of(tx, run.experiment_id), run.experiment_id)
    new = run_store.add_run(tx, run, facts.tags)
    run_store.add_params(tx, new, facts.params)
    imports.set_latest(tx, new, facts.metrics)
    input_store.add_dataset_inputs(tx, new, facts.datasets)
    input_store.add_model_links(tx, new, "input", facts.model_inputs)
    input_store.add_model_links(tx, new, "output", facts.model_outputs)


def _check_count(what: str, count: int, most: int) -> None:
    if count > most:
        raise TooLarge(f"At most {most:,} {what} at a time; these are {count:,}")


def _check_experiment(experiment: Experiment) -> None:
    limits.check_experiment_name(experiment.name)
    limits.check_location(experiment.artifact_location)
    _check_lifecycle(experiment.lifecycle)
    _check_texts(experiment.tags)
    for number in (experiment.id, experiment.created_ms, experiment.changed_ms):
        limits.check_int64("experiment", number)
    if experiment.id < 0:
        raise InvalidInput(f"Invalid experiment ID '{experiment.id}'")


def _check_series(series: Series) -> None:
    limits.check_text("run_id", series.run_id, RUN_ID_LENGTH_MAX)
    limits.check_text("key", series.key, limits.KEY_LENGTH_MAX)
    for at_ms, step, _ in series.points:
        limits.check_int64("timestamp", at_ms)
        limits.check_int64("step", step)


def _check_run(record: RunRecord) -> None:
    run, facts = record.run, record.facts
    if not run.run_id or not run.run_id.isalnum():
        raise InvalidInput(f"Invalid run id: '{limits.shown(run.run_id)}'")
    limits.check_text("run_id", run.run_id, RUN_ID_LENGTH_MAX)
    limits.check_text("run_name", run.name, limits.KEY_LENGTH_MAX)
    limits.check_text("user_id", run.user_id, USER_LENGTH_MAX)
    limits.check_text("artifact_uri", run.artifact_uri, limits.LOCATION_LENGTH_MAX)
    if run.status not in RUN_STATUSES:
        raise InvalidInput(limits.invalid_value("status", run.status))
    _check_lifecycle(run.lifecycle)
    for number in (run.start_ms, run.end_ms or 0):
        limits.check_int64("time", number)
    _check_texts(facts.params)
    _check_texts(facts.tags)
    for metric in facts.metrics:
        limits.check_text("key", metric.key, limits.KEY_LENGTH_MAX)
        limits.check_int64("timestamp", metric.at_ms)
        limits.check_int64("step", metric.step)
    limits.check_dataset_inputs(facts.datasets)


def _check_model(model: LoggedModel) -> None:
    if not model.model_id.startswith("m-") or "/" in model.model_id:
        raise InvalidInput(f"Invalid logged model id: '{limits.shown(model.model_id)}'")
    limits.check_text("model_id", model.model_id, MODEL_ID_LENGTH_MAX)
    limits.check_text("name", model.name, limits.MODEL_NAME_LENGTH_MAX)
    limits.check_text("artifact_uri", model.artifact_uri, limits.LOCATION_LENGTH_MAX)
    if model.status not in MODEL_STATUSES:
        raise InvalidInput(limits.invalid_value("status", model.status))
    _check_lifecycle(model.lifecycle)
    _check_texts(model.tags)
    _check_texts(model.params)


def _check_lifecycle(lifecycle: str) -> None:
    if lifecycle not in _LIFECYCLES:
        raise InvalidInput(limits.invalid_value("lifecycle_stage", lifecycle))


def _check_texts(pairs: dict[str, str]) -> None:
    # Wider than what a client may log: older versions of MLflow took more.
    for key, value in pairs.items():
        limits.check_text("key", key, limits.KEY_LENGTH_MAX + 5)
        limits.check_text(key, value, TEXT_LENGTH_MAX)

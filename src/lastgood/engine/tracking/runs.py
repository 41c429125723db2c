"""Runs: made, ended, renamed, tagged, deleted and restored."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from msgspec import structs

from lastgood.core.fresh import fresh_id
from lastgood.core.tracking import ACTIVE, DELETED, Run, RunFacts
from lastgood.engine.kernel import Kernel
from lastgood.engine.tracking import limits
from lastgood.engine.tracking.names import random_name
from lastgood.errors import InvalidInput, LastgoodError, NotFound
from lastgood.store.database import Connection
from lastgood.store.tracking import experiments as experiment_store
from lastgood.store.tracking import runs as store
from lastgood.store.tracking.revisions import ChangingRun, change

__all__ = [
    "RUN_NAME_TAG",
    "STATUSES",
    "NewRun",
    "RunUpdate",
    "Runs",
    "active_run",
    "changing_run",
    "existing",
    "existing_run",
    "full_run",
]

T = TypeVar("T")

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
"""By their numbers in MLflow's protocol, which begin at 1."""
RUN_NAME_TAG = "mlflow.runName"
RUN_NAME_LENGTH_MAX = 250
USER_LENGTH_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be made; without a name it gets a random one, without a start it starts now."""

    experiment_id: str
    name: str = ""
    user_id: str = ""
    start_ms: int | None = None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUpdate:
    """What changes about a run; None: nothing."""

    status: str | None = None
    end_ms: int | None = None
    name: str | None = None


def full_run(connection: Connection, run_id: str) -> tuple[Run, RunFacts]:
    """A run, deleted or not, and what was logged to it. Raises NotFound."""
    return existing(store.run_with_facts(connection, run_id), run_id)


def existing_run(connection: Connection, run_id: str) -> Run:
    """A run, deleted or not. Raises NotFound."""
    return existing(store.run_of(connection, run_id), run_id)


def existing(found: T | None, run_id: str) -> T:
    """What was found of a run. Raises NotFound: nothing."""
    if found is None:
        raise NotFound(f"Run with id={limits.shown(run_id)} not found")
    return found


def active_run(connection: Connection, run_id: str) -> Run:
    """A run that can be written to. Raises NotFound, and InvalidInput if it is deleted."""
    run = existing_run(connection, run_id)
    limits.check_active("run", run_id, run.lifecycle)
    return run


def changing_run(tx: Connection, run_id: str) -> ChangingRun:
    """A run that is about to be written to. Raises NotFound, and InvalidInput if it is deleted."""
    return change(tx, active_run(tx, run_id))


class Runs:
    """The verbs on runs."""

    def __init__(self, kernel: Kernel) -> None:
        self._database = kernel.database
        self._clock = kernel.clock

    def get(self, run_id: str) -> tuple[Run, RunFacts]:
        """A run, deleted or not, and what was logged to it. Raises NotFound."""
        return self._database.glance(lambda c: full_run(c, run_id))

    def create(self, new: NewRun) -> Future[tuple[Run, RunFacts]]:
        """Make a run, in state RUNNING.

        Raises:
            InvalidInput: a name, tag or time is not allowed, or the experiment is deleted (through the future).
            NotFound: there is no such experiment (through the future).
        """
        experiment_id = limits.parse_experiment_id(new.experiment_id)
        tags = limits.check_run_tags(new.tags)
        name = _name_of(new.name, tags.get(RUN_NAME_TAG, ""))
        tags[RUN_NAME_TAG] = name
        user = limits.check_text("user_id", new.user_id, USER_LENGTH_MAX)
        start_ms = self._clock() if new.start_ms is None else new.start_ms
        limits.check_int64("start_time", start_ms)
        run_id = fresh_id(self._clock())
        run = Run(run_id, experiment_id, name, user, STATUSES[0], start_ms, None, ACTIVE, "")
        return self._database.write_together(_create_runs, (run, tags))

    def update(self, run_id: str, update: RunUpdate) -> Future[Run]:
        """Change status, end or name.

        Raises:
            InvalidInput: an unknown status, or the run is deleted (through the future).
            NotFound: through the future.
        """
        if update.status is not None and update.status not in STATUSES:
            raise InvalidInput(limits.invalid_value("status", update.status))
        if update.end_ms is not None:
            limits.check_int64("end_time", update.end_ms)
        limits.check_text("run_name", update.name or "", RUN_NAME_LENGTH_MAX)

        def unit(tx: Connection) -> Run:
            before = changing_run(tx, run_id)
            after = structs.replace(
                before,
                status=update.status or before.status,
                end_ms=before.end_ms if update.end_ms is None else update.end_ms,
                name=update.name or before.name,
            )
            store.update_run(tx, after)
            if update.name:
                store.set_tags(tx, before, {RUN_NAME_TAG: update.name})
            return after

        return self._database.write(unit)

    def delete(self, run_id: str) -> Future[None]:
        """Hide the run. Deleting it twice is no error. Raises NotFound."""
        return self._set_lifecycle(run_id, DELETED)

    def restore(self, run_id: str) -> Future[None]:
        """Bring the run back. Restoring it twice is no error. Raises NotFound."""
        return self._set_lifecycle(run_id, ACTIVE)

    def _set_lifecycle(self, run_id: str, lifecycle: str) -> Future[None]:
        def unit(tx: Connection) -> None:
            if not store.set_lifecycle(tx, run_id, lifecycle):
                existing_run(tx, run_id)

        return self._database.write(unit)

    def delete_tag(self, run_id: str, key: str) -> Future[None]:
        """Delete a tag. Raises NotFound if the run or the tag does not exist, InvalidInput if it is deleted."""

        def unit(tx: Connection) -> None:
            if not store.remove_tag(tx, changing_run(tx, run_id), key):
                raise NotFound(
                    f"No tag with name: {limits.shown(key)} in run with id {limits.shown(run_id)}"
                )

        return self._database.write(unit)


def _create_runs(
    tx: Connection, wanted: Sequence[tuple[Run, dict[str, str]]]
) -> list[tuple[Run, RunFacts] | LastgoodError]:
    """Store runs that have no place for their artifacts yet; they get it of their experiments."""
    ids = list({run.experiment_id for run, _ in wanted})
    places = experiment_store.places_of(tx, ids)
    placed = [_placed(run, places.get(run.experiment_id)) for run, _ in wanted]
    answers = [
        run if isinstance(run, LastgoodError) else (run, RunFacts(tags=tags))
        for run, (_, tags) in zip(placed, wanted, strict=True)
    ]
    made = [answer for answer in answers if not isinstance(answer, LastgoodError)]
    store.add_runs(tx, [(run, facts.tags) for run, facts in made])
    return answers


def _placed(run: Run, place: tuple[str, str] | None) -> Run | LastgoodError:
    """The run with the place for its artifacts, or why it cannot be made."""
    try:
        location, lifecycle = limits.existing(place, run.experiment_id)
        limits.check_active("experiment", str(run.experiment_id), lifecycle)
    except LastgoodError as error:
        return error
    return structs.replace(run, artifact_uri=f"{location.rstrip('/')}/{run.run_id}/artifacts")


def _name_of(name: str, tag: str) -> str:
    if name and tag and name != tag:
        raise InvalidInput(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{limits.shown(name)}', mlflow.runName='{limits.shown(tag)}')"
        )
    return limits.check_text("run_name", name or tag or random_name(), RUN_NAME_LENGTH_MAX)

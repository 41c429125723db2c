"""Experiments: made, renamed, tagged, deleted and restored."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace

from lastgood.core.tracking import ACTIVE, DELETED, Experiment
from lastgood.engine.kernel import Kernel
from lastgood.engine.tracking import limits
from lastgood.errors import AlreadyExists, NotFound
from lastgood.store.database import Connection
from lastgood.store.tracking import experiments as store
from lastgood.store.tracking import runs as run_store

__all__ = ["Experiments"]

ARTIFACT_ROOT = "mlflow-artifacts:/"


class Experiments:
    """The verbs on experiments."""

    def __init__(self, kernel: Kernel) -> None:
        self._database = kernel.database
        self._clock = kernel.clock

    def get(self, experiment_id: str) -> Experiment:
        """The experiment of that id, deleted or not. Raises NotFound, InvalidInput."""
        number = limits.parse_experiment_id(experiment_id)
        return self._database.read(lambda c: _existing(c, number))

    def named(self, name: str) -> Experiment:
        """The experiment of that name, deleted or not. Raises NotFound."""
        found = self._database.read(lambda c: store.experiment_named(c, name))
        if found is None:
            raise NotFound(f"Could not find experiment with name '{limits.shown(name)}'")
        return found

    def create(
        self, name: str, *, artifact_location: str = "", tags: Mapping[str, str]
    ) -> Future[Experiment]:
        """Make an experiment.

        Raises:
            InvalidInput: name, location or a tag is not allowed.
            AlreadyExists: the name is taken, maybe by a deleted experiment (through the future).
        """
        limits.check_experiment_name(name)
        location = limits.check_location(artifact_location)
        checked = limits.check_experiment_tags(tags)

        def unit(tx: Connection) -> Experiment:
            _check_free(tx, name)
            number, now = store.next_experiment_id(tx), self._clock()
            experiment = Experiment(
                id=number,
                name=name,
                artifact_location=location or f"{ARTIFACT_ROOT}{number}",
                lifecycle=ACTIVE,
                created_ms=now,
                changed_ms=now,
                tags=checked,
            )
            store.add_experiment(tx, experiment)
            return experiment

        return self._database.write(unit)

    def rename(self, experiment_id: str, new_name: str) -> Future[None]:
        """Give an experiment another name.

        Raises:
            InvalidInput: the name is not allowed, or the experiment is deleted (through the future).
            AlreadyExists, NotFound: through the future.
        """
        number = limits.parse_experiment_id(experiment_id)
        limits.check_experiment_name(new_name)

        def unit(tx: Connection) -> None:
            experiment = _active(tx, number)
            if new_name != experiment.name:
                _check_free(tx, new_name)
            store.update_experiment(
                tx, replace(experiment, name=new_name, changed_ms=self._clock())
            )

        return self._database.write(unit)

    def delete(self, experiment_id: str) -> Future[None]:
        """Hide the experiment and all its runs; deleting it again raises NotFound, as in MLflow."""
        return self._set_lifecycle(experiment_id, before=ACTIVE, after=DELETED)

    def restore(self, experiment_id: str) -> Future[None]:
        """Bring the experiment and all its runs back. Raises NotFound if it is not deleted."""
        return self._set_lifecycle(experiment_id, before=DELETED, after=ACTIVE)

    def _set_lifecycle(self, experiment_id: str, *, before: str, after: str) -> Future[None]:
        number = limits.parse_experiment_id(experiment_id)

        def unit(tx: Connection) -> None:
            experiment = _existing(tx, number)
            if experiment.lifecycle != before:
                limits.existing(None, number)
            store.update_experiment(
                tx, replace(experiment, lifecycle=after, changed_ms=self._clock())
            )
            run_store.set_lifecycle_of_experiment(tx, number, after)

        return self._database.write(unit)

    def set_tag(self, experiment_id: str, key: str, value: str) -> Future[None]:
        """Set a tag. Raises InvalidInput, NotFound."""
        checked = dict([limits.check_experiment_tag(key, value)])
        number = limits.parse_experiment_id(experiment_id)

        def unit(tx: Connection) -> None:
            _active(tx, number)
            store.set_experiment_tags(tx, number, checked)

        return self._database.write(unit)

    def delete_tag(self, experiment_id: str, key: str) -> Future[None]:
        """Delete a tag. Raises NotFound if the experiment or the tag does not exist."""
        number = limits.parse_experiment_id(experiment_id)

        def unit(tx: Connection) -> None:
            _active(tx, number)
            if not store.remove_experiment_tag(tx, number, key):
                raise NotFound(
                    f"No tag with name: {limits.shown(key)} in experiment with id {number}"
                )

        return self._database.write(unit)


def _existing(connection: Connection, number: int) -> Experiment:
    return limits.existing(store.experiment_of(connection, number), number)


def _active(tx: Connection, number: int) -> Experiment:
    experiment = _existing(tx, number)
    limits.check_active("experiment", str(number), experiment.lifecycle)
    return experiment


def _check_free(tx: Connection, name: str) -> None:
    if (other := store.experiment_named(tx, name)) is not None:
        state = " in deleted state" if other.lifecycle == DELETED else ""
        raise AlreadyExists(
            f"Experiment(name={limits.shown(name)}) already exists{state}",
            hint="restore it, or choose another name" if state else "choose another name",
        )

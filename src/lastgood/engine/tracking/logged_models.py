"""Logged models: MLflow 3 writes every model as one of these before it is registered."""

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

from lastgood.core.fresh import fresh_id
from lastgood.core.tracking import ACTIVE, DELETED, LoggedModel
from lastgood.engine.kernel import Kernel
from lastgood.engine.tracking import limits
from lastgood.engine.tracking.names import random_name
from lastgood.errors import InvalidInput, NotFound
from lastgood.store.database import Connection
from lastgood.store.tracking import experiments as experiment_store
from lastgood.store.tracking import logged_models as store

__all__ = ["PENDING", "STATUSES", "LoggedModels", "NewModel", "logged_model", "note_version"]

PENDING = "LOGGED_MODEL_PENDING"
STATUSES = (
    "LOGGED_MODEL_STATUS_UNSPECIFIED",
    PENDING,
    "LOGGED_MODEL_READY",
    "LOGGED_MODEL_UPLOAD_FAILED",
)
"""By their numbers in MLflow's protocol."""

VERSIONS_TAG = "mlflow.modelVersions"
VERSIONS_NOTED_MAX = 500  # the newest stay


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """A logged model to be made; without a name it gets a random one."""

    experiment_id: str
    name: str | None = None
    model_type: str = ""
    source_run_id: str = ""
    params: Mapping[str, str]
    tags: Mapping[str, str]


def logged_model(
    connection: Connection, model_id: str, *, allow_deleted: bool = False
) -> LoggedModel:
    """The logged model of that id.

    Raises:
        NotFound: there is none, or it is deleted.
    """
    model = store.model_of(connection, model_id)
    if model is None or (model.lifecycle == DELETED and not allow_deleted):
        raise NotFound(f"Logged model with ID '{limits.shown(model_id)}' not found")
    return model


def note_version(tx: Connection, model_id: str, name: str, number: int) -> None:
    """Tag a logged model with a version that was registered from it, as MLflow's web pages expect."""
    try:
        known = json.loads(store.tag_of(tx, model_id, VERSIONS_TAG) or "[]")
    except ValueError:  # a user may have set the tag to anything
        known = []
    version = {"name": name, "version": number}
    if isinstance(known, list) and version not in known:
        noted = json.dumps([*known, version][-VERSIONS_NOTED_MAX:])
        store.set_model_tags(tx, model_id, {VERSIONS_TAG: noted})


class LoggedModels:
    """The verbs on logged models."""

    def __init__(self, kernel: Kernel) -> None:
        self._database = kernel.database
        self._clock = kernel.clock

    def get(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
        """The logged model of that id. Raises NotFound."""
        return self._database.read(lambda c: logged_model(c, model_id, allow_deleted=allow_deleted))

    def create(self, new: NewModel) -> Future[LoggedModel]:
        """Make a logged model, with status pending.

        Raises:
            InvalidInput: a name, tag or parameter is not allowed, or the experiment is deleted (through the future).
            NotFound: there is no such experiment (through the future).
        """
        name = random_name() if new.name is None else limits.check_logged_model_name(new.name)
        experiment_id = limits.parse_experiment_id(new.experiment_id)
        tags, params = limits.check_model_tags(new.tags), limits.check_model_params(new.params)
        model_id = f"m-{fresh_id(self._clock())}"

        def unit(tx: Connection) -> LoggedModel:
            location, lifecycle = limits.existing(
                experiment_store.place_of(tx, experiment_id), experiment_id
            )
            limits.check_active("experiment", str(experiment_id), lifecycle)
            now = self._clock()
            model = LoggedModel(
                model_id=model_id,
                experiment_id=experiment_id,
                name=name,
                model_type=new.model_type,
                source_run_id=new.source_run_id,
                status=PENDING,
                status_message="",
                artifact_uri=f"{location.rstrip('/')}/models/{model_id}/artifacts",
                lifecycle=ACTIVE,
                created_ms=now,
                changed_ms=now,
                tags=tags,
                params=params,
            )
            store.add_model(tx, model)
            return model

        return self._database.write(unit)

    def finalize(self, model_id: str, status: str) -> Future[LoggedModel]:
        """Say how the upload ended. Raises NotFound, InvalidInput."""
        if status not in STATUSES[1:]:
            raise InvalidInput(limits.invalid_value("status", status))

        def unit(tx: Connection) -> LoggedModel:
            model = replace(logged_model(tx, model_id), status=status, changed_ms=self._clock())
            store.set_model_state(
                tx, model_id, status=status, lifecycle=model.lifecycle, now_ms=model.changed_ms
            )
            return model

        return self._database.write(unit)

    def delete(self, model_id: str) -> Future[None]:
        """Hide the logged model; its artifacts stay. Raises NotFound."""

        def unit(tx: Connection) -> None:
            model = logged_model(tx, model_id, allow_deleted=True)
            store.set_model_state(
                tx, model_id, status=model.status, lifecycle=DELETED, now_ms=self._clock()
            )

        return self._database.write(unit)

    def set_tags(self, model_id: str, tags: Mapping[str, str]) -> Future[None]:
        """Set tags, replacing values that were there. Raises NotFound, InvalidInput."""
        checked = limits.check_model_tags(tags)

        def unit(tx: Connection) -> None:
            logged_model(tx, model_id)
            store.set_model_tags(tx, model_id, checked)

        return self._database.write(unit)

    def delete_tag(self, model_id: str, key: str) -> Future[None]:
        """Delete a tag. Raises NotFound if the model or the tag does not exist."""

        def unit(tx: Connection) -> None:
            logged_model(tx, model_id)
            if not store.remove_model_tag(tx, model_id, key):
                raise NotFound(
                    f"No tag with key '{limits.shown(key)}' found for model with ID '{model_id}'"
                )

        return self._database.write(unit)

    def log_params(self, model_id: str, params: Mapping[str, str]) -> Future[None]:
        """Add parameters; as with runs, a parameter keeps its value.

        Raises (through the future):
            InvalidInput: one was logged already with another value. NotFound.
        """
        checked = limits.check_model_params(params)

        def unit(tx: Connection) -> None:
            known = logged_model(tx, model_id).params
            limits.check_unchanged(known, checked, owner=f"model ID='{model_id}'")
            store.add_model_params(
                tx, model_id, {k: v for k, v in checked.items() if k not in known}
            )

        return self._database.write(unit)

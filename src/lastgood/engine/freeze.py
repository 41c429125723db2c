"""Freezing: from files that lie in the store and a run to the manifest of a version."""

from dataclasses import dataclass

from lastgood.cas.port import ObjectStore
from lastgood.core.canonical import portable_number
from lastgood.core.manifest import Code, DataInput, FileEntry, Manifest, Source
from lastgood.core.mlmodel import FACT_FILE_SIZE_MAX, FACT_FILES, read_model_facts
from lastgood.core.tracking import Run, RunFacts
from lastgood.engine.tracking import Tracking
from lastgood.errors import NotFound
from lastgood.store.database import Connection

__all__ = ["FreezeOrder", "freeze_manifest"]

CONTEXT_TAG = "mlflow.data.context"
# What the client notes of its own bookkeeping says nothing of the model, and changes after the fact.
_TAGS_LEFT_OUT = frozenset({"mlflow.log-model.history"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeOrder:
    """What is frozen: the files as they are now, and where they came from."""

    files: tuple[FileEntry, ...]
    uri: str = ""
    """As the caller named the source."""
    run_id: str = ""
    logged_model_id: str = ""
    program: str = ""


def freeze_manifest(
    connection: Connection, objects: ObjectStore, order: FreezeOrder
) -> tuple[Manifest, str]:
    """The manifest of the files, with all that the run and the files themselves say; and the run's user.

    Nothing is written. The files' bytes are in the store already; of them only `MLmodel` and the
    environment files are read, each verified against its digest.

    Args:
        connection: A snapshot that holds the run.
        objects: Where the files' bytes are.
        order: What to freeze. Without `run_id` the run that `MLmodel` names is taken, if it is here.

    Raises:
        InvalidInput: `MLmodel` or an environment file is not what its name says.
        IntegrityFailure: such a file is damaged.
    """
    by_path = {entry.path: entry for entry in order.files}
    contents = {
        name: objects.read_bytes(by_path[name].digest, size_max=FACT_FILE_SIZE_MAX)
        for name in FACT_FILES
        if name in by_path
    }
    said = read_model_facts(contents, paths=by_path)
    run, facts = _run(connection, order.run_id or said.run_id)
    return Manifest(
        files=order.files,
        code=_code(facts.tags),
        data=_data(facts),
        params=facts.params,
        metrics={metric.key: portable_number(metric.value) for metric in facts.metrics},
        tags={key: value for key, value in facts.tags.items() if key not in _TAGS_LEFT_OUT},
        environment=said.environment,
        signature=said.signature,
        flavors=said.flavors,
        input_example=said.input_example,
        source=Source(
            uri=order.uri,
            run_id=run.run_id if run else order.run_id,
            experiment_id=str(run.experiment_id) if run else "",
            logged_model_id=order.logged_model_id or said.logged_model_id,
            program=order.program,
        ),
    ), run.user_id if run else ""


def _run(connection: Connection, run_id: str) -> tuple[Run | None, RunFacts]:
    if not run_id:
        return None, RunFacts()
    try:
        return Tracking.run_facts(connection, run_id)
    except NotFound:  # the run lived on another server
        return None, RunFacts()


def _code(tags: dict[str, str]) -> Code:
    return Code(
        commit=tags.get("mlflow.source.git.commit", ""),
        remote=tags.get("mlflow.source.git.repoURL", ""),
        branch=tags.get("mlflow.source.git.branch", ""),
        entry_point=tags.get("mlflow.source.name", ""),
    )


def _data(facts: RunFacts) -> tuple[DataInput, ...]:
    found = [
        DataInput(
            name=given.dataset.name,
            digest=given.dataset.digest,
            source=given.dataset.source,
            source_type=given.dataset.source_type,
            context=given.tags.get(CONTEXT_TAG, ""),
        )
        for given in facts.datasets
    ]
    return tuple(sorted(found, key=lambda d: (d.name, d.digest, d.context)))

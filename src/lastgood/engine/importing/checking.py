"""What is here, as digests that another registry's content can be compared with."""

from collections.abc import Sequence

from lastgood.core.exchange import (
    NOTHING,
    Asked,
    Found,
    HistoryDigest,
    ImportedModel,
    ImportedVersion,
    RunRecord,
    digest_of,
    digest_of_files,
)
from lastgood.core.ids import Digest, ModelName, VersionNumber
from lastgood.engine.artifacts import parse_artifact_path
from lastgood.engine.kernel import Kernel
from lastgood.errors import TooLarge
from lastgood.store import registry as rows
from lastgood.store.catalogue import model_entries, version_entries
from lastgood.store.database import Connection
from lastgood.store.tracking import artifacts as artifact_store
from lastgood.store.tracking import experiments as experiment_store
from lastgood.store.tracking import imports
from lastgood.store.tracking import logged_models as model_store
from lastgood.store.tracking import metrics as metric_store
from lastgood.store.tracking import runs as run_store
from lastgood.store.tracking.points import as_metric

__all__ = ["Checking"]

ASKED_MAX = 1_000  # of each kind, in one call
POINTS_PER_PAGE = 10_000


class Checking:
    """Digests of what is stored; may take long for long histories."""

    def __init__(self, kernel: Kernel) -> None:
        self._database = kernel.database

    def digests(self, asked: Asked) -> Found:
        """The digests of what is asked for. Raises TooLarge, and InvalidInput for an unsafe folder."""
        counts = (
            asked.experiments,
            asked.runs,
            asked.histories,
            asked.logged_models,
            asked.models,
            asked.versions,
            asked.folders,
        )
        if max(len(each) for each in counts) > ASKED_MAX:
            raise TooLarge(f"At most {ASKED_MAX:,} digests of each kind at a time")
        return self._database.read(lambda c: _found(c, asked))


def _found(connection: Connection, asked: Asked) -> Found:
    return Found(
        experiments=[_experiment(connection, number) for number in asked.experiments],
        runs=_runs(connection, asked.runs),
        histories=[_history(connection, run_id) for run_id in asked.histories],
        logged_models=[_logged_model(connection, model_id) for model_id in asked.logged_models],
        models=[_model(connection, name) for name in asked.models],
        versions=[_version(connection, name, number) for name, number in asked.versions],
        folders=[_folder(connection, folder) for folder in asked.folders],
    )


def _experiment(connection: Connection, number: int) -> Digest:
    experiment = experiment_store.experiment_of(connection, number)
    return digest_of(experiment) if experiment else NOTHING


def _runs(connection: Connection, ids: Sequence[str]) -> list[Digest]:
    facts = run_store.facts_of(connection, ids)
    found = [(run_store.run_of(connection, run_id), facts[run_id]) for run_id in ids]
    return [digest_of(RunRecord(run=run, facts=about)) if run else NOTHING for run, about in found]


def _history(connection: Connection, run_id: str) -> Digest:
    found = HistoryDigest()
    for key in imports.metric_keys(connection, run_id):
        after = None
        while True:
            page = metric_store.history(connection, run_id, key, limit=POINTS_PER_PAGE, after=after)
            metrics = (as_metric(key, point) for point in page)
            found.add(key, ((m.at_ms, m.step, m.value) for m in metrics))
            if len(page) < POINTS_PER_PAGE:
                break
            after = page[-1]
    return found.digest()


def _logged_model(connection: Connection, model_id: str) -> Digest:
    model = model_store.model_of(connection, model_id)
    return digest_of(model) if model else NOTHING


def _model(connection: Connection, name: ModelName) -> Digest:
    row = rows.model_named(connection, name)
    if row is None:
        return NOTHING
    entry = model_entries(connection, [row])[0]
    model = ImportedModel(
        name=row.name,
        description=row.description,
        created_ms=row.created_ms,
        changed_ms=row.changed_ms,
        tags=entry.tags,
        aliases=dict(entry.aliases),
        numbers_used=rows.last_number(connection, name),
    )
    return digest_of(model)


def _version(connection: Connection, name: ModelName, number: VersionNumber) -> Digest:
    model = rows.model_named(connection, name)
    row = rows.version_of(connection, model.id, number) if model else None
    if model is None or row is None:
        return NOTHING
    version = ImportedVersion(
        model=model.name,
        version=row.version,
        created_ms=row.created_ms,
        changed_ms=row.changed_ms,
        description=row.description,
        user=row.user,
        stage=row.stage,
        source=row.source,
        run_id=row.run_id,
        run_link=row.run_link,
        logged_model_id=row.logged_model_id,
        tags=version_entries(connection, [(model.name, row)])[0].tags,
        address=row.artifact_uri,
    )
    return digest_of(version)


def _folder(connection: Connection, folder: str) -> Digest:
    path = parse_artifact_path(folder)
    return digest_of_files(
        (row.path.removeprefix(f"{path}/"), row.digest, row.size)
        for row in artifact_store.artifacts_under(connection, path)
    )

"""What charts and lists show of many runs at once: the beginnings of histories, the datasets of experiments."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from lastgood.core.tracking import Metric
from lastgood.store.database import Connection
from lastgood.store.schema import datasets, run_datasets
from lastgood.store.tracking.metrics import history
from lastgood.store.tracking.points import as_metric

__all__ = ["DatasetSummary", "dataset_summaries", "history_of_runs"]

CONTEXT_TAG = "mlflow.data.context"
LINKS_READ_MAX = 100_000  # distinct pairs of a dataset and its tags that one summary looks at

_d = datasets.c
_links = (
    sa.select(_d.experiment_id, _d.name, _d.digest, run_datasets.c.tags)
    .distinct()
    .join(run_datasets, run_datasets.c.dataset_id == _d.id)
    .where(_d.experiment_id.in_(sa.bindparam("experiment_ids", expanding=True)))
    .order_by(_d.experiment_id, _d.name, _d.digest, run_datasets.c.tags)
    .limit(LINKS_READ_MAX)
)


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset that runs of an experiment used, and what for; `context` is None if nobody said."""

    experiment_id: int
    name: str
    digest: str
    context: str | None


def history_of_runs(
    connection: Connection, run_ids: Sequence[str], key: str, *, limit: int
) -> list[tuple[str, Metric]]:
    """The first `limit` points of a metric of several runs, by run, time, step and value."""
    found: list[tuple[str, Metric]] = []
    for run_id in sorted(set(run_ids)):
        some = history(connection, run_id, key, limit=limit - len(found))
        found += [(run_id, as_metric(key, point)) for point in some]
        if len(found) == limit:
            break
    return found


def dataset_summaries(
    connection: Connection, experiment_ids: Sequence[int], *, limit: int
) -> list[DatasetSummary]:
    """The datasets that runs of these experiments used, each once per purpose."""
    found: dict[DatasetSummary, None] = {}
    for row in connection.execute(_links, {"experiment_ids": list(experiment_ids)}):
        experiment_id, name, digest, tags = row
        context = msgspec.json.decode(tags, type=dict[str, str]).get(CONTEXT_TAG)
        found[DatasetSummary(experiment_id, name, digest, context)] = None
        if len(found) == limit:
            break
    return list(found)

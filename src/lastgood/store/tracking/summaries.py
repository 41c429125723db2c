"""What charts and lists show of many runs at once: sampled histories, the datasets of experiments."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import attrgetter, itemgetter

import msgspec
import sqlalchemy as sa

from lastgood.core.tracking import Metric
from lastgood.store.database import Connection
from lastgood.store.schema import datasets, run_datasets
from lastgood.store.tracking.histories import Outline, chunk_points, outline_of
from lastgood.store.tracking.metrics import history, waiting_points
from lastgood.store.tracking.points import Point, as_metric

__all__ = ["DatasetSummary", "Steps", "dataset_summaries", "history_of_runs", "sampled_history"]

Steps = tuple[int, int]
"""The first and the last step that are wanted."""

CONTEXT_TAG = "mlflow.data.context"
LINKS_READ_MAX = 100_000  # distinct pairs of a dataset and its tags that one summary looks at
EVEN_POINTS_MAX = 10_000  # of a history that is read whole
_ALL_STEPS = (-(2**63), 2**63 - 1)
_STEP, _STEP_ORDER = itemgetter(1), itemgetter(1, 0, 2, 3)
_LAST_ORDER = attrgetter("step_max", "at_ms", "step")

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


def sampled_history(
    connection: Connection, run_id: str, key: str, *, limit: int, steps: Steps | None
) -> list[Metric]:
    """At most `limit` points of a metric, evenly spread over all of them in order of steps.

    The first and the last point are always among them; of a sample of one it is the last. Of a
    history of more than 10,000 points, only those chunks are read from which a point is taken: where many of
    them hold the same steps, and so no order of steps, the points are evenly spread over the chunks.
    """
    chunks, tail = outline_of(connection, run_id, key)
    waiting = waiting_points(connection, run_id, key)
    first, last = steps or _ALL_STEPS
    if steps is not None:
        chunks = [one for one in chunks if one.step_max >= first and one.step_min <= last]

    def points_in(chunk: Outline) -> Sequence[Point]:
        found = chunk_points(connection, run_id, key, chunk.start)
        if steps is not None:
            found = [point for point in found if first <= point[1] <= last]
        return sorted(found, key=_STEP)  # within a step they stay in order of time

    newest = _by_step({*tail, *waiting}, first, last)
    # What is not in chunks is at hand, however much of it waits.
    if not chunks or sum(chunk.size for chunk in chunks) + len(newest) <= EVEN_POINTS_MAX:
        every = sorted({*newest, *chain.from_iterable(map(points_in, chunks))}, key=_STEP_ORDER)
        places = _bucket_starts(len(every), limit)
        places[-1:] = [len(every) - 1] if every else []
        return [as_metric(key, every[i]) for i in places]
    return [as_metric(key, point) for point in _sparse(chunks, newest, points_in, limit)]


def _sparse(
    chunks: list[Outline],
    newest: Sequence[Point],
    points_in: Callable[[Outline], Sequence[Point]],
    limit: int,
) -> list[Point]:
    """Points evenly spread over chunks in order of their first steps and the newest ones, and the last of all."""
    ends = list(accumulate((chunk.size for chunk in chunks), initial=0))
    read: dict[int, Sequence[Point]] = {len(chunks): newest}
    found = []
    for rank in _bucket_starts(ends[-1] + len(newest), limit - 1):
        i = bisect_right(ends, rank) - 1
        points = read[i] if i in read else read.setdefault(i, points_in(chunks[i]))
        if points:
            count = len(newest) if i == len(chunks) else chunks[i].size
            # A chunk at the edge of the wanted steps has fewer points in them than it has.
            found.append(points[(rank - ends[i]) * len(points) // count])
    final = max(chunks, key=_LAST_ORDER)
    found += max(points_in(final)[-1:], newest[-1:], key=lambda end: [_STEP_ORDER(p) for p in end])
    return sorted(set(found), key=_STEP_ORDER)


def _by_step(points: Iterable[Point], first: int, last: int) -> list[Point]:
    return sorted((point for point in points if first <= point[1] <= last), key=_STEP_ORDER)


def _bucket_starts(count: int, buckets: int) -> list[int]:
    """Where the buckets begin, if so many things are dealt out evenly, the larger buckets first."""
    size, larger = divmod(count, buckets) if buckets else (0, 0)
    return [i * size + min(i, larger) for i in range(min(count, buckets))]


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

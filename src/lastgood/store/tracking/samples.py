"""Samples of histories: a few hundred points that show how a metric went, of however many there are."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate, chain, groupby
from operator import itemgetter
from typing import NamedTuple

from lastgood.core.tracking import Metric
from lastgood.store.database import Connection
from lastgood.store.statement import Row
from lastgood.store.tracking.histories import Outline, Part, Steps, outline_of, points_of_parts
from lastgood.store.tracking.metrics import waiting_points
from lastgood.store.tracking.points import Point, as_metric

__all__ = ["sampled_history"]

EVEN_POINTS_MAX = 10_000  # of a history that is read whole
_ALL_STEPS = (-(2**63), 2**63 - 1)
_STEP_ORDER = itemgetter(1, 0, 2, 3)
# Of what makes an `Outline`: there are many chunks, and few become one.
_SIZE = itemgetter(4)
_LAST_ORDER = itemgetter(6, 0, 1)  # the greatest step, then where the chunk begins


class _Pick(NamedTuple):
    """What is taken of a chunk, by ascending places in the order of steps."""

    chunk: Outline
    places: Sequence[int]

    def part(self, steps: Steps) -> Part:
        """What has to be read for it: only where some steps are not wanted, more than is taken."""
        if self._is_within(steps):
            return Part(self.chunk, self.places[0], self.places[-1] + 1)
        return Part(self.chunk, 0, self.chunk.size)

    def of(self, points: Sequence[Point], steps: Steps) -> list[Point]:
        """What is taken, of what was read; a place that is not among the wanted steps goes to one that is."""
        if self._is_within(steps):
            return [points[place - self.places[0]] for place in self.places]
        wanted = [point for point in points if _is_among(steps, point)]
        count, size = len(wanted), self.chunk.size
        return [wanted[place * count // size] for place in self.places] if wanted else []

    def _is_within(self, steps: Steps) -> bool:
        return steps[0] <= self.chunk.step_min and self.chunk.step_max <= steps[1]


_Reader = Callable[[Sequence[_Pick]], Iterator[list[Point]]]


def sampled_history(
    connection: Connection, run_id: str, key: str, *, limit: int, steps: Steps | None
) -> list[Metric]:
    """At most `limit` points of a metric, evenly spread over all of them in order of steps.

    The first and the last point are always among them; of a sample of one it is the last. Of a
    history of more than 10,000 points, only those chunks are read from which a point is taken: where many of
    them hold the same steps, and so no order of steps, the points are evenly spread over the chunks.
    """
    steps = steps or _ALL_STEPS
    chunks, tail = outline_of(connection, run_id, key, steps=steps)
    waiting = waiting_points(connection, run_id, key)
    newest = _by_step(point for point in {*tail, *waiting} if _is_among(steps, point))
    read = partial(_read, connection, run_id, key, steps)
    ends = list(accumulate(map(_SIZE, chunks), initial=0))
    # What is not in chunks is at hand, however much of it waits.
    if not chunks or ends[-1] + len(newest) <= EVEN_POINTS_MAX:
        found = _even(_by_step({*newest, *_whole(chunks, read)}), limit)
    else:
        found = _sparse(chunks, ends, newest, limit, read)
    return [as_metric(key, point) for point in found]


def _read(
    connection: Connection, run_id: str, key: str, steps: Steps, picks: Sequence[_Pick]
) -> Iterator[list[Point]]:
    parts = [pick.part(steps) for pick in picks]
    for pick, points in zip(picks, points_of_parts(connection, run_id, key, parts), strict=True):
        yield pick.of(points, steps)


def _whole(chunks: Iterable[Row], read: _Reader) -> Iterator[Point]:
    every = map(Outline._make, chunks)
    return chain.from_iterable(read([_Pick(chunk, range(chunk.size)) for chunk in every]))


def _even(points: Sequence[Point], limit: int) -> list[Point]:
    places = _bucket_starts(len(points), limit)
    places[-1:] = [len(points) - 1] if points else []
    return [points[place] for place in places]


def _sparse(
    chunks: Sequence[Row], ends: Sequence[int], newest: Sequence[Point], limit: int, read: _Reader
) -> list[Point]:
    """Points evenly spread over chunks in order of their first steps and the newest ones, and the last of all.

    Args:
        chunks: In order of their first steps.
        ends: How many points are before each chunk, and in all.
        newest: The points that are not in chunks, in order.
        limit: How many to take.
        read: Gets points out of chunks.
    """
    ranks = _bucket_starts(ends[-1] + len(newest), limit - 1)
    in_chunks = bisect_left(ranks, ends[-1])
    picks = [
        _Pick(Outline._make(chunks[i]), [rank - ends[i] for rank in some])
        for i, some in groupby(ranks[:in_chunks], lambda rank: bisect_right(ends, rank) - 1)
    ]
    final = max(chunks, key=_LAST_ORDER)
    *taken, last = read([*picks, _Pick(Outline._make(final), [_SIZE(final) - 1])])
    found = {*chain.from_iterable(taken), *(newest[rank - ends[-1]] for rank in ranks[in_chunks:])}
    found.update(max(last, newest[-1:], key=_by_places))
    return _by_step(found)


def _by_places(points: Iterable[Point]) -> list[tuple[object, ...]]:
    return [_STEP_ORDER(point) for point in points]


def _by_step(points: Iterable[Point]) -> list[Point]:
    return sorted(points, key=_STEP_ORDER)


def _is_among(steps: Steps, point: Point) -> bool:
    return steps[0] <= point[1] <= steps[1]


def _bucket_starts(count: int, buckets: int) -> list[int]:
    """Where the buckets begin, if so many things are dealt out evenly, the larger buckets first."""
    size, larger = divmod(count, buckets) if buckets else (0, 0)
    return [i * size + min(i, larger) for i in range(min(count, buckets))]

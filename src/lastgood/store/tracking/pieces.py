"""Much that waits of one run, merged piece by piece: whoever else writes waits for a piece, not for all of it.

Reading, unpacking and sorting need no turn of the writer. A piece holds the points of some of the metrics. That
they are merged while they still wait as well does no harm: a history is a set, and the latest value the greatest.
So what waits goes away with the last piece; whatever ends a merge in the middle, nothing is lost or doubled.
"""

from collections.abc import Iterator, Mapping, Sequence

from lastgood.store.database import Connection
from lastgood.store.statement import Row
from lastgood.store.tracking.arrivals import arrivals_of, put_arrivals, remove_arrivals
from lastgood.store.tracking.metrics import by_metric, merge_points
from lastgood.store.tracking.points import Point
from lastgood.store.tracking.revisions import change
from lastgood.store.tracking.runs import run_of

__all__ = ["Piece", "finish", "merge_piece", "pieces_of"]

PIECE_WEIGHT = 10_000  # points; SQLite takes some 15 ms for them
METRIC_WEIGHT = 20  # what a metric of its own costs, in points

Piece = Mapping[str, list[Point]]
"""Points by their metric, in order."""


def pieces_of(rows: Sequence[Row]) -> Iterator[Piece]:
    """What was read of what waits of a run, in pieces."""
    piece: dict[str, list[Point]] = {}
    room = PIECE_WEIGHT
    for key, points in by_metric(rows).items():
        points.sort()
        for start in range(0, len(points), PIECE_WEIGHT):
            part = piece[key] = points[start : start + PIECE_WEIGHT]
            room -= len(part) + METRIC_WEIGHT
            if room <= 0:
                yield piece
                piece, room = {}, PIECE_WEIGHT
    yield piece


def merge_piece(tx: Connection, run_id: str, piece: Piece) -> None:
    """Merge some of what waits of a run."""
    if piece and (run := run_of(tx, run_id)) is not None:
        merge_points(tx, change(tx, run), piece)


def finish(tx: Connection, run_id: str, rows: Sequence[Row]) -> None:
    """Forget what was merged, unless somebody else has done so.

    That is seen by looking: when all of it is gone ids begin anew, and new points may be under the old ones.
    """
    now = arrivals_of(tx, run_id)
    if now[: len(rows)] != rows:
        return
    remove_arrivals(tx, run_id, now[-1][0])
    if (run := run_of(tx, run_id)) is not None:
        # Ids are sums of weights, and begin anew with what came meanwhile: they tell how much waits.
        merged = rows[-1][0]
        later = now[len(rows) :]
        put_arrivals(tx, [(run_id, i - merged, run.experiment_id, body) for i, body in later])

"""Searches for runs, experiments and logged models, page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from lastgood.core.filter_parser import parse_filter, parse_order
from lastgood.core.filters import Clause
from lastgood.core.tracking import (
    ACTIVE,
    DELETED,
    Experiment,
    LoggedModel,
    Metric,
)
from lastgood.engine.kernel import Kernel
from lastgood.engine.tracking import limits
from lastgood.engine.tracking.folding import Folding
from lastgood.engine.tracking.pages import decode_token, encode_token
from lastgood.engine.tracking.runs import existing
from lastgood.errors import InvalidInput
from lastgood.store.database import Connection
from lastgood.store.tracking import metrics as metric_store
from lastgood.store.tracking.arrivals import runs_waiting
from lastgood.store.tracking.documents import RunDocuments
from lastgood.store.tracking.experiment_search import search_experiments
from lastgood.store.tracking.keyset import Paging, Scalar
from lastgood.store.tracking.model_search import (
    DatasetFilter,
    ModelOrder,
    ModelPaging,
    search_models,
)
from lastgood.store.tracking.points import Point, as_metric
from lastgood.store.tracking.revisions import revision_of
from lastgood.store.tracking.run_search import search_runs

__all__ = [
    "VIEWS",
    "DatasetFilter",
    "ModelOrder",
    "ModelQuery",
    "Page",
    "Query",
    "RunDocuments",
    "Searches",
]

RESULTS_MAX = 50_000
HISTORY_MAX = 250_000  # points of one metric in one answer
FILTERS_MAX = 100  # clauses
ORDERS_MAX = 20
EXPERIMENTS_MAX = 10_000  # ids in one search
DATASETS_MAX = 100  # that logged models were measured on
# What an event loop may do itself: handing a search to a thread takes as long as most searches do.
AT_ONCE_S = 0.002
AT_ONCE_MAX = 200  # runs
EXPERIMENTS_AT_ONCE_MAX = 10  # each is asked for itself
TEXT_AT_ONCE_MAX = (
    500  # characters of filter and order: to read them, and to write a statement of that form
)
MADE_AT_ONCE_MAX = 20  # documents; each takes a tenth of a millisecond
NOWHERE = (-1,)
"""Searched where no experiment is named, so that a filter that cannot be right is refused there too."""
VIEWS = ("ACTIVE_ONLY", "DELETED_ONLY", "ALL")
"""By their numbers in MLflow's protocol, which begin at 1."""
_LIFECYCLES = {"ACTIVE_ONLY": (ACTIVE,), "DELETED_ONLY": (DELETED,), "ALL": (ACTIVE, DELETED)}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of what was found; `token` is empty on the last page."""

    items: Sequence[T]
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search in MLflow's words."""

    filter: str = ""
    order_by: Sequence[str] = ()
    view: str = "ACTIVE_ONLY"
    results_max: int
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuery:
    """A search for logged models in MLflow's words."""

    experiment_ids: Sequence[str]
    filter: str = ""
    datasets: Sequence[DatasetFilter] = ()
    order_by: Sequence[ModelOrder] = ()
    results_max: int
    token: str = ""


class Searches:
    """The verbs that find things. They may take long: call them outside of an event loop."""

    def __init__(self, kernel: Kernel, folding: Folding) -> None:
        self._database = kernel.database
        self._folding = folding

    def runs(
        self, experiment_ids: Sequence[str], query: Query, documents: RunDocuments
    ) -> Page[bytes]:
        """The documents of runs of these experiments, by default the newest first.

        Raises:
            InvalidInput: filter, order, view, number of results or token cannot be right.
        """
        ids, paging, search = _asked(experiment_ids, query)
        if _names_metric(paging):
            self._folding.of_experiments(ids)

        def look(connection: Connection) -> tuple[list[bytes], list[Scalar]]:
            found, last = search_runs(connection, ids or NOWHERE, paging)
            return documents.of(connection, found, warm=self._database.warm), last

        items, last = self._database.survey(look)
        return Page(items, encode_token(last, search=search))

    def runs_at_once(
        self, experiment_ids: Sequence[str], query: Query, documents: RunDocuments
    ) -> Page[bytes] | None:
        """As `runs`, which may be called on an event loop: None if it takes more than a moment. Raises as `runs`."""
        if not _is_small(experiment_ids, query):
            return None
        ids, paging, search = _asked(experiment_ids, query)

        def look(connection: Connection) -> Page[bytes] | None:
            if _names_metric(paging) and runs_waiting(connection, ids):
                return None
            found, last = search_runs(connection, ids or NOWHERE, paging)
            items = documents.of_few(connection, found, made_max=MADE_AT_ONCE_MAX)
            return None if items is None else Page(items, encode_token(last, search=search))

        return self._database.attempt(look, patience_s=AT_ONCE_S)

    def run_at_once(self, run_id: str, documents: RunDocuments) -> bytes | None:
        """The document of a run, deleted or not; for an event loop: None if it takes more than a moment.

        Raises:
            NotFound: there is no such run.
        """

        def look(connection: Connection) -> bytes:
            revision = existing(revision_of(connection, run_id), run_id)
            return documents.of(connection, [revision])[0]

        return self._database.attempt(look, patience_s=AT_ONCE_S)

    def experiments(self, query: Query) -> Page[Experiment]:
        """Experiments, by default the newest first. Raises InvalidInput as `runs`."""
        search = _identity(query)
        paging = _paging(query, search)
        items, last = self._database.read(lambda c: search_experiments(c, paging))
        return Page(items, encode_token(last, search=search))

    def logged_models(self, query: ModelQuery) -> Page[LoggedModel]:
        """Logged models of these experiments, by default the newest first. Raises InvalidInput as `runs`."""
        ids = _experiment_ids(query.experiment_ids)
        limits.check_count("datasets", len(query.datasets), DATASETS_MAX)
        limits.check_count("order_by fields", len(query.order_by), ORDERS_MAX)
        search = (ids, query.filter, query.datasets, query.order_by)
        paging = ModelPaging(
            filters=_clauses(query.filter),
            datasets=query.datasets,
            orders=query.order_by,
            # MLflow knows no limit here: who asks for more gets the rest by the token.
            limit=_results_max(min(query.results_max, RESULTS_MAX)),
            after=decode_token(query.token, search=search),
        )
        items, last = self._database.survey(lambda c: search_models(c, ids or NOWHERE, paging))
        return Page(items, encode_token(last, search=search))

    def history(
        self, run_id: str, key: str, *, results_max: int | None = None, token: str = ""
    ) -> Page[Metric]:
        """All points of a metric in order of time, step and value; none of a run that does not exist.

        Raises:
            InvalidInput: number of results or token cannot be right.
        """
        search = (run_id, key)
        limit = HISTORY_MAX if results_max is None else _results_max(results_max, most=HISTORY_MAX)
        after = _history_position(decode_token(token, search=search))
        found = self._database.survey(
            lambda c: metric_store.history(c, run_id, key, limit=limit + 1, after=after)
        )
        shown = found[:limit]
        last = _as_scalars(shown[-1]) if len(found) > limit else ()
        return Page([as_metric(key, point) for point in shown], encode_token(last, search=search))


def _names_metric(paging: Paging) -> bool:
    return any(one.target == "metric" for one in paging.filters) or any(
        one.target == "metric" for one in paging.orders
    )


def _is_small(experiment_ids: Sequence[str], query: Query) -> bool:
    return (
        query.results_max <= AT_ONCE_MAX
        and len(experiment_ids) <= EXPERIMENTS_AT_ONCE_MAX
        and len(query.filter) + sum(map(len, query.order_by)) <= TEXT_AT_ONCE_MAX
    )


def _asked(
    experiment_ids: Sequence[str], query: Query
) -> tuple[Sequence[int], Paging, Sequence[object]]:
    """Where to search for runs, what, and what a token of it belongs to."""
    ids = _experiment_ids(experiment_ids)
    search = (ids, *_identity(query))
    paging = _paging(query, search)
    # Searches for experiments take them.
    if len({(order.target, order.key) for order in paging.orders}) != len(paging.orders):
        raise InvalidInput(f"order_by contains duplicate fields: {list(query.order_by)}")
    return ids, paging, search


def _identity(query: Query) -> tuple[object, ...]:
    return (query.filter, list(query.order_by), query.view)


def _paging(query: Query, search: Sequence[object]) -> Paging:
    if query.view not in VIEWS:
        raise InvalidInput(limits.invalid_value("run_view_type", query.view))
    limit = _results_max(query.results_max)
    orders = parse_order(query.order_by)
    if len(orders) > ORDERS_MAX:
        raise InvalidInput(f"At most {ORDERS_MAX} order_by fields are allowed. Got {len(orders)}")
    return Paging(
        filters=_clauses(query.filter),
        orders=orders,
        lifecycles=_LIFECYCLES[query.view],
        limit=limit,
        after=decode_token(query.token, search=search),
    )


def _clauses(text: str) -> Sequence[Clause]:
    clauses = parse_filter(text)
    if len(clauses) > FILTERS_MAX:
        raise InvalidInput(f"A filter may have {FILTERS_MAX} clauses. Got {len(clauses)}")
    return clauses


def _results_max(number: int, *, most: int = RESULTS_MAX) -> int:
    if not 1 <= number <= most:
        raise InvalidInput(
            limits.invalid_value(
                "max_results", number, f"It must be a positive integer and at most {most}"
            )
        )
    return number


def _experiment_ids(texts: Sequence[str]) -> list[int]:
    if len(texts) > EXPERIMENTS_MAX:
        raise InvalidInput(
            f"At most {EXPERIMENTS_MAX} experiments can be searched at once. Got {len(texts)}"
        )
    return sorted({limits.parse_experiment_id(text) for text in texts})


def _as_scalars(point: Point) -> list[Scalar]:
    at_ms, step, value, is_nan = point
    return [at_ms, step, value, int(is_nan)]


def _history_position(after: Sequence[Scalar]) -> Point | None:
    if not after:
        return None
    if len(after) != 4 or not all(isinstance(value, int | float) for value in after):
        raise InvalidInput("Invalid page token", hint="use the token that the same search returned")
    at_ms, step, value, is_nan = after
    return int(at_ms), int(step), float(value), bool(is_nan)

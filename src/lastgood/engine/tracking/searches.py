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
from lastgood.errors import InvalidInput
from lastgood.store.database import Connection
from lastgood.store.tracking import metrics as metric_store
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
        ids = _experiment_ids(experiment_ids)
        search = (ids, *_identity(query))
        paging = _paging(query, search)
        if _names_metric(paging):
            self._folding.of_experiments(ids)

        def look(connection: Connection) -> tuple[list[bytes], list[Scalar]]:
            found, last = search_runs(connection, ids or NOWHERE, paging)
            return documents.of(connection, found), last

        items, last = self._database.survey(look)
        return Page(items, encode_token(last, search=search))

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
            limit=_results_max(query.results_max),
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


def _identity(query: Query) -> tuple[object, ...]:
    return (query.filter, list(query.order_by), query.view)


def _paging(query: Query, search: Sequence[object]) -> Paging:
    if query.view not in VIEWS:
        raise InvalidInput(limits.invalid_value("run_view_type", query.view))
    limit = _results_max(query.results_max)
    orders = parse_order(query.order_by)
    if len(orders) > ORDERS_MAX:
        raise InvalidInput(f"At most {ORDERS_MAX} order_by fields are allowed. Got {len(orders)}")
    if len({(order.target, order.key) for order in orders}) != len(orders):
        raise InvalidInput(f"order_by contains duplicate fields: {list(query.order_by)}")
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

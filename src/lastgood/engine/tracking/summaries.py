"""What charts and lists ask of many runs at once. They may take long: call them outside of an event loop."""

from collections.abc import Sequence

from lastgood.core.tracking import Metric
from lastgood.engine.kernel import Kernel
from lastgood.engine.tracking import limits
from lastgood.errors import InvalidInput
from lastgood.store.database import Connection
from lastgood.store.tracking import summaries as store
from lastgood.store.tracking.histories import Steps
from lastgood.store.tracking.samples import sampled_history
from lastgood.store.tracking.summaries import DatasetSummary

__all__ = ["DatasetSummary", "Steps", "Summaries"]

RUNS_MAX = 100  # in one question
SAMPLES_MAX = 2_500  # points of each run
POINTS_MAX = 25_000  # of all runs
EXPERIMENTS_MAX = 20
DATASETS_MAX = 1_000


class Summaries:
    """The verbs that look at many runs."""

    def __init__(self, kernel: Kernel) -> None:
        self._database = kernel.database

    def sampled(
        self,
        run_ids: Sequence[str],
        key: str,
        *,
        steps: Steps | None = None,
        results_max: int = SAMPLES_MAX,
    ) -> list[tuple[str, Metric]]:
        """Points of a metric for a chart: of each run that there is at most `results_max`, evenly spread.

        Args:
            run_ids: The runs, in the order in which they are answered.
            key: The metric.
            steps: Only points from the first to the last of these steps.
            results_max: Points per run.

        Raises:
            InvalidInput: too many runs or points, or the steps run backwards.
        """
        _check_runs(run_ids, request="GetMetricHistoryBulkInterval")
        if not 1 <= results_max <= SAMPLES_MAX:
            raise InvalidInput(f"max_results must be between 1 and {SAMPLES_MAX}")
        if steps is not None and steps[0] > steps[1]:
            raise InvalidInput(
                "end_step must be greater than start_step. "
                f"Found start_step={steps[0]} and end_step={steps[1]}"
            )

        def query(connection: Connection) -> list[tuple[str, Metric]]:
            return [
                (run_id, metric)
                for run_id in run_ids
                for metric in sampled_history(
                    connection, run_id, key, limit=results_max, steps=steps
                )
            ]

        return self._database.survey(query)

    def histories(
        self, run_ids: Sequence[str], key: str, *, results_max: int = POINTS_MAX
    ) -> list[tuple[str, Metric]]:
        """The first points of a metric of several runs, by run, time, step and value.

        Raises:
            InvalidInput: too many runs, or no positive number of points.
        """
        _check_runs(run_ids, request="GetMetricHistoryBulk")
        if results_max < 1:
            raise InvalidInput(
                limits.invalid_value("max_results", results_max, "It must be positive")
            )
        limit = min(results_max, POINTS_MAX)
        return self._database.survey(lambda c: store.history_of_runs(c, run_ids, key, limit=limit))

    def datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """The datasets that runs of these experiments used, each once per purpose; at most 1,000.

        Raises:
            InvalidInput: no experiment, too many, or an id that is no number.
        """
        if not experiment_ids:
            raise InvalidInput("SearchDatasets request must specify at least one experiment_id.")
        if len(experiment_ids) > EXPERIMENTS_MAX:
            raise InvalidInput(
                f"SearchDatasets request cannot specify more than {EXPERIMENTS_MAX} experiment_ids. "
                f"Received {len(experiment_ids)} experiment_ids."
            )
        ids = sorted({limits.parse_experiment_id(text) for text in experiment_ids})
        return self._database.read(lambda c: store.dataset_summaries(c, ids, limit=DATASETS_MAX))


def _check_runs(run_ids: Sequence[str], *, request: str) -> None:
    if not run_ids:
        raise InvalidInput(f"{request} request must specify at least one run_id.")
    if len(run_ids) > RUNS_MAX:
        raise InvalidInput(
            f"{request} request must specify at most {RUNS_MAX} run_ids. Received {len(run_ids)} run_ids."
        )

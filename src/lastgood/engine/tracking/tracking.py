"""One place that holds the verbs of tracking, and what registering asks of it."""

from lastgood.core.tracking import LoggedModel, Run, RunFacts
from lastgood.engine.kernel import Kernel
from lastgood.engine.tracking.evidence import Evidence
from lastgood.engine.tracking.experiments import Experiments
from lastgood.engine.tracking.folding import Folding
from lastgood.engine.tracking.logged_models import LoggedModels, logged_model
from lastgood.engine.tracking.runs import Runs, full_run
from lastgood.engine.tracking.searches import Searches
from lastgood.engine.tracking.summaries import Summaries
from lastgood.store.database import Connection

__all__ = ["Tracking"]


class Tracking:
    """The verbs of tracking.

    Args:
        kernel: Gives the database and the clock.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.experiments = Experiments(kernel)
        self.runs = Runs(kernel)
        self.folding = Folding(kernel)
        self.evidence = Evidence(kernel, self.folding)
        self.logged_models = LoggedModels(kernel)
        self.searches = Searches(kernel, self.folding)
        self.summaries = Summaries(kernel)

    @staticmethod
    def run_facts(connection: Connection, run_id: str) -> tuple[Run, RunFacts]:
        """A run and what was logged to it: parameters, latest metrics, tags, datasets, models.

        Raises:
            NotFound: there is no such run.
        """
        return full_run(connection, run_id)

    @staticmethod
    def logged_model(connection: Connection, model_id: str) -> LoggedModel:
        """A logged model that is not deleted.

        Raises:
            NotFound: there is none.
        """
        return logged_model(connection, model_id)

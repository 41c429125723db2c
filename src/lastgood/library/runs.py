"""A run: what is said once and becomes part of every version that is registered in it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lastgood.core.views import Outcome
from lastgood.library.flavors import modules_ahead
from lastgood.library.versions import PathLike, log_model, register
from lastgood.trial import Trial, mlflow_is_here

__all__ = ["Run", "run"]


class Run:
    """Collects parameters, metrics and data; made by `lastgood.run`. Nothing is sent before a version is made."""

    def __init__(
        self, *, tags: Mapping[str, str], registry: PathLike | None, trial: Trial | None
    ) -> None:
        self._trial = trial
        self._registry = registry
        self._tags = dict(tags)
        self._params: dict[str, object] = {}
        self._metrics: dict[str, float] = {}
        self._seeds: dict[str, object] = {}
        self._data: list[Path] = []
        self._keep_data = False
        self.versions: list[Outcome] = []
        """What was registered, in order."""

    def log_params(self, params: Mapping[str, object]) -> None:
        """Add parameters; the last value of a name counts."""
        self._params |= params

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Add metrics; the last value of a name counts."""
        self._metrics |= {key: float(value) for key, value in metrics.items()}

    def log_seed(self, seed: object, *, of: str = "seed") -> None:
        """Note a random seed, and what it seeds."""
        self._seeds[of] = seed

    def log_data(self, path: PathLike, *, keep: bool = False) -> None:
        """Add a file or directory that is trained on; with `keep` the bytes of all data are kept.

        Raises:
            FileNotFoundError: there is nothing at that path; better now than after the training.
        """
        if not Path(path).exists():
            raise FileNotFoundError(f"There is no data at {path}")
        self._data.append(Path(path))
        self._keep_data = self._keep_data or keep

    def log_model(self, model: object, name: str, **more: Any) -> Outcome:
        """As `lastgood.log_model`, with all that was logged; if it raises, `versions` stays as it was."""
        trial, self._trial = self._trial, None
        try:
            made = log_model(model, name, registry=self._registry, trial=trial, **self._said(more))
        finally:
            if trial is not None:
                trial.close()
        return self._keep(made)

    def register(self, path: PathLike, name: str, **more: Any) -> Outcome:
        """As `lastgood.register`, with all that was logged; if it raises, `versions` stays as it was."""
        return self._keep(register(path, name, registry=self._registry, **self._said(more)))

    def _said(self, more: dict[str, Any]) -> dict[str, Any]:
        together = {
            "params": {**self._params, **more.pop("params", {})},
            "metrics": {**self._metrics, **more.pop("metrics", {})},
            "tags": {**self._tags, **more.pop("tags", {})},
            "seeds": {**self._seeds, **more.pop("seeds", {})},
            "data": [*self._data, *more.pop("data", ())],
            "keep_data": more.pop("keep_data", self._keep_data),
        }
        return {**together, **more}

    def _keep(self, outcome: Outcome) -> Outcome:
        self.versions.append(outcome)
        return outcome


@contextmanager
def run(
    *,
    tags: Mapping[str, str] | None = None,
    load_test: bool = True,
    registry: PathLike | None = None,
) -> Iterator[Run]:
    """Collect what belongs to a training, for the versions that are registered in it.

    Only `Run.register` and `Run.log_model` open the registry and send anything; each makes its version whole
    or not at all. So an exception or Ctrl-C inside leaves the versions that were made before it, of the rest
    no trace, and no process; it goes on to the caller. Runs may be nested: none knows of another, and a version
    has what was said to the run that made it.

    Works without a server: the registry is a data directory unless `registry` or ``LASTGOOD_SERVER``
    names a URL. To follow a training while it goes on, log to MLflow: a lastgood server speaks its protocol.

    Args:
        tags: For every version of the run.
        load_test: Whether a process for the load test of the first model may import mlflow and the model's
            library while the training goes on. It is started if such a library is imported already, and takes
            some seconds of one core, and some hundred MiB until the model is registered.
        registry: A URL or a data directory; see `open_registry`.
    """
    modules = modules_ahead() if load_test and mlflow_is_here() else ()
    with ExitStack() as stack:
        trial = stack.enter_context(Trial(modules=modules)) if modules else None
        yield Run(tags=tags or {}, registry=registry, trial=trial)

"""The rehearsal of a rollback: everything that the real one needs, but for the switch."""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from lastgood.cli.asking import UNSTEADY, check_answers, files_of, golden_of, is_pyfunc
from lastgood.cli.rehearsal_environment import Prepared, prepare
from lastgood.core.commands import Rollback
from lastgood.core.ids import ModelName, RefName, VersionNumber
from lastgood.core.ports import Registry
from lastgood.core.views import VersionView
from lastgood.errors import LastgoodError
from lastgood.policy.signatures import inputs_accepted
from lastgood.trial import Trial, TrialOrder, TrialReport

__all__ = ["Rehearsal", "Step", "rehearse"]

T = TypeVar("T")
Outcome = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that a rollback needs."""

    name: str
    outcome: Outcome
    detail: str
    seconds: float


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """What was found out; ready if nothing failed and there is a version to return to."""

    model: ModelName
    environment: RefName
    live: VersionNumber | None = None
    target: VersionNumber | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether a rollback would work now, as far as it was tried."""
        return self.target is not None and all(step.outcome != "fail" for step in self.steps)

    @property
    def reason(self) -> str:
        """What stands in the way; empty if nothing does."""
        return "; ".join(step.detail for step in self.steps if step.outcome == "fail")

    def step(self, name: str, act: Callable[[], T], tell: Callable[[T], str]) -> T | None:
        """Carry a step out and note how it went; None if it failed."""
        started = time.perf_counter()
        try:
            result = act()
        except LastgoodError as error:
            self.note(name, "fail", error.message, started)
            return None
        self.note(name, "pass", tell(result), started)
        return result

    def note(self, name: str, outcome: Outcome, detail: str, started: float) -> None:
        """Note a step that began at `started`."""
        seconds = round(time.perf_counter() - started, 3)
        self.steps.append(Step(name=name, outcome=outcome, detail=detail, seconds=seconds))


def rehearse(
    registry: Registry, model: ModelName, environment: RefName, *, python: str, build: bool = False
) -> Rehearsal:
    """Rehearse the rollback of an environment; nothing is switched and nothing recorded.

    Args:
        registry: Where the plan and the files come from.
        model: The model.
        environment: Where it is live.
        python: The interpreter that loads the model, in a process that is thrown away.
        build: Build the environment that was recorded with the version, and load the model in that.

    Raises:
        InvalidInput: `python` cannot be started. NotSupported: there is no uv to build with.
    """
    found = Rehearsal(model=model, environment=environment)
    command = Rollback(model=model, environment=environment)
    plan = found.step(
        "plan",
        lambda: registry.plan_rollback(command),
        lambda p: f"returns to version {p.after}: {p.because}",
    )
    if plan is None or plan.after is None:
        return found
    found.live, found.target = plan.before, plan.after
    view = registry.show(f"{model}/{plan.after}")
    _callers(found, registry, view)
    prepared = _environment(found, view, python=python, build=build)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        loads = is_pyfunc(view) and prepared.mlflow
        # Its process starts while the files come.
        trial = stack.enter_context(Trial(python=prepared.python)) if loads else None
        files = found.step(
            "bytes",
            lambda: files_of(registry, view, Path(folder)),
            lambda _: f"{len(_entries(view))} files, every digest right",
        )
        if files is not None and prepared.python:
            _try(found, registry, view, files, trial)
    return found


def _callers(found: Rehearsal, registry: Registry, view: VersionView) -> None:
    """Whoever calls the live version sends what fits its signature: does the target take that?"""
    started = time.perf_counter()
    if found.live is None:
        nothing = "nothing is live now, so what its callers send is not known"
        found.note("signature", "unknown", nothing, started)
        return
    try:
        live = registry.show(f"{found.model}/{found.live}")
    except LastgoodError as error:  # what is live is damaged: the more is a rollback needed
        found.note("signature", "unknown", error.message, started)
        return
    outcome, words = inputs_accepted(
        *(one.manifest.signature if one.manifest is not None else "" for one in (view, live)),
        name=f"{found.model}/{found.target}",
        live_name=f"{found.model}/{found.live}",
    )
    found.note("signature", outcome, words, started)


def _environment(found: Rehearsal, view: VersionView, *, python: str, build: bool) -> Prepared:
    assert view.manifest is not None  # no rollback returns to an external version
    started = time.perf_counter()
    prepared = prepare(view.manifest.environment, python=python, build=build)
    found.note("environment", prepared.outcome, prepared.detail, started)
    return prepared


def _entries(view: VersionView) -> tuple[object, ...]:
    return view.manifest.files if view.manifest is not None else ()


def _try(
    found: Rehearsal, registry: Registry, view: VersionView, files: Path, trial: Trial | None
) -> None:
    started = time.perf_counter()
    if trial is None or view.manifest is None:
        why = (
            "the interpreter has no mlflow to load it with"
            if is_pyfunc(view)
            else "it is not a model that mlflow.pyfunc can load"
        )
        found.note("loads", "unknown", why, started)
        return
    has_example = bool(view.manifest.input_example)
    order = TrialOrder(path=files, times=2 if has_example else 0)
    report = found.step(
        "loads",
        lambda: trial.run(order),
        lambda r: f"in {r.load_s:.2f} s with {r.peak_mib:.0f} MiB",
    )
    if report is None:
        return
    if not has_example:
        found.note("answers", "unknown", "the model has no input example", time.perf_counter())
        return
    _compare(found, registry, view, report)


def _compare(found: Rehearsal, registry: Registry, view: VersionView, report: TrialReport) -> None:
    started = time.perf_counter()
    try:
        golden = golden_of(registry, view)
    except LastgoodError as error:
        found.note("answers", "fail", error.message, started)
        return
    if golden is None:
        detail = f"its input example in {report.predict_ms:.1f} ms; no golden answers to compare"
        found.note("answers", "pass", detail, started)
    elif not golden.deterministic:
        found.note("answers", "unknown", UNSTEADY, started)
    else:
        found.step(
            "answers",
            lambda: check_answers(golden, report),
            lambda _: f"as when it was registered, in {report.predict_ms:.1f} ms",
        )

"""``lastgood ci``: what a pipeline does after training, in one step."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from lastgood.cli.check import show_check
from lastgood.cli.output import error_value, styled
from lastgood.cli.programs import run_here
from lastgood.cli.register import metrics_of, pairs
from lastgood.cli.session import Session
from lastgood.core.commands import CheckGates, Promote, RegisterRun, Rollback
from lastgood.core.ids import RefName, parse_model_name, parse_ref_name
from lastgood.core.ports import Registry
from lastgood.core.views import CheckView, Outcome
from lastgood.errors import InvalidInput, LastgoodError, Refused

__all__ = ["ci"]

RUNS = "runs:/"
NOWHERE = "none"


class Action(StrEnum):
    """What to do."""

    PROMOTE = "promote"


@dataclass(slots=True, kw_only=True)
class _Step:
    """How far it came."""

    registered: Outcome
    staged: Outcome | None = None
    check: CheckView | None = None
    promoted: Outcome | None = None
    archived: Outcome | None = None
    refused: LastgoodError | None = None

    @property
    def name(self) -> str:
        return f"{self.registered.model}/{self.registered.version}"

    @property
    def code(self) -> int:
        return 0 if self.refused is None else self.refused.exit_code


_Source = Annotated[
    str,
    typer.Argument(help="A model directory or file, runs:/RUN_ID/model, or a version as churn/4."),
]
_Metric = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="K=V", help="For a path: a metric; repeatable."),
]
_TrainData = Annotated[
    list[Path] | None,
    typer.Option(
        "--train-data", metavar="PATH", help="For a path: data it was trained on; repeatable."
    ),
]
_Tag = Annotated[list[str] | None, typer.Option("--tag", metavar="K=V", help="A tag; repeatable.")]
_Run = Annotated[
    bool,
    typer.Option(
        "--run",
        help="Run the policy's own programs here, ask the model for its golden answers again, and record it.",
    ),
]


def ci(
    context: typer.Context,
    *,
    action: Annotated[
        Action, typer.Argument(help="promote: register, stage, ask the gates, promote or archive.")
    ],
    source: _Source,
    name: Annotated[
        str, typer.Option("--name", "-n", metavar="MODEL", help="The model to add a version to.")
    ],
    to: Annotated[
        str, typer.Option("--to", metavar="ENV", help="Where it is to go.")
    ] = "production",
    staging: Annotated[
        str,
        typer.Option("--staging", metavar="ENV", help="Where it goes first; none: nowhere."),
    ] = "staging",
    metric: _Metric = None,
    train_data: _TrainData = None,
    tag: _Tag = None,
    run: _Run = False,
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="Why; the log keeps it, for example the build.")
    ] = "continuous integration",
) -> int:
    """Register a model, put it into staging, ask the gates, then promote it, or take it out of staging again.

    Exit 0: it is live. Exit 3: it is not, the answer says which gate refused. A version that only has to wait (for time in staging, an approval, the end of a freeze) stays in staging: run the same command again later. Repeating it is safe.
    """  # fmt: skip
    assert action is Action.PROMOTE
    session = Session.of(context)
    with session.registry() as registry:
        outcome = _register(
            session,
            registry,
            source,
            model=name,
            metric=metric,
            data=train_data,
            tag=tag,
            reason=reason,
        )
        step = _Step(registered=outcome)
        _go(
            session,
            registry,
            step,
            to=parse_ref_name(to),
            staging=None if staging == NOWHERE else parse_ref_name(staging),
            run=run,
            reason=reason,
        )
    session.out.json(_value(step)) if session.as_json else _show(session, step)
    return step.code


def _register(
    session: Session,
    registry: Registry,
    source: str,
    *,
    model: str,
    metric: list[str] | None,
    data: list[Path] | None,
    tag: list[str] | None,
    reason: str,
) -> Outcome:
    """A new version, or the one that has these bytes already."""
    parsed, tags = parse_model_name(model), pairs(tag or (), option="--tag")
    if source.startswith(RUNS):
        command = RegisterRun(model=parsed, source=source, tags=tags, reason=reason)
        return registry.register_run(command, caller=session.caller())
    if Path(source).exists():
        from lastgood.sdk.bundle import Described, register_path
        from lastgood.sdk.capture import Surroundings

        described = Described(
            metrics=metrics_of(metric or ()),
            tags=tags,
            reason=reason,
            around=Surroundings(data=tuple(data or ())),
        )
        return register_path(
            registry, Path(source), model=model, caller=session.caller(), described=described
        )
    view = registry.show(source)
    if view.model != parsed:
        raise InvalidInput(f"{source} is a version of {view.model}, not of {model}")
    return Outcome(
        operation=None,
        seq=0,
        at_ms=view.registered_ms,
        model=view.model,
        version=view.version,
        digest=view.digest,
        summary=f"{view.model}/{view.version} is registered already",
        already=True,
    )


def _go(
    session: Session,
    registry: Registry,
    step: _Step,
    *,
    to: RefName,
    staging: RefName | None,
    run: bool,
    reason: str,
) -> None:
    caller, asked = session.caller(), CheckGates(reference=step.name, to=to)
    live = registry.target(step.registered.model, to).version == step.registered.version
    try:
        if staging is not None and not live:
            step.staged = registry.promote(
                Promote(reference=step.name, to=staging, reason=reason), caller=caller
            )
        step.check = registry.check(asked, caller=caller)
        if run and not live and run_here(session, registry, step.check):
            step.check = registry.check(asked, caller=caller)
        step.promoted = registry.promote(
            Promote(reference=step.name, to=to, reason=reason), caller=caller
        )
    except Refused as error:
        step.refused = error
        if staging is not None and step.check is not None and not _may_pass_later(step.check):
            step.archived = _archive(registry, step, staging, session)


def _may_pass_later(view: CheckView) -> bool:
    """Whether nothing but time or people stands in the way."""
    return all(v.may_pass_later for v in view.verdicts if v.gate in view.blocking)


def _archive(registry: Registry, step: _Step, staging: RefName, session: Session) -> Outcome | None:
    """Take the version that the gates refused out of staging."""
    model = step.registered.model
    if registry.target(model, staging).version != step.registered.version:
        return None
    why = f"refused: {step.refused.message}" if step.refused else ""
    command = Rollback(model=model, environment=staging, to=NOWHERE, reason=why)
    return registry.rollback(command, caller=session.caller())


def _value(step: _Step) -> dict[str, Any]:
    return {
        "version": step.registered.version,
        "live": step.promoted is not None,
        "registered": msgspec.to_builtins(step.registered),
        "staged": msgspec.to_builtins(step.staged),
        "check": msgspec.to_builtins(step.check),
        "promoted": msgspec.to_builtins(step.promoted),
        "archived": msgspec.to_builtins(step.archived),
        "error": error_value(step.refused) if step.refused else None,
    }


def _show(session: Session, step: _Step) -> None:
    out = session.out
    for outcome in (step.registered, step.staged):
        if outcome is not None:
            out.line(styled("✓ ", "bold green"), outcome.summary)
    if step.check is not None:
        show_check(step.check, out)
    if step.promoted is not None:
        out.line(styled("✓ ", "bold green"), styled(step.promoted.summary, "bold"))
        out.facts([("operation", step.promoted.operation or ""), ("undo", step.promoted.undo)], indent=2)  # fmt: skip
    if step.archived is not None:
        out.line(styled("· ", "dim"), step.archived.summary)
    if step.refused is not None:
        out.line(styled("not promoted: ", "bold red"), step.refused.message)

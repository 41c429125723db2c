"""``lastgood drill`` and ``lastgood doctor``."""

import sys
from typing import Annotated, Any

import msgspec
import typer

from lastgood.cli.output import Output, styled
from lastgood.cli.rehearsal import Rehearsal, rehearse
from lastgood.cli.session import Session
from lastgood.cli.words import Python, number
from lastgood.core.ids import ModelName, RefName, parse_model_name, printable
from lastgood.core.ports import Registry
from lastgood.core.references import DEFAULT_ENVIRONMENT, ByRef, parse_reference
from lastgood.core.views import LiveView
from lastgood.errors import InvalidInput, InvalidReference, NotFound

__all__ = ["doctor", "drill"]

NOT_READY = 1
_OUTCOME_STYLE = {"pass": "green", "fail": "bold red", "unknown": "yellow"}
_Build = Annotated[
    bool,
    typer.Option(
        "--build",
        help="Build the environment recorded with the version (by uv, once) and load the model in that.",
    ),
]


def drill(
    context: typer.Context,
    place: Annotated[
        str, typer.Argument(metavar="MODEL@ENV", help="The place, for example churn@production.")
    ],
    python: Python = None,
    build: _Build = False,
) -> int:
    """Rehearse the rollback of an environment without switching: plan, callers' inputs, packages, bytes, load, answers.

    The model is loaded in a process that is thrown away. Exit code 1 if a rollback would not work.
    """
    session = Session.of(context)
    interpreter = _interpreter(python, build=build)
    parsed = parse_reference(place, now=session.now)
    if not isinstance(parsed, ByRef) or parsed.back or parsed.at is not None:
        raise InvalidReference(f"'{place}' is no place", hint="a place is churn@production")
    with session.registry() as registry:
        _known(registry, parsed.model, parsed.ref)
        found = rehearse(registry, parsed.model, parsed.ref, python=interpreter, build=build)
    if session.as_json:
        session.out.json(_value(found))
    else:
        _show(found, session.out)
    return 0 if found.ready else NOT_READY


def doctor(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Only this model.", show_default=False)
    ] = None,
    everywhere: Annotated[
        bool,
        typer.Option(
            "--all", help="Also refs that are neither production nor followed by gateways."
        ),
    ] = False,
    python: Python = None,
    build: _Build = False,
) -> int:
    """Rehearse the rollback of every environment with a live version: rollback ready, yes or no, and why not.

    Environments are production and every ref that a gateway follows. Exit code 1 if any is not ready.
    """
    session = Session.of(context)
    interpreter = _interpreter(python, build=build)
    with session.registry() as registry:
        views = registry.live(None if model is None else parse_model_name(model))
        found = [
            rehearse(registry, view.model, view.ref, python=interpreter, build=build)
            for view in views
            if view.version is not None and (everywhere or _is_environment(view))
        ]
    out = session.out
    if session.as_json:
        out.json({"environments": [_value(one) for one in found]})
    elif not found:
        out.line("Nothing is live")
    else:
        _table(found, out)
    return 0 if all(one.ready for one in found) else NOT_READY


def _known(registry: Registry, model: ModelName, environment: RefName) -> None:
    """Refuse a place that never was: "not ready" would hide a misspelt name from whoever runs this at night."""
    places = [view.ref for view in registry.live(model)]
    if environment not in places:
        there = f"there is {', '.join(places)}" if places else "nothing of it was ever live"
        raise NotFound(f"{model} has no environment {printable(environment)}", hint=there)


def _interpreter(python: str | None, *, build: bool) -> str:
    if python is not None and build:
        raise InvalidInput(
            "--python names an interpreter, --build makes one", hint="give one of them"
        )
    return python or sys.executable


def _is_environment(view: LiveView) -> bool:
    return view.ref == DEFAULT_ENVIRONMENT or bool(view.observed)


def _table(found: list[Rehearsal], out: Output) -> None:
    out.table(
        ["ENVIRONMENT", "ROLLBACK READY", "TO", ">SECONDS", "WHY NOT, OR WHAT IS UNKNOWN"],
        (
            (
                _place(one.model, one.environment),
                styled("yes", "green") if one.ready else styled("no", "bold red"),
                number(one.target) if one.target is not None else "-",
                f"{sum(step.seconds for step in one.steps):.2f}",
                one.reason
                or "; ".join(f"{s.name}: {s.detail}" for s in one.steps if s.outcome == "unknown"),
            )
            for one in found
        ),
    )


def _show(found: Rehearsal, out: Output) -> None:
    ready = styled("rollback ready", "bold green")
    out.line(
        styled(_place(found.model, found.environment), "bold"),
        "  ",
        ready if found.ready else styled("not ready", "bold red"),
    )
    if found.target is not None:
        out.indented(f"{number(found.live)} -> {number(found.target)}, not switched")
    out.table(
        ["STEP", "", ">SECONDS", ""],
        (
            (
                step.name,
                styled(step.outcome, _OUTCOME_STYLE[step.outcome]),
                f"{step.seconds:.2f}",
                step.detail,
            )
            for step in found.steps
        ),
        indent=2,
    )


def _place(model: str, environment: RefName) -> str:
    return f"{model}@{environment}"


def _value(found: Rehearsal) -> dict[str, Any]:
    return {**msgspec.to_builtins(found), "ready": found.ready, "reason": found.reason}

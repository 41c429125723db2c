"""``lastgood pause`` and ``lastgood resume``."""

from typing import Annotated

import typer

from lastgood.cli.acts import show_outcome, with_repeat
from lastgood.cli.session import Session
from lastgood.core.commands import PauseEnvironment
from lastgood.core.ids import parse_model_name, parse_ref_name

__all__ = ["pause", "resume"]

_Env = Annotated[
    str, typer.Argument(metavar="ENV", help="The environment, for example production.")
]
_Model = Annotated[
    str | None, typer.Option("--model", "-m", metavar="MODEL", help="Only this model; else all.")
]
_Reason = Annotated[
    str | None,
    typer.Option("--reason", "-r", help="Why; the log keeps it. Asked for if left out."),
]


def pause(
    context: typer.Context, *, env: _Env, model: _Model = None, reason: _Reason = None
) -> None:
    """Take no promotions in an environment until it is resumed. Rolling back stays possible."""
    _set(context, env, model, reason, paused=True)


def resume(
    context: typer.Context, *, env: _Env, model: _Model = None, reason: _Reason = None
) -> None:
    """Take promotions in an environment again."""
    _set(context, env, model, reason, paused=False)


def _set(
    context: typer.Context, env: str, model: str | None, reason: str | None, *, paused: bool
) -> None:
    session = Session.of(context)
    verb = "pause" if paused else "resume"
    command = PauseEnvironment(
        environment=parse_ref_name(env),
        model=None if model is None else parse_model_name(model),
        paused=paused,
        reason=session.reason(reason, question=f"Why {verb} {env}?"),
    )
    with session.registry() as registry:
        outcome = with_repeat(session, registry.pause(command, caller=session.caller()))
    session.out.json(outcome) if session.as_json else show_outcome(session, outcome)

"""``lastgood policy``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.acts import show_outcome
from lastgood.cli.output import styled
from lastgood.cli.session import Session
from lastgood.core.commands import SetPolicy
from lastgood.core.policy import ANYBODY, Policy, parse_policy
from lastgood.errors import InvalidInput

__all__ = ["policy"]

POLICY_FILE = Path("lastgood.toml")


class Action(StrEnum):
    """What to do with the policy."""

    CHECK = "check"
    APPLY = "apply"
    SHOW = "show"


def policy(
    context: typer.Context,
    *,
    action: Annotated[
        Action,
        typer.Argument(
            help="check: read the file and say what is wrong. apply: put it in force. show: what is in force."
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="The policy; else ./lastgood.toml.", show_default=False
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME|OPERATION", help="For show: what was in force then."),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="For apply: why; the log keeps it.")
    ] = "",
    hand_over: Annotated[
        bool,
        typer.Option("--hand-over", help="For apply: although you may not change it any more."),
    ] = False,
) -> None:
    """The rules by which versions go to environments: gates, rights, bake times, freezes.

    They stand in lastgood.toml, which belongs into the repository; the registry keeps every policy that was ever in force.
    """  # fmt: skip
    session = Session.of(context)
    if action is Action.SHOW:
        _show(session, at)
        return
    text = _read(file or POLICY_FILE)
    parsed = parse_policy(text)
    if action is Action.CHECK:
        _say_checked(session, parsed)
        return
    with session.registry() as registry:
        outcome = registry.set_policy(
            SetPolicy(text=text, reason=reason.strip(), hand_over=hand_over),
            caller=session.caller(),
        )
    session.out.json(outcome) if session.as_json else show_outcome(session, outcome)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"The policy {file} cannot be read: {error}",
            hint="docs/how-to/policy.md shows how to write one",
        ) from error


def _say_checked(session: Session, parsed: Policy) -> None:
    names = list(parsed.environments)
    if session.as_json:
        session.out.json(
            {"environments": names, "models": list(parsed.models), "apply": parsed.apply}
        )
        return
    session.out.line(
        styled("✓ ", "bold green"), f"right: {' -> '.join(names) or 'no environments'}"
    )
    for name, rules in parsed.environments.items():
        count = len(rules.gates)
        session.out.indented(f"{name}: {count} gate{'s' if count != 1 else ''}")
    if ANYBODY not in parsed.apply:
        session.out.indented(f"may be changed by {', '.join(parsed.apply) or 'nobody'}")


def _show(session: Session, at: str | None) -> None:
    moment = session.moment(at)
    with session.registry() as registry:
        view = registry.policy(at=moment)
    out = session.out
    if session.as_json:
        out.json(view)
        return
    if view.digest is None:
        out.line("No policy is in force: every promotion is allowed that no hold forbids")
        return
    since = f"{out.ago(view.at_ms)}" if view.at_ms is not None else ""
    out.line(styled(f"# {view.digest}, by {view.actor} {since}, {view.operation}", "dim"))
    out.line(view.text.rstrip("\n"))

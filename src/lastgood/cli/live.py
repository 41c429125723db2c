"""``lastgood live``."""

from typing import Annotated

import typer
from rich.text import Text

from lastgood.cli.output import Output, styled
from lastgood.cli.session import Session
from lastgood.cli.words import At, as_of_line, number
from lastgood.core.ids import parse_model_name
from lastgood.core.views import LiveView

__all__ = ["live"]

_STATE_STYLE = {"serving": "green", "loading": "cyan", "waiting": "cyan"}


def live(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="Only this model.", show_default=False)
    ] = None,
    at: At = None,
) -> None:
    """What is ordered, what each gateway was seen doing, and whether the two agree; now or at a moment."""
    session = Session.of(context)
    moment_asked = session.moment(at)
    with session.registry() as registry:
        views = registry.live(None if model is None else parse_model_name(model), at=moment_asked)
    if session.as_json:
        session.out.json({"live": views})
        return
    as_of_line(moment_asked, session.out)
    if not views:
        session.out.line("Nothing was live then" if at else "Nothing is live")
    for view in views:
        _show(view, session.out)


def _show(view: LiveView, out: Output) -> None:
    out.line(
        styled(f"{view.model}@{view.ref}", "bold"),
        "  ",
        styled(number(view.version), "bold cyan"),
        "  ",
        _agreement(view),
    )
    if view.operation is not None and view.since_ms is not None:
        reason = f": “{view.reason}”" if view.reason else ""
        out.indented(
            styled(
                f"ordered {out.ago(view.since_ms)} by {view.actor} ({view.operation}){reason}",
                "dim",
            )
        )
    if view.last_good is not None:
        out.indented(styled(f"a rollback would return to version {view.last_good}", "dim"))
    if view.observed:
        out.table(
            ["GATEWAY", "!STATE", ">VERSION", "SINCE", "SEEN", "!URL"],
            (
                (
                    f"{slot.gateway[:12]} on {slot.host}",
                    styled(slot.state, _STATE_STYLE.get(slot.state, "bold red")),
                    str(slot.version or "-"),
                    out.ago(slot.since_ms),
                    out.ago(slot.last_seen_ms),
                    slot.url,
                )
                for slot in view.observed
            ),
            indent=2,
        )
    for slot in view.observed:
        if slot.detail and not slot.agrees:
            out.indented(styled(f"{slot.gateway[:12]}: ", "yellow"), slot.detail)


def _agreement(view: LiveView) -> Text:
    if not view.observed:
        return styled("no gateway follows it", "yellow")
    count, behind = len(view.observed), sum(not slot.agrees for slot in view.observed)
    if behind and count == 1:
        return styled("the gateway does not serve it", "bold red")
    if behind:
        return styled(
            f"{behind} of {count} gateways {'does' if behind == 1 else 'do'} not serve it",
            "bold red",
        )
    return styled(
        "served by its gateway" if count == 1 else f"served by all {count} gateways", "green"
    )

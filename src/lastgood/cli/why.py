"""``lastgood why``."""

from typing import Annotated

import typer

from lastgood.cli.origin import gate_facts, origin_facts
from lastgood.cli.output import Output, moment, styled
from lastgood.cli.session import Session
from lastgood.cli.words import entry_block
from lastgood.core.views import WhyView

__all__ = ["why"]


def why(
    context: typer.Context,
    request_id: Annotated[
        str, typer.Argument(metavar="REQUEST_ID", help="The X-Lastgood-Request-Id of an answer.")
    ],
) -> None:
    """From one answered request to the version, to who ordered it and why, to where it came from."""
    session = Session.of(context)
    with session.registry() as registry:
        view = registry.why(request_id)
    if session.as_json:
        session.out.json(view)
        return
    _show(view, session.out)


def _show(view: WhyView, out: Output) -> None:
    receipt = view.receipt
    out.line("request ", styled(view.request_id, "bold"))
    out.facts(
        [
            (
                "answered",
                f"{moment(receipt.at_ms)} ({out.ago(receipt.at_ms)}) by gateway {view.gateway}",
            ),
            (
                "with",
                f"{receipt.status} in {receipt.latency_us / 1000:.1f} ms, {receipt.rows} row{'s' if receipt.rows != 1 else ''}",
            ),
            ("answer", receipt.output),
            ("version", styled(f"{receipt.model}/{receipt.version}", "bold cyan")),
            ("digest", receipt.digest),
            ("followed", f"{receipt.model}@{receipt.ref}"),
        ],
        indent=2,
    )
    if view.ordered_by is not None:
        out.line("")
        out.line("the version was live because of")
        entry_block(view.ordered_by, out)
        gate_facts(view.ordered_by, out)
    if view.registered_by is not None:
        out.line("")
        out.line("it came to be by")
        entry_block(view.registered_by, out)
    if view.version is not None:
        origin_facts(view.version, out)

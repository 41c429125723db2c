"""``lastgood list``."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from lastgood.cli.output import Output, bytes_of, styled
from lastgood.cli.session import Session
from lastgood.cli.words import At, as_of_line, marks_text, refs_text, short, until_text
from lastgood.core.ids import parse_model_name
from lastgood.core.views import ModelView, VersionView

__all__ = ["list_"]


def list_(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]", help="List the versions of this model.", show_default=False
        ),
    ] = None,
    at: At = None,
) -> None:
    """List the models, or the versions of one."""
    session = Session.of(context)
    asked = session.moment(at)
    if not session.as_json:
        as_of_line(asked, session.out)
    with session.registry() as registry:
        if model is None:
            _show_models(session, registry.models(at=asked))
        else:
            _show_versions(session, model, registry.versions(parse_model_name(model), at=asked))


def _show_models(session: Session, models: Sequence[ModelView]) -> None:
    out = session.out
    if session.as_json:
        out.json({"models": models})
        return
    if not models:
        out.line("No models yet")
        out.indented(
            "next: ", styled(session.repeat("lastgood register PATH --name MODEL"), "cyan")
        )
        return
    out.table(
        ["MODEL", ">VERSIONS", "REFS", "CHANGED"],
        (
            (
                styled(view.model, "bold"),
                str(view.versions),
                ", ".join(f"{ref}={version}" for ref, version in sorted(view.refs.items())) or "-",
                out.ago(view.changed_ms),
            )
            for view in models
        ),
    )


def _show_versions(session: Session, model: str, versions: Sequence[VersionView]) -> None:
    out = session.out
    if session.as_json:
        out.json({"model": model, "versions": versions})
        return
    if not versions:
        out.line(f"{model} has no versions")
        return
    out.table(
        [">VERSION", "REFS", "JUDGED", ">!SIZE", "REGISTERED", "!DIGEST"],
        (
            (
                styled(str(view.version), "bold"),
                refs_text(view.refs) or "-",
                _judged(view, out) or "-",
                bytes_of(view.size),
                f"{out.ago(view.registered_ms)} by {view.registered_by}",
                short(view.digest),
            )
            for view in versions
        ),
    )


def _judged(view: VersionView, out: Output) -> Text:
    held = [
        styled(f"on hold in {hold.environment}{until_text(hold.expires_ms, out)}", "yellow")
        for hold in view.holds
    ]
    return Text("\n").join([part for part in (marks_text(view.marks), *held) if part])

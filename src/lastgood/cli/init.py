"""``lastgood init``."""

from typing import Annotated

import typer

from lastgood.cli.output import styled
from lastgood.cli.session import Session

__all__ = ["init"]


def init(
    context: typer.Context,
    objects: Annotated[
        str,
        typer.Option(
            "--objects",
            metavar="URL",
            help="Keep the objects at s3://bucket/prefix, gs://…, az://… or file:///directory; config.toml remembers it.",
        ),
    ] = "",
    store: Annotated[
        str,
        typer.Option(
            "--store",
            metavar="URL",
            help="Keep everything else in postgresql://user@host/database; config.toml remembers it, without a password. Else LASTGOOD_STORE.",
        ),
    ] = "",
) -> None:
    """Make a data directory: database, objects and config.toml. Harmless if it exists."""
    from lastgood.engine.open import init_data_directory

    session = Session.of(context)
    made = init_data_directory(
        session.data, objects_url=objects, store_url=store or session.store_url
    )
    if session.as_json:
        session.out.json({"data": str(session.data.resolve()), "made": made})
        return
    session.out.line(
        f"{session.data} is {'ready' if made else 'a data directory already; nothing changed'}"
    )
    session.out.indented(
        "next: ", styled(session.repeat("lastgood register PATH --name MODEL"), "cyan")
    )

"""``lastgood diff``."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from lastgood.cli.output import Output, styled
from lastgood.cli.session import Session
from lastgood.cli.words import At, brief
from lastgood.core.views import DiffView

if TYPE_CHECKING:
    from lastgood.core.behaviour import Behaviour
    from lastgood.core.tables import TableMove

__all__ = ["diff", "show_differences"]

DIFFERENT = 1
COLUMN_DISTANCE_MIN = 0.01
"""Columns that moved less are counted, not listed: any two samples differ by that."""


def diff(
    context: typer.Context,
    *,
    a: Annotated[
        str, typer.Argument(metavar="A", help="A version, for example churn@production~1.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, for example churn@production.")],
    at: At = None,
    show_code: Annotated[
        bool,
        typer.Option("--code", help="Print what Git says of their code, from the repository here."),
    ] = False,
    rows: Annotated[
        bool,
        typer.Option(
            "--rows", help="Compare columns and values of CSV and Parquet data that changed."
        ),
    ] = False,
    ask: Annotated[
        bool,
        typer.Option(
            "--behaviour", help="Ask both for the input example of A and count changed answers."
        ),
    ] = False,
    given: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FILE", help="Ask for this instead: JSON request, CSV or Parquet."
        ),
    ] = None,
) -> int:
    """What differs between two versions: metrics, parameters, data, code, packages, files. Exit 1 if anything does.

    With --behaviour both models are loaded, each in a process of its own on this machine.
    """
    session = Session.of(context)
    code, asked, tables = b"", None, None
    with session.registry() as registry:
        view = registry.diff(a, b, at=session.moment(at))
        if rows:
            from lastgood.sdk.datasets import compare_data

            tables = compare_data(registry, a, b)
        if show_code or ask or given is not None:
            from lastgood.sdk import contrast

            code = contrast.code_diff(registry, a, b) if show_code else b""
            if ask or given is not None:
                asked = contrast.behaviour(registry, a, b, given=given)
    different = bool(view.differences or code or (asked and asked.changed))
    if session.as_json:
        more: dict[str, Any] = {"code": code.decode("utf-8", "replace")} if show_code else {}
        more |= {"behaviour": msgspec.to_builtins(asked)} if asked else {}
        more |= {"data": msgspec.to_builtins(tables[0]), "missing": tables[1]} if tables else {}
        session.out.json({**msgspec.to_builtins(view), **more})
        return DIFFERENT if different else 0
    if not different:
        session.out.line(f"{a} and {b} are the same")
    show_differences(view, session.out)
    if tables is not None:
        _show_tables(*tables, session.out)
    if asked is not None:
        _show_behaviour(asked, session.out)
    if code:
        session.out.line(code.decode("utf-8", "replace").rstrip())
    return DIFFERENT if different else 0


def _show_tables(moves: "tuple[TableMove, ...]", missing: tuple[str, ...], out: Output) -> None:
    for move in moves:
        counts = f": {move.rows_before:,} -> {move.rows_after:,} rows"
        out.line(styled(move.data, "bold"), counts)
        names = [*(f"+{name}" for name in move.added), *(f"-{name}" for name in move.removed)]
        out.facts([("columns", ", ".join(names))], indent=2)
        far = [c for c in move.columns if c.distance >= COLUMN_DISTANCE_MIN or "->" in c.kind]
        if far:
            out.table(
                ["COLUMN", "KIND", ">DISTANCE", ""],
                ((c.column, c.kind, f"{c.distance:.3f}", c.words) for c in far),
                indent=2,
            )
        if near := len(move.columns) - len(far):
            moved = f"{near} column{'s' if near != 1 else ''} moved by less than {COLUMN_DISTANCE_MIN:g}"
            out.indented(styled(moved, "dim"))
    for line in missing:
        out.line(styled("not compared: ", "yellow"), line)


def _show_behaviour(asked: "Behaviour", out: Output) -> None:
    out.line(styled("behaviour", "bold"))
    share = f" ({asked.share:.1%})" if asked.share is not None else ""
    out.facts(
        [
            ("changed", f"{asked.changed} of {asked.answers} answers{share}"),
            ("largest", "" if asked.largest is None else f"{asked.largest:g}"),
            ("first", asked.first),
        ],
        indent=2,
    )


def show_differences(view: DiffView, out: Output) -> None:
    """Print a table for each section in which something differs."""
    for section, differences in groupby(
        view.differences, key=lambda difference: difference.section
    ):
        out.line(styled(section, "bold"))
        out.table(
            ["", view.a, view.b, ""],
            (
                (
                    difference.name if difference.name != section else "",
                    styled(_value(difference.before), "red"),
                    styled(_value(difference.after), "green"),
                    difference.note,
                )
                for difference in differences
            ),
            indent=2,
        )


def _value(said: str | None) -> str:
    """One side of a difference; of a digest what tells it from others."""
    return "-" if said is None else brief(said) or '""'

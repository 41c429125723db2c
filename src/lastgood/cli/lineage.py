"""``lastgood lineage``."""

from typing import Annotated

import typer

from lastgood.cli.output import Output, styled
from lastgood.cli.session import Session
from lastgood.cli.words import At, as_of_line
from lastgood.core.views import LineageView
from lastgood.errors import InvalidInput

__all__ = ["lineage"]

_STYLE = {"version": "bold cyan", "ref": "bold green"}


def lineage(
    context: typer.Context,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="A version; with --down also data:DIGEST, commit:SHA or run:ID, or their beginnings.",
        ),
    ],
    *,
    up: Annotated[bool, typer.Option("--up", help="What it was made from.")] = False,
    down: Annotated[
        bool, typer.Option("--down", help="What was made from it, and where that is live.")
    ] = False,
    dot: Annotated[
        bool, typer.Option("--dot", help="Print a graph in the language of Graphviz.")
    ] = False,
    at: At = None,
) -> None:
    """What a version was made from; or what a dataset, a commit or a run went into, and where that is live."""
    session = Session.of(context)
    if up and down:
        raise InvalidInput("--up and --down are two questions", hint="give one of them")
    asked = session.moment(at)
    with session.registry() as registry:
        view = registry.lineage(subject, direction="down" if down else "up", at=asked)
    if session.as_json:
        session.out.json(view)
    elif dot:
        for line in dot_lines(view):
            session.out.line(line)
    else:
        as_of_line(asked, session.out)
        _show(view, session.out, when="now" if asked is None else "then")


def _show(view: LineageView, out: Output, *, when: str) -> None:
    nodes = {node.id: node for node in view.nodes}
    children: dict[str, list[str]] = {}
    for edge in view.edges:
        above, below = (
            (edge.source, edge.target) if view.direction == "down" else (edge.target, edge.source)
        )
        children.setdefault(above, []).append(below)
    waiting = [(view.root, 0)]
    while waiting:  # edges lead from ingredients to versions to refs: at most three levels
        name, depth = waiting.pop()
        node = nodes[name]
        out.line(
            "  " * depth,
            styled(name, _STYLE.get(node.kind, "bold")),
            styled(f"  {node.detail}" if node.detail else "", "dim"),
        )
        waiting += [(child, depth + 1) for child in reversed(children.get(name, []))]
    if view.direction == "down" and not any(node.kind == "ref" for node in view.nodes):
        out.indented(styled(f"live nowhere {when}", "dim"))
    elif len(nodes) == 1:
        out.indented(styled("nothing is known of its origin", "dim"))


def dot_lines(view: LineageView) -> list[str]:
    """The graph in the language of Graphviz."""
    shapes = {"version": "box", "ref": "house"}
    return [
        "digraph lineage {",
        "  rankdir=LR;",
        *(
            f"  {_quoted(n.id)} [shape={shapes.get(n.kind, 'ellipse')}, tooltip={_quoted(n.detail)}];"
            for n in view.nodes
        ),
        *(f"  {_quoted(e.source)} -> {_quoted(e.target)};" for e in view.edges),
        "}",
    ]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'

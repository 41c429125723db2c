"""Who put a version where it is, and what it was made from: blame and lineage."""

from lastgood.core.datasets import spellings
from lastgood.core.ids import Instant, ModelName, RefName, VersionNumber, printable
from lastgood.core.lineage import Ingredient, parse_ingredient
from lastgood.core.manifest import Manifest
from lastgood.core.references import ByRef, parse_reference
from lastgood.core.views import BlameView, LineageEdge, LineageNode, LineageView
from lastgood.engine.evidence import observed_slots
from lastgood.engine.history import log_entry
from lastgood.engine.resolve import Found, find, model_of, version_of
from lastgood.engine.settings import Settings
from lastgood.engine.show import version_view
from lastgood.errors import InvalidReference, NotFound
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["blame", "lineage_down", "lineage_up"]


def blame(connection: Connection, settings: Settings, reference: str, *, now: Instant) -> BlameView:
    """Who put there what is there now. The version comes without its manifest.

    Raises:
        InvalidReference: it names no place (``churn@production``). NotFound: nothing is there.
    """
    place = parse_reference(reference, now=now)
    if not isinstance(place, ByRef) or place.back or place.at is not None:
        raise InvalidReference(
            f"'{printable(reference)}' is no place",
            hint="a place is churn@production; for another time add --at",
        )
    model = model_of(connection, place.model)
    ref = rows.ref_of(connection, model.id, place.ref)
    if ref is None or ref.version is None:
        raise NotFound(f"{model.name}@{place.ref} points nowhere")
    version = version_of(connection, model, ref.version)
    operations = log.by_seqs(connection, [ref.seq, version.seq])
    move = rows.move_up_to(connection, model.id, place.ref, ref.seq)
    registered = operations.get(version.seq)
    return BlameView(
        model=model.name,
        ref=place.ref,
        version=version_view(connection, model, version, settings),
        ordered_by=log_entry(connection, operations[ref.seq]),
        registered_by=log_entry(connection, registered) if registered else None,
        before=move.before if move else None,
    )


class _Graph:
    """Nodes and edges, each once, in the order in which they were found."""

    def __init__(self) -> None:
        self.nodes: dict[str, LineageNode] = {}
        self.edges: dict[LineageEdge, None] = {}

    def add(self, node: LineageNode) -> str:
        self.nodes.setdefault(node.id, node)
        return node.id

    def link(self, source: str, target: str) -> None:
        self.edges[LineageEdge(source=source, target=target)] = None


def lineage_up(found: Found, manifest: Manifest | None) -> LineageView:
    """What a version was made from, as far as its manifest knows; without one, its run only."""
    graph = _Graph()
    root = graph.add(_version_node(found.model.name, found.version))
    made_of: list[LineageNode] = []
    if found.version.run_id:
        made_of.append(LineageNode(id=f"run:{found.version.run_id}", kind="run"))
    if manifest is not None:
        code = manifest.code
        if code.commit:
            patched = " with a patch" if code.patch else " from a dirty tree" if code.dirty else ""
            detail = f"{code.branch} {code.remote}".strip() + patched
            made_of.append(LineageNode(id=f"commit:{code.commit}", kind="commit", detail=detail))
        made_of += [
            LineageNode(
                id=f"data:{data.digest or data.name}",
                kind="data",
                detail=" ".join(part for part in (data.name, data.context, data.source) if part),
            )
            for data in manifest.data
        ]
    for node in made_of:
        graph.link(graph.add(node), root)
    return LineageView(
        root=root, direction="up", nodes=tuple(graph.nodes.values()), edges=tuple(graph.edges)
    )


def lineage_down(
    connection: Connection, subject: str, *, now: Instant, then: Instant
) -> LineageView:
    """Which versions contain something, and where they are live.

    Args:
        connection: A snapshot of the registry, as it is or as it was.
        subject: A version, or something that versions are made from.
        now: What times in the subject are counted from.
        then: The moment that the snapshot is of.

    Raises:
        InvalidReference, NotFound: as `find`; NotFound also if no version contains it.
    """
    ingredient = parse_ingredient(subject)
    graph = _Graph()
    if ingredient is None:
        found = find(connection, subject, now=now)
        root = _places(
            connection, graph, found.model.id, found.model.name, found.version, then=then
        )
    else:
        root = _made_from(connection, graph, ingredient, then)
    return LineageView(
        root=root, direction="down", nodes=tuple(graph.nodes.values()), edges=tuple(graph.edges)
    )


def _made_from(connection: Connection, graph: _Graph, ingredient: Ingredient, then: Instant) -> str:
    kind = ingredient.kind
    if kind == "run":
        runs = rows.versions_from_run(connection, ingredient.value)
        versions = [(ingredient.value, *one) for one in runs]
    else:
        begins = spellings(ingredient.value) if kind == "data" else (ingredient.value,)
        versions = [one for text in begins for one in rows.versions_from(connection, kind, text)]
    values = {value for value, _, _ in versions}
    if not versions:
        raise NotFound(
            f"No version was made from {kind} {printable(ingredient.value)}",
            hint="lastgood show MODEL/N prints what a version was made from",
        )
    if len(values) > 1:
        raise InvalidReference(
            f"{kind}:{printable(ingredient.value)} fits {len(values)} different ones",
            hint="give more digits",
        )
    root = graph.add(LineageNode(id=f"{kind}:{values.pop()}", kind=kind))
    for _, name, version in versions:
        graph.link(root, _places(connection, graph, version.model_id, name, version, then=then))
    return root


def _places(
    connection: Connection,
    graph: _Graph,
    model_id: int,
    name: ModelName,
    version: rows.VersionRow,
    *,
    then: Instant,
) -> str:
    """A version and the refs that point to it."""
    node = graph.add(_version_node(name, version))
    for ref in rows.refs_to(connection, model_id, version.version):
        serving = _serving(connection, model_id, ref.ref, version.version, then)
        detail = f"served by {serving} gateway{'s' if serving != 1 else ''}" if serving else ""
        graph.link(node, graph.add(LineageNode(id=f"{name}@{ref.ref}", kind="ref", detail=detail)))
    return node


def _serving(
    connection: Connection, model_id: int, ref: RefName, version: VersionNumber, then: Instant
) -> int:
    # Of a snapshot of the past nothing later is known: its moment is the newest there is.
    slots = observed_slots(connection, model_id, ref, ordered=version, at=then, past=False)
    return sum(slot.agrees for slot in slots)


def _version_node(name: ModelName, version: rows.VersionRow) -> LineageNode:
    detail = version.digest[:19] if version.digest else "external"
    return LineageNode(id=f"{name}/{version.version}", kind="version", detail=detail)

"""A version as an operation left it, told from the operation: nobody has to look again.

What is told here is what the projections make of the same changes.
"""

from dataclasses import replace
from typing import Any

from lastgood.core.changes import (
    DescriptionSet,
    RefMoved,
    StageChanged,
    TagSet,
    VersionRegistered,
)
from lastgood.core.operations import Operation
from lastgood.store.catalogue import VersionEntry
from lastgood.store.projections import version_values
from lastgood.store.registry import version_of_values

__all__ = ["as_changed", "as_registered"]


def as_registered(
    operation: Operation, change: VersionRegistered, *, model_id: int
) -> VersionEntry:
    """The version that the change of that operation made. No ref can name it yet."""
    row = version_of_values(version_values(model_id, change, operation))
    return VersionEntry(model=change.model, row=row, tags=dict(change.tags), aliases=())


def as_changed(entry: VersionEntry, operation: Operation) -> VersionEntry:
    """The version after the operation.

    Args:
        entry: As it was right before; the operation neither renamed nor deleted its model.
        operation: What changed it, its refs, or others of the same model.
    """
    number = entry.row.version
    tags, aliases = dict(entry.tags), set(entry.aliases)
    changed: dict[str, Any] = {}
    for change in operation.changes:
        if isinstance(change, RefMoved):
            aliases.discard(change.ref)
            if change.alias and change.after == number:
                aliases.add(change.ref)
        elif isinstance(change, StageChanged) and change.version == number:
            changed |= {"stage": change.after, "changed_ms": operation.at_ms}
        elif isinstance(change, DescriptionSet) and change.version == number:
            changed |= {"description": change.after, "changed_ms": operation.at_ms}
        elif isinstance(change, TagSet) and change.version == number:
            tags.pop(change.key, None)
            if change.after is not None:
                tags[change.key] = change.after
    row = replace(entry.row, **changed) if changed else entry.row
    return VersionEntry(model=entry.model, row=row, tags=tags, aliases=tuple(sorted(aliases)))

"""A decision: what a verb wants done, before the gates and the log have seen it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lastgood.core.changes import Change
from lastgood.core.ids import ModelName, OperationId, RefName
from lastgood.core.operations import OperationKind
from lastgood.store.catalogue import VersionEntry

__all__ = ["Decision"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a verb decided to do. Without changes nothing is recorded: the state is as wished already."""

    kind: OperationKind
    model: ModelName
    model_id: int | None = None
    """Of that model, which all changes are of; as it was looked up to decide, so that nobody has to look again."""
    changes: tuple[Change, ...]
    summary: str
    reason: str = ""
    restores: OperationId | None = None
    expect: Mapping[str, int] = field(default_factory=dict)
    unruled: RefName | None = None
    """The ref of that model that nothing rules, as was found in this transaction: the gates have nothing to say of it."""
    seen: VersionEntry | None = None
    """The version that it is about as it was, if the verb looked at all of it."""

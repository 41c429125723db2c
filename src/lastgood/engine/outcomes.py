"""From an operation to what the caller is told of it."""

from dataclasses import replace

from lastgood.core.changes import (
    ApprovalGiven,
    EvidenceRecorded,
    HoldPlaced,
    HoldReleased,
    MarkSet,
    RefMoved,
    VersionRegistered,
)
from lastgood.core.commands import Caller
from lastgood.core.ids import Digest, ModelName, VersionNumber
from lastgood.core.operations import Operation, OperationKind
from lastgood.core.views import Outcome, Plan
from lastgood.engine.kernel import Kernel, check_repeated
from lastgood.store import log

__all__ = ["known_outcome", "outcome_of", "subject_of"]


def known_outcome(
    kernel: Kernel, caller: Caller, kind: OperationKind, model: ModelName | None = None
) -> Outcome | None:
    """What this idempotency key did before, if it did: then nothing is decided anew.

    Raises:
        Conflict: the key did something else.
    """
    if not caller.idempotency_key:
        return None
    operation = kernel.database.read(lambda c: log.by_idempotency_key(c, caller.idempotency_key))
    if operation is None:
        return None
    check_repeated(operation, kind=kind, model=model)
    return replace(outcome_of(operation), already=True)


def outcome_of(
    operation: Operation, *, undo: str = "", notes: tuple[str, ...] = (), plan: Plan | None = None
) -> Outcome:
    """What an operation did. In `undo`, ``'...'`` becomes a reason that names the operation."""
    version, digest = subject_of(operation)
    return Outcome(
        operation=operation.id,
        seq=operation.seq,
        at_ms=operation.at_ms,
        model=operation.model,
        version=version,
        digest=digest if digest is not None or plan is None else plan.after_digest,
        summary=operation.summary,
        undo=undo.replace("'...'", f"'undo {operation.id}'"),
        notes=notes,
        plan=plan,
    )


def subject_of(operation: Operation) -> tuple[VersionNumber | None, Digest | None]:
    """The version that an operation is about."""
    for change in operation.changes:
        match change:
            case VersionRegistered(version=version, digest=digest):
                return version, digest
            case RefMoved(after=after):
                return after, None
            case (
                MarkSet(version=version)
                | EvidenceRecorded(version=version)
                | ApprovalGiven(version=version)
                | HoldPlaced(version=version)
                | HoldReleased(version=version)
            ):
                return version, None
            case _:
                continue
    return None, None

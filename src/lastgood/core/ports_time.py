"""The part of the registry's port that goes back in time."""

from typing import Protocol

from lastgood.core.commands import Caller, Restore, Revert, Undo, Yank
from lastgood.core.views import ModelPlan, Outcome

__all__ = ["TimeTravel"]


class TimeTravel(Protocol):
    """Taking back what was done. Nothing is erased: each is one more operation."""

    def plan_restore(self, command: Restore) -> ModelPlan:
        """What `restore` would do; changes nothing."""
        ...

    def restore(self, command: Restore, *, caller: Caller) -> Outcome:
        """Point all refs of a model where they pointed at a moment, as one operation.

        Raises:
            NotFound: no such model or operation, or a version that is needed was deleted since.
            Irreversible: the model did not exist at that moment.
            Held, Yanked, Unverified, Conflict, IntegrityFailure: as `Registry.promote`.
        """
        ...

    def plan_revert(self, command: Revert) -> ModelPlan:
        """What `revert` would do; changes nothing."""
        ...

    def revert(self, command: Revert, *, caller: Caller) -> Outcome:
        """Put everything that one operation changed back to what it was before, as one operation.

        Raises:
            Irreversible: something of it changed since, or it cannot be put back at all.
            NotFound: no such operation. InvalidReference: its beginning fits several.
            Held, Yanked, Unverified, Conflict, IntegrityFailure: as `Registry.promote`.
        """
        ...

    def plan_undo(self, command: Undo, *, caller: Caller) -> ModelPlan:
        """What `undo` would do for this caller; changes nothing."""
        ...

    def undo(self, command: Undo, *, caller: Caller) -> Outcome:
        """Revert the caller's last operation that moved a ref, or (`redo`) the caller's last undo.

        Raises:
            NotFound: there is nothing to undo or redo. Otherwise as `revert`.
        """
        ...

    def yank(self, command: Yank, *, caller: Caller) -> Outcome:
        """Withdraw a version: no ref is moved to it any more. Where it is live it stays until moved."""
        ...

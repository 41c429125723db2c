"""The part of the registry's port that goes back in time."""

from typing import Literal, Protocol

from lastgood.core.commands import Caller, Restore, Revert, Undo, Yank
from lastgood.core.moments import Moment
from lastgood.core.views import BlameView, LineageView, ModelPlan, Outcome

__all__ = ["TimeTravel", "Tracing"]


class Tracing(Protocol):
    """Explaining what is there."""

    def blame(self, reference: str, *, at: Moment | None = None) -> BlameView:
        """Who put there what is at a place such as ``churn@production``, and what is known of it.

        Raises:
            InvalidReference: the reference is no place. NotFound: nothing is there.
        """
        ...

    def lineage(
        self, subject: str, *, direction: Literal["up", "down"], at: Moment | None = None
    ) -> LineageView:
        """What a version was made from, or what was made from something and where that is live.

        Args:
            subject: A reference; down also ``data:DIGEST``, ``commit:SHA`` or ``run:ID``.
            direction: ``up`` or ``down``.
            at: What there was, and where it was live, at a moment; None: now.

        Raises:
            InvalidReference: it does not follow the grammar, or fits several. NotFound.
        """
        ...


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

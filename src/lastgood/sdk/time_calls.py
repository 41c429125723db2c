"""The client's part of `core.ports_time`."""

from typing import Literal

from lastgood.core.commands import Caller, Restore, Revert, Undo, Yank
from lastgood.core.moments import Moment
from lastgood.core.views import BlameView, LineageView, ModelPlan, Outcome
from lastgood.sdk.calls import Calls

__all__ = ["TimeCalls"]


class TimeCalls(Calls):
    """Taking back and explaining, over HTTP."""

    def blame(self, reference: str, *, at: Moment | None = None) -> BlameView:
        return self._get("blame", BlameView, reference=reference, at=at)

    def lineage(
        self, subject: str, *, direction: Literal["up", "down"], at: Moment | None = None
    ) -> LineageView:
        return self._get("lineage", LineageView, subject=subject, direction=direction, at=at)

    def plan_restore(self, command: Restore) -> ModelPlan:
        return self._ask("restore/plan", command, ModelPlan)

    def restore(self, command: Restore, *, caller: Caller) -> Outcome:
        return self._act("restore", command, caller)

    def plan_revert(self, command: Revert) -> ModelPlan:
        return self._ask("revert/plan", command, ModelPlan)

    def revert(self, command: Revert, *, caller: Caller) -> Outcome:
        return self._act("revert", command, caller)

    def plan_undo(self, command: Undo, *, caller: Caller) -> ModelPlan:
        return self._ask("undo/plan", command, ModelPlan, caller)

    def undo(self, command: Undo, *, caller: Caller) -> Outcome:
        return self._act("undo", command, caller)

    def yank(self, command: Yank, *, caller: Caller) -> Outcome:
        return self._act("yank", command, caller)

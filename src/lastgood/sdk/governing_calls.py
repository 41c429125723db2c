"""The governing verbs over HTTP: policies and gates."""

from lastgood.core.commands import (
    Approve,
    Caller,
    CheckGates,
    PauseEnvironment,
    PlaceHold,
    RegisterRun,
    ReleaseHold,
    SetPolicy,
)
from lastgood.core.moments import Moment
from lastgood.core.views import CheckView, Outcome, PolicyView
from lastgood.sdk.calls import Calls

__all__ = ["GoverningCalls"]


class GoverningCalls(Calls):
    """The client's part of `core.governing.Governing`."""

    def policy(self, *, at: Moment | None = None) -> PolicyView:
        return self._get("policy", PolicyView, at=at)

    def set_policy(self, command: SetPolicy, *, caller: Caller) -> Outcome:
        return self._act("policy", command, caller)

    def check(self, command: CheckGates, *, caller: Caller) -> CheckView:
        return self._ask("check", command, CheckView, caller)

    def approve(self, command: Approve, *, caller: Caller) -> Outcome:
        return self._act("approve", command, caller)

    def pause(self, command: PauseEnvironment, *, caller: Caller) -> Outcome:
        return self._act("pause", command, caller)

    def hold(self, command: PlaceHold, *, caller: Caller) -> Outcome:
        return self._act("hold", command, caller)

    def release(self, command: ReleaseHold, *, caller: Caller) -> Outcome:
        return self._act("release", command, caller)

    def register_run(self, command: RegisterRun, *, caller: Caller) -> Outcome:
        return self._act("register/run", command, caller)

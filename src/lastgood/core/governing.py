"""The verbs that govern what may be promoted: a part of `core.ports.Registry`."""

from typing import Protocol

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

__all__ = ["Governing"]


class Governing(Protocol):
    """Policies and gates."""

    def policy(self, *, at: Moment | None = None) -> PolicyView:
        """The policy in force, now or at a moment."""
        ...

    def set_policy(self, command: SetPolicy, *, caller: Caller) -> Outcome:
        """Put a policy in force.

        Raises:
            InvalidInput: it cannot be right; the message says what was probably meant.
            Blocked: the policy in force names others who may change it; the refusal is recorded.
            Refused: the caller could not change it again, and did not say that this is meant.
        """
        ...

    def check(self, command: CheckGates, *, caller: Caller) -> CheckView:
        """What the gates say of a version for that caller; changes nothing. Raises NotFound, InvalidReference."""
        ...

    def approve(self, command: Approve, *, caller: Caller) -> Outcome:
        """Say yes or no to a version for an environment; of each person the last word counts.

        Raises:
            Refused: four eyes are required and the caller registered the version. NotFound, Unverified.
        """
        ...

    def pause(self, command: PauseEnvironment, *, caller: Caller) -> Outcome:
        """Take no promotions in an environment, or take them again; rollbacks stay possible. Raises NotFound."""
        ...

    def hold(self, command: PlaceHold, *, caller: Caller) -> Outcome:
        """Keep a version, and if asked its data, out of an environment.

        Raises:
            NotFound. Conflict: it is held there already. InvalidInput: no data is known of it.
        """
        ...

    def release(self, command: ReleaseHold, *, caller: Caller) -> Outcome:
        """End a hold. Raises NotFound, also if there is none."""
        ...

    def register_run(self, command: RegisterRun, *, caller: Caller) -> Outcome:
        """Make a version of what a run logged; the same bytes again are the same version.

        Raises:
            NotFound: no such run, or nothing is at that path. InvalidInput: not of the form ``runs:/…``.
        """
        ...

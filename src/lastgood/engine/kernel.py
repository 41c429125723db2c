"""The kernel: the one door through which the registry changes.

A verb is a function that looks at the state and decides. The kernel runs it inside the write
transaction, so that nothing can happen between the look and the act, and appends what it decided.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from lastgood.cas.port import ObjectStore
from lastgood.core.commands import REASON_LENGTH_MAX, Caller
from lastgood.core.ids import ModelName, printable
from lastgood.core.operations import Act, Operation, OperationKind
from lastgood.engine.bell import Bell
from lastgood.engine.decision import Decision
from lastgood.engine.gatekeeper import Gatekeeper, blocked_by
from lastgood.engine.settings import Settings
from lastgood.errors import Blocked, Conflict, TooLarge
from lastgood.store import log
from lastgood.store.clock import Clock
from lastgood.store.database import Connection, Database
from lastgood.store.head import Head

__all__ = ["Decision", "Kernel", "Recorded", "check_repeated"]

T = TypeVar("T")
ACTOR_NAME_LENGTH_MAX = 256
GATED = frozenset({"promote", "rollback", "restore", "revert", "undo", "redo"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What became of a decision; `operation` is None if there was nothing to do."""

    operation: Operation | None
    decision: Decision | None
    """None: the idempotency key had made this operation before; nothing was done now."""

    @property
    def repeated(self) -> bool:
        """Whether the idempotency key had made this operation before."""
        return self.decision is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What every verb works with."""

    database: Database
    objects: ObjectStore
    clock: Clock
    settings: Settings
    bell: Bell
    head: Head
    """The newest operation, whichever process committed it."""
    gates: Gatekeeper
    """Asked before any ref moves, whichever verb moves it."""

    def act(self, caller: Caller, decide: Callable[[Connection], Decision]) -> "Future[Recorded]":
        """Decide and record as one act. The future is done when the operation is durable.

        Raises (through the future):
            Blocked: the policy does not let it happen; that refusal is recorded.
            Conflict: a stream moved on, or the idempotency key belongs to another act.
            Whatever `decide` raises; then nothing is recorded.
        """
        return self.act_and_look(caller, decide, lambda _, recorded: recorded)

    def act_and_look(
        self,
        caller: Caller,
        decide: Callable[[Connection], Decision],
        look: Callable[[Connection, Recorded], T],
    ) -> "Future[T]":
        """As `act`, and tell what `look` finds in the same transaction: the state as the act leaves it."""
        check_caller(caller)

        def unit(tx: Connection) -> tuple[Operation | None, T | Blocked]:
            recorded = self._record(tx, caller, decide)
            operation = recorded.operation
            if operation is not None and operation.kind == "refuse":
                return operation, blocked_by(operation)
            return operation, look(tx, recorded)

        def tell(done: tuple[Operation | None, T | Blocked]) -> T:
            operation, found = done
            if operation is not None:
                self.bell.ring(operation.seq)
            if isinstance(found, Blocked):  # it is recorded, and must not pass for the act
                raise found
            return found

        return self.database.write_and_tell(unit, tell)

    def _record(
        self, tx: Connection, caller: Caller, decide: Callable[[Connection], Decision]
    ) -> Recorded:
        if caller.idempotency_key and (known := log.by_idempotency_key(tx, caller.idempotency_key)):
            return Recorded(operation=known, decision=None)
        decision = self.gates.gated(tx, decide(tx), caller)
        if not decision.changes:
            return Recorded(operation=None, decision=decision)
        operation = log.append(
            tx,
            _act(decision, caller),
            now=self.clock(),
            expect=decision.expect,
            model_id=decision.model_id,
        )
        return Recorded(operation=operation, decision=decision)


def check_repeated(
    operation: Operation, *, kind: OperationKind, model: ModelName | None = None
) -> None:
    """Refuse a key that was used for something else.

    Raises:
        Blocked: the key made a refusal: asked again, the act is refused again.
        Conflict: the operation that the key made is of another kind, or of another model if one is given.
    """
    if operation.kind == "refuse" and kind in GATED:
        raise blocked_by(operation)
    if operation.kind != kind or model not in {None, operation.model}:
        raise Conflict(
            f"The idempotency key belongs to {operation.id} ({operation.kind} of {operation.model}), not to this act",
            hint="use a new key for each act",
        )


def check_caller(caller: Caller) -> None:
    """Bound what a client says about itself.

    Raises:
        TooLarge: the actor's name is longer than 256 characters.
    """
    if len(caller.actor.name) > ACTOR_NAME_LENGTH_MAX:
        raise TooLarge(
            f"An actor's name may have {ACTOR_NAME_LENGTH_MAX} characters: {printable(caller.actor.name)}"
        )


def _act(decision: Decision, caller: Caller) -> Act:
    if len(decision.reason) > REASON_LENGTH_MAX:
        raise TooLarge(
            f"A reason may have {REASON_LENGTH_MAX:,} characters; this one has {len(decision.reason):,}"
        )
    return Act(
        kind=decision.kind,
        model=decision.model,
        actor=caller.actor,
        origin=caller.origin,
        reason=decision.reason,
        summary=decision.summary,
        changes=decision.changes,
        restores=decision.restores,
        idempotency_key=caller.idempotency_key,
    )

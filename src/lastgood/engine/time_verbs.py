"""The verbs that take back: restore, revert, undo, redo, yank."""

from collections.abc import Callable
from dataclasses import replace
from shlex import quote

from lastgood.core.changes import MarkSet
from lastgood.core.commands import Caller, Restore, Revert, Undo, Yank
from lastgood.core.ids import Instant, parse_ref_name
from lastgood.core.operations import OperationKind, stream_of
from lastgood.core.references import ANY_ENVIRONMENT
from lastgood.core.views import ModelPlan, Outcome
from lastgood.engine.kernel import Decision, Kernel
from lastgood.engine.outcomes import known_outcome, outcome_of
from lastgood.engine.preflight import read_manifest, verify_files
from lastgood.engine.resolve import Found, find
from lastgood.engine.undo import PlannedMoves, plan_restore, plan_revert, plan_undo
from lastgood.errors import Conflict
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["TimeVerbs"]


class TimeVerbs:
    """The part of the registry in process that takes back what was done."""

    _kernel: Kernel

    def plan_restore(self, command: Restore) -> ModelPlan:
        return self._kernel.database.read(
            lambda c: plan_restore(c, command, now=self._kernel.clock())
        ).plan

    def restore(self, command: Restore, *, caller: Caller) -> Outcome:
        return self._take_back(
            "restore",
            lambda c: plan_restore(c, command, now=self._kernel.clock()),
            command=command,
            caller=caller,
        )

    def plan_revert(self, command: Revert) -> ModelPlan:
        return self._kernel.database.read(
            lambda c: plan_revert(c, command, now=self._kernel.clock())
        ).plan

    def revert(self, command: Revert, *, caller: Caller) -> Outcome:
        return self._take_back(
            "revert",
            lambda c: plan_revert(c, command, now=self._kernel.clock()),
            command=command,
            caller=caller,
        )

    def plan_undo(self, command: Undo, *, caller: Caller) -> ModelPlan:
        return self._kernel.database.read(
            lambda c: plan_undo(c, command, caller=caller, now=self._kernel.clock())
        ).plan

    def undo(self, command: Undo, *, caller: Caller) -> Outcome:
        return self._take_back(
            "redo" if command.redo else "undo",
            lambda c: plan_undo(c, command, caller=caller, now=self._kernel.clock()),
            command=command,
            caller=caller,
        )

    def _take_back(
        self,
        kind: OperationKind,
        plan: Callable[[Connection], PlannedMoves],
        *,
        command: Restore | Revert | Undo,
        caller: Caller,
    ) -> Outcome:
        if (known := known_outcome(self._kernel, caller, kind)) is not None:
            return known
        planned = self._kernel.database.read(plan)
        for number, digest in planned.targets:
            manifest = read_manifest(self._kernel.objects, digest)
            verify_files(
                self._kernel.objects, manifest.files, subject=f"{planned.plan.model}/{number}"
            )

        def decide(tx: Connection) -> Decision:
            now = plan(tx)
            if now.changes != planned.changes:
                raise Conflict(
                    f"{planned.plan.model} changed while its bytes were verified", hint="try again"
                )
            return _decision(now, command)

        recorded = self._kernel.act(caller, decide).result()
        if recorded.operation is None:
            return self._nothing(planned.plan)
        done = outcome_of(recorded.operation)
        return replace(done, undo=_undo_of(kind, done))

    def _nothing(self, plan: ModelPlan) -> Outcome:
        return Outcome(
            operation=None,
            seq=plan.head,
            at_ms=self._kernel.clock(),
            model=plan.model,
            version=None,
            digest=None,
            summary=f"the refs of {plan.model} are so already; nothing changed",
            already=True,
        )

    def yank(self, command: Yank, *, caller: Caller) -> Outcome:
        if command.environment is not None:
            parse_ref_name(command.environment)
        if (known := known_outcome(self._kernel, caller, "yank")) is not None:
            return known
        found = self._kernel.database.read(
            lambda c: find(c, command.reference, now=Instant(self._kernel.clock()))
        )
        recorded = self._kernel.act(caller, lambda tx: _yank(tx, found, command)).result()
        name = f"{found.model.name}/{found.version.version}"
        if recorded.operation is None:
            return Outcome(
                operation=None,
                seq=found.version.seq,
                at_ms=self._kernel.clock(),
                model=found.model.name,
                version=found.version.version,
                digest=found.version.digest,
                summary=f"{name} was yanked already; nothing changed",
                already=True,
            )
        done = outcome_of(recorded.operation)
        live = self._kernel.database.read(
            lambda c: rows.refs_to(c, found.model.id, found.version.version)
        )
        return replace(
            done,
            digest=found.version.digest,
            undo=_undo_of("yank", done),
            notes=tuple(
                f"{found.model.name}@{ref.ref} still points to it: "
                f"lastgood rollback {quote(found.model.name)} --env {ref.ref}"
                for ref in live
            ),
        )


def _decision(planned: PlannedMoves, command: Restore | Revert | Undo) -> Decision:
    plan = planned.plan
    expect = {stream_of(plan.model): command.expect_head} if command.expect_head is not None else {}
    verb = {"restore": "as of", "revert": "takes back", "undo": "takes back", "redo": "takes back"}
    effects = "; ".join(plan.effects)
    return Decision(
        kind=planned.kind,
        model=plan.model,
        changes=planned.changes,
        summary=f"{plan.model}, {verb[planned.kind]} {plan.operation}: {effects}",
        reason=command.reason,
        restores=plan.operation,
        expect=expect,
    )


def _undo_of(kind: OperationKind, done: Outcome) -> str:
    match kind:
        case "undo":
            return f"lastgood redo {quote(done.model)}"
        case "redo":
            return f"lastgood undo {quote(done.model)}"
        case _:
            return f"lastgood revert {done.operation}"


def _yank(tx: Connection, found: Found, command: Yank) -> Decision:
    name, number = found.model.name, found.version.version
    where = command.environment or ANY_ENVIRONMENT
    marks = {
        m.environment: m.value for m in rows.marks_of(tx, found.model.id) if m.version == number
    }
    before = marks.get(where, "none")
    change = MarkSet(
        model=name,
        version=number,
        environment=where,
        before=before,  # type: ignore[arg-type]  # the table holds no others
        after="yanked",
    )
    scope = f" in {where}" if command.environment is not None else ""
    return Decision(
        kind="yank",
        model=name,
        changes=(change,) if before != "yanked" else (),
        summary=f"{name}/{number} yanked{scope}",
        reason=command.reason,
    )

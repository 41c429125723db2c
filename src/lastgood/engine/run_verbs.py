"""Registering what a run logged, without a client of MLflow."""

from lastgood.core.commands import Caller, RegisterRun
from lastgood.core.ids import parse_model_name
from lastgood.core.views import Outcome
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.catalogue_acts import create_model
from lastgood.engine.decision import Decision
from lastgood.engine.kernel import Kernel, check_repeated
from lastgood.engine.outcomes import outcome_of
from lastgood.engine.register_source import (
    NewVersion,
    PreparedVersion,
    decide_version,
    prepare_version,
)
from lastgood.engine.resolve import model_of
from lastgood.engine.sources import SourceClaim
from lastgood.errors import InvalidInput
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["RunVerbs"]

SCHEME = "runs:/"


class RunVerbs:
    """The part of the registry in process that registers from runs."""

    _kernel: Kernel

    def register_run(self, command: RegisterRun, *, caller: Caller) -> Outcome:
        name = parse_model_name(command.model)
        if not command.source.startswith(SCHEME):
            raise InvalidInput(
                "Only what a run logged can be registered so", hint="write runs:/<run id>/model"
            )
        self._make_model(command, caller)
        prepared = prepare_version(
            self._kernel,
            Artifacts(self._kernel),
            NewVersion(model=name, claim=SourceClaim(source=command.source), tags=command.tags),
            program=caller.origin.program,
        )
        if prepared.digest is None:
            raise InvalidInput(
                f"{command.source} has no files here", hint="log the model to this server first"
            )

        def decide(tx: Connection) -> Decision:
            decision = decide_version(tx, prepared, user=caller.actor.name)
            known = self._known(tx, prepared)
            return Decision(
                kind=decision.kind,
                model=decision.model,
                changes=() if known else decision.changes,
                summary=decision.summary,
                reason=command.reason,
            )

        operation = self._kernel.act(caller, decide).result().operation
        if operation is None:
            return self._known_outcome(prepared)
        check_repeated(operation, kind="register", model=name)
        return outcome_of(operation)

    def _make_model(self, command: RegisterRun, caller: Caller) -> None:
        if self._kernel.database.read(lambda c: rows.model_named(c, command.model)) is not None:
            return
        nameless = Caller(actor=caller.actor, origin=caller.origin)

        def decide(tx: Connection) -> Decision:
            if rows.model_named(tx, command.model) is not None:
                return Decision(kind="create_model", model=command.model, changes=(), summary="")
            return create_model(tx, command.model, description="", tags={})

        self._kernel.act(nameless, decide).result()

    def _known(self, connection: Connection, prepared: PreparedVersion) -> rows.VersionRow | None:
        model = model_of(connection, prepared.new.model)
        assert prepared.digest is not None
        return next(iter(rows.versions_by_digest(connection, model.id, prepared.digest)), None)

    def _known_outcome(self, prepared: PreparedVersion) -> Outcome:
        row = self._kernel.database.read(lambda c: self._known(c, prepared))
        assert row is not None
        name = parse_model_name(prepared.new.model)
        return Outcome(
            operation=None,
            seq=row.seq,
            at_ms=row.created_ms,
            model=name,
            version=row.version,
            digest=row.digest,
            summary=f"the same bytes are {name}/{row.version} already; nothing was registered",
            already=True,
        )

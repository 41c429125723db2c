"""The registry in process: every verb of `core.ports.Registry` over a data directory."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from shlex import quote
from typing import BinaryIO, TypeVar

from lastgood.core.changes import Change, MarkSet, VersionRegistered
from lastgood.core.commands import (
    Caller,
    MarkVersion,
    Promote,
    RecordEvidence,
    Register,
    Rollback,
)
from lastgood.core.evidence import Evidence, check_evidence
from lastgood.core.ids import (
    Digest,
    Instant,
    ModelName,
    RefName,
    parse_digest,
    parse_ref_name,
)
from lastgood.core.manifest import Manifest
from lastgood.core.moments import Moment
from lastgood.core.observations import DETAIL_LENGTH_MAX, REPORT_ITEMS_MAX, GatewayReport
from lastgood.core.operations import OperationKind, stream_of
from lastgood.core.parts import part_moves
from lastgood.core.views import (
    DiffView,
    FsckReport,
    LiveView,
    LogEntry,
    ModelView,
    Outcome,
    Plan,
    Target,
    VersionView,
    WhyView,
)
from lastgood.engine import history
from lastgood.engine.diff import differences
from lastgood.engine.findings import decide_evidence, verify_named
from lastgood.engine.fsck import fsck
from lastgood.engine.gatekeeper import Judgement
from lastgood.engine.governing_verbs import GoverningVerbs
from lastgood.engine.kernel import Decision, Kernel
from lastgood.engine.outcomes import known_outcome, outcome_of, subject_of
from lastgood.engine.past import model_meant, point_at, read_models_at, read_past
from lastgood.engine.preflight import read_manifest, verify_files
from lastgood.engine.promote import Planned, plan_promote, plan_rollback, summary_of
from lastgood.engine.register import check_registration, decide_register
from lastgood.engine.resolve import Found, find, model_of, version_of
from lastgood.engine.show import model_views, version_view, version_views, with_words
from lastgood.engine.time_verbs import TimeVerbs
from lastgood.engine.tracing_verbs import TracingVerbs
from lastgood.errors import (
    Conflict,
    IntegrityFailure,
    InvalidInput,
    NotFound,
    TooLarge,
    Unverified,
)
from lastgood.store import log, observations
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["LocalRegistry"]

T = TypeVar("T")
WAIT_S_MAX = 60.0
DIGESTS_MAX = 100_000


class LocalRegistry(TracingVerbs, TimeVerbs, GoverningVerbs):
    """`core.ports.Registry` over a kernel. Safe to use from several threads."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    # --- models and versions ----------------------------------------------------------------------

    def models(self, *, at: Moment | None = None) -> Sequence[ModelView]:
        if at is None:
            return self._read(model_views)
        return self._read(lambda c: read_models_at(c, at, model_views))

    def versions(self, model: ModelName, *, at: Moment | None = None) -> Sequence[VersionView]:
        return self._read(
            lambda c: read_past(
                c, at, model, lambda p: version_views(p, model_of(p, model), self._kernel.settings)
            )
        )

    def show(self, reference: str, *, at: Moment | None = None) -> VersionView:
        def query(connection: Connection) -> VersionView:
            then = self._now() if at is None else point_at(connection, at).at_ms
            return self._past(connection, at, reference, lambda c: shown(c, then))

        def shown(connection: Connection, then: Instant) -> VersionView:
            found = find(connection, reference, now=self._now())
            view = version_view(connection, found.model, found.version, self._kernel.settings)
            return with_words(connection, found.model, found.version, view, now=then)

        return self._with_manifest(self._read(query))

    def manifest(self, digest: Digest) -> Manifest:
        return read_manifest(self._kernel.objects, parse_digest(digest))

    def diff(self, a: str, b: str, *, at: Moment | None = None) -> DiffView:
        left, right = self._manifest_of(a, at), self._manifest_of(b, at)
        return DiffView(a=a, b=b, differences=differences(left, right))

    def _manifest_of(self, reference: str, at: Moment | None) -> Manifest:
        found = self._find(reference, at=at)
        if found.version.digest is None:
            raise Unverified(
                f"{reference} is external: its bytes are not here, so it cannot be compared"
            )
        return self.manifest(found.version.digest)

    # --- objects ----------------------------------------------------------------------------------

    def missing_objects(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        if len(digests) > DIGESTS_MAX:
            raise TooLarge(f"At most {DIGESTS_MAX:,} digests at a time; these are {len(digests):,}")
        return [digest for digest in digests if not self._kernel.objects.has(parse_digest(digest))]

    def put_object(self, stream: BinaryIO, *, digest: Digest) -> None:
        self._kernel.objects.put(stream, expect=parse_digest(digest))

    def read_object(self, digest: Digest) -> Iterator[bytes]:
        return self._kernel.objects.read(parse_digest(digest))

    # --- register ---------------------------------------------------------------------------------

    def register(self, command: Register, *, caller: Caller) -> Outcome:
        if (known := known_outcome(self._kernel, caller, "register", command.model)) is not None:
            return known
        check_registration(command)
        body = command.manifest.encode()
        verify_files(self._kernel.objects, command.manifest.files, subject=command.model)
        verify_named(
            self._kernel.objects, [*command.manifest.kept(), *_objects_of(command.evidence)]
        )
        # The manifest is durable before the operation that names it.
        digest = self._kernel.objects.put_bytes(body)
        recorded = self._kernel.act(
            caller, lambda tx: decide_register(tx, command, digest, user=caller.actor.name)
        ).result()
        if recorded.operation is None:
            return self._registered_before(command.model, digest)
        if not any(isinstance(c, VersionRegistered) for c in recorded.operation.changes):
            return replace(outcome_of(recorded.operation), digest=digest, already=True)
        number, _ = subject_of(recorded.operation)
        return outcome_of(
            recorded.operation,
            undo=f"lastgood yank {quote(f'{command.model}/{number}')} --reason '...'",
        )

    def _registered_before(self, model: ModelName, digest: Digest) -> Outcome:
        def query(connection: Connection) -> Outcome:
            row = model_of(connection, model)
            version = rows.versions_by_digest(connection, row.id, digest)[0]
            return Outcome(
                operation=None,
                seq=version.seq,
                at_ms=version.created_ms,
                model=row.name,
                version=version.version,
                digest=digest,
                summary=f"the same bytes are {model}/{version.version} already; nothing was registered",
                already=True,
            )

        return self._read(query)

    # --- promote and roll back ----------------------------------------------------------------------

    def plan_promote(self, command: Promote, *, caller: Caller) -> Plan:
        parse_ref_name(command.to)

        def query(connection: Connection) -> Plan:
            plan = plan_promote(connection, command, now=self._now()).plan
            judgement = self._judged(plan, caller, connection)
            if judgement is None:
                return plan
            return replace(
                plan,
                allowed=not judgement.blocking,
                verdicts=judgement.verdicts,
                blocking=tuple(verdict.gate for verdict in judgement.blocking),
            )

        return self._read(query)

    def promote(self, command: Promote, *, caller: Caller) -> Outcome:
        parse_ref_name(command.to)
        if (known := known_outcome(self._kernel, caller, "promote")) is not None:
            return known
        planned = self._read(lambda c: plan_promote(c, command, now=self._now()))
        # Bytes are hashed only for what the gates let in; a refusal costs little.
        if verified := self._read(lambda c: self._is_let_in(planned.plan, caller, c)):
            self._preflight(planned)
        return self._carry_out(
            "promote",
            planned,
            lambda tx: plan_promote(tx, command, now=self._now()),
            caller=caller,
            reason=command.reason,
            expect_head=command.expect_head,
            verified=verified,
        )

    def _is_let_in(self, plan: Plan, caller: Caller, connection: Connection) -> bool:
        """Whether the gates let it in; asked again, as a part of the act, when it counts."""
        judgement = self._judged(plan, caller, connection)
        return judgement is None or not judgement.blocking

    def _judged(self, plan: Plan, caller: Caller, connection: Connection) -> Judgement | None:
        """What the gates say; None if nothing would move, or nothing rules the environment."""
        if plan.already or plan.after is None:
            return None
        model = model_of(connection, plan.model)
        return self._kernel.gates.judge(
            connection,
            model,
            version_of(connection, model, plan.after),
            plan.environment,
            actor=caller.actor.name,
            now=self._now(),
        )

    def plan_rollback(self, command: Rollback) -> Plan:
        parse_ref_name(command.environment)
        plan = self._plan_rollback(command).plan
        manifests = (self._manifest_if_whole(d) for d in (plan.before_digest, plan.after_digest))
        return replace(plan, parts=part_moves(*manifests))

    def _manifest_if_whole(self, digest: Digest | None) -> Manifest | None:
        if digest is None:
            return None
        try:
            return self.manifest(digest)
        except (IntegrityFailure, NotFound):  # rolling back away from damage must stay possible
            return None

    def rollback(self, command: Rollback, *, caller: Caller) -> Outcome:
        parse_ref_name(command.environment)
        if (known := known_outcome(self._kernel, caller, "rollback", command.model)) is not None:
            return known
        planned = self._plan_rollback(command)
        try:
            self._preflight(planned)
        except IntegrityFailure as error:
            raise self._with_next_choice(error, command, planned) from error
        return self._carry_out(
            "rollback",
            planned,
            lambda tx: plan_rollback(tx, command, self._kernel.settings, now=self._now()),
            caller=caller,
            reason=command.reason,
            expect_head=command.expect_head,
        )

    def _plan_rollback(self, command: Rollback) -> Planned:
        return self._read(
            lambda c: plan_rollback(c, command, self._kernel.settings, now=self._now())
        )

    def _preflight(self, planned: Planned) -> None:
        if planned.target_digest is not None:
            subject = f"{planned.plan.model}/{planned.plan.after}"
            verify_files(
                self._kernel.objects, self.manifest(planned.target_digest).files, subject=subject
            )

    def _with_next_choice(
        self, error: IntegrityFailure, command: Rollback, planned: Planned
    ) -> IntegrityFailure:
        """The same refusal, naming the next older good version if there is one."""
        target = planned.plan.after
        if command.to is not None or target is None:
            return error
        damaged = {target: "its bytes are damaged"}
        found = self._read(
            lambda c: plan_rollback(
                c, command, self._kernel.settings, now=self._now(), damaged=damaged
            )
        )
        return IntegrityFailure(
            error.message,
            hint=f"{error.hint}; or: lastgood rollback {quote(command.model)} --to {quote(f'{command.model}/{found.plan.after}')}",
        )

    def _carry_out(
        self,
        kind: OperationKind,
        planned: Planned,
        replan: Callable[[Connection], Planned],
        *,
        caller: Caller,
        reason: str,
        expect_head: int | None,
        verified: bool = True,
    ) -> Outcome:
        """Decide again inside the write transaction: what was checked must be what is done."""
        plan = planned.plan
        expect = {stream_of(plan.model): expect_head} if expect_head is not None else {}

        def decide(tx: Connection) -> Decision:
            now = replan(tx)
            if now.plan.after != plan.after:
                raise Conflict(
                    f"{plan.model} changed while its bytes were verified: the version is {now.plan.after} now, not {plan.after}",
                    hint="try again",
                )
            if not verified and self._is_let_in(plan, caller, tx):
                raise Conflict(f"{plan.model} changed while its gates were asked", hint="try again")
            return Decision(
                kind=kind,
                model=plan.model,
                changes=now.changes,
                summary=summary_of(plan.model, plan.environment, now.plan),
                reason=reason,
                restores=now.restores,
                expect=expect,
            )

        recorded = self._kernel.act(caller, decide).result()
        if recorded.operation is None:
            return self._already(plan)
        return outcome_of(recorded.operation, undo=plan.undo, notes=planned.notes, plan=plan)

    def _already(self, plan: Plan) -> Outcome:
        where = f"{plan.model}@{plan.environment}"
        return Outcome(
            operation=None,
            seq=plan.head,
            at_ms=self._now(),
            model=plan.model,
            version=plan.after,
            digest=plan.after_digest,
            summary=f"{where} is version {plan.after} already; nothing changed"
            if plan.after is not None
            else f"{where} points nowhere already; nothing changed",
            already=True,
            plan=plan,
        )

    # --- mark -------------------------------------------------------------------------------------

    def mark(self, command: MarkVersion, *, caller: Caller) -> Outcome:
        parse_ref_name(command.environment)
        if (known := known_outcome(self._kernel, caller, "mark")) is not None:
            return known
        found = self._find(command.reference)
        name, number = found.model.name, found.version.version

        def decide(tx: Connection) -> Decision:
            before = _mark_before(tx, found, command.environment)
            change: Change = MarkSet(
                model=name,
                version=number,
                environment=command.environment,
                before=before,  # type: ignore[arg-type]  # the table holds no others
                after=command.value,
            )
            return Decision(
                kind="mark",
                model=name,
                changes=(change,) if before != command.value else (),
                summary=f"{name}/{number} in {command.environment}: {before} -> {command.value}",
                reason=command.reason,
            )

        recorded = self._kernel.act(caller, decide).result()
        if recorded.operation is None:
            return Outcome(
                operation=None,
                seq=found.version.seq,
                at_ms=self._now(),
                model=name,
                version=number,
                digest=found.version.digest,
                summary=f"{name}/{number} is marked {command.value} in {command.environment} already",
                already=True,
            )
        before = next(c.before for c in recorded.operation.changes if isinstance(c, MarkSet))
        undo = f"lastgood mark {before} {quote(f'{name}/{number}')} --env {command.environment} --reason '...'"
        return replace(outcome_of(recorded.operation, undo=undo), digest=found.version.digest)

    def record_evidence(self, command: RecordEvidence, *, caller: Caller) -> Outcome:
        if (known := known_outcome(self._kernel, caller, "record_evidence")) is not None:
            return known
        check_evidence(command.evidence)
        if not command.evidence:
            raise InvalidInput("There is no evidence to record")
        verify_named(self._kernel.objects, _objects_of(command.evidence))
        found = self._find(command.reference)
        recorded = self._kernel.act(caller, lambda tx: decide_evidence(tx, command, found)).result()
        assert recorded.operation is not None  # it always has changes
        return replace(outcome_of(recorded.operation), digest=found.version.digest)

    # --- history ----------------------------------------------------------------------------------

    def log(
        self,
        *,
        model: ModelName | None = None,
        environment: RefName | None = None,
        limit: int = 50,
        before_seq: int | None = None,
        at: Moment | None = None,
    ) -> Sequence[LogEntry]:
        return self._read(
            lambda c: history.log_entries(
                c, model=model, environment=environment, limit=limit, before_seq=before_seq, at=at
            )
        )

    def live(
        self, model: ModelName | None = None, *, at: Moment | None = None
    ) -> Sequence[LiveView]:
        return self._read(
            lambda c: history.live(c, self._kernel.settings, model=model, at=at, now=self._now())
        )

    def why(self, request_id: str) -> WhyView:
        view = self._read(lambda c: history.why(c, self._kernel.settings, request_id))
        if view.version is None:
            return view
        return replace(view, version=self._with_manifest(view.version))

    def fsck(self) -> FsckReport:
        return fsck(self._kernel)

    # --- the feed of gateways -----------------------------------------------------------------------

    def target(
        self, model: ModelName, ref: RefName, *, after_seq: int = -1, wait_s: float = 0.0
    ) -> Target:
        parse_ref_name(ref)
        deadline = time.monotonic() + min(wait_s, WAIT_S_MAX)
        while True:
            seen = self._kernel.bell.seq
            target = self._read(lambda c: _target(c, model, ref))
            left_s = deadline - time.monotonic()
            if target.seq > after_seq or left_s <= 0:
                return target
            self._kernel.bell.wait(seen=seen, timeout_s=left_s)

    def observe(self, report: GatewayReport) -> None:
        if max(len(report.events), len(report.traffic), len(report.receipts)) > REPORT_ITEMS_MAX:
            raise TooLarge(f"A report may hold {REPORT_ITEMS_MAX:,} items of each kind")
        if any(len(event.detail) > DETAIL_LENGTH_MAX for event in report.events):
            raise TooLarge(f"The detail of an event may have {DETAIL_LENGTH_MAX:,} characters")
        names = {event.model for event in report.events} | {item.model for item in report.traffic}

        def unit(tx: Connection) -> None:
            known = {
                str(name): row.id
                for name in names
                if (row := rows.model_named(tx, name)) is not None
            }
            observations.record(tx, report, model_ids=known, now=self._now())

        self._kernel.database.write(unit).result()

    # ----------------------------------------------------------------------------------------------

    def _read(self, query: Callable[[Connection], T]) -> T:
        return self._kernel.database.read(query)

    def _find(self, reference: str, *, at: Moment | None = None) -> Found:
        def query(connection: Connection) -> Found:
            return find(connection, reference, now=self._now())

        return self._read(lambda c: self._past(c, at, reference, query))

    def _past(
        self,
        connection: Connection,
        at: Moment | None,
        reference: str,
        query: Callable[[Connection], T],
    ) -> T:
        """A read about one reference, now or as of a moment."""
        if at is None:
            return query(connection)
        model = model_meant(connection, reference, now=self._now())
        return read_past(connection, at, model, query)

    def _now(self) -> Instant:
        return self._kernel.clock()


def _target(connection: Connection, model: ModelName, ref: RefName) -> Target:
    row = model_of(connection, model)
    pointer = rows.ref_of(connection, row.id, ref)
    if pointer is None:
        return Target(model=row.name, ref=ref, seq=0, version=None, digest=None)
    version = (
        rows.version_of(connection, row.id, pointer.version)
        if pointer.version is not None
        else None
    )
    operation = log.by_seqs(connection, [pointer.seq])[pointer.seq]
    return Target(
        model=row.name,
        ref=ref,
        seq=pointer.seq,
        version=pointer.version,
        digest=version.digest if version else None,
        operation=operation.id,
        ordered_ms=pointer.moved_ms,
    )


def _mark_before(tx: Connection, found: Found, environment: RefName) -> str:
    for mark in rows.marks_of(tx, found.model.id):
        if mark.version == found.version.version and mark.environment == environment:
            return mark.value
    return "none"


def _objects_of(evidence: Sequence[Evidence]) -> list[tuple[str, Digest]]:
    return [(f"The object of {one.name}", one.object) for one in evidence if one.object]

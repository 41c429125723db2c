"""The gatekeeper: gathers the evidence that gates ask for, and puts their verdicts before every move of a ref.

It is asked inside the write transaction, so that what was judged is what is done. Evidence that is read
from objects never changes; it is kept at hand, so that asking again, then, costs little.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from typing import TypeVar

from lastgood.cas.port import ObjectStore
from lastgood.core.approvals import standing
from lastgood.core.changes import PolicyRefused, RefMoved, VerdictsRecorded
from lastgood.core.commands import Caller
from lastgood.core.datasets import trained_on
from lastgood.core.gates import CameThroughSpec, CommandSpec, GoldenSpec
from lastgood.core.ids import Digest, Instant, ModelName, RefName, VersionNumber
from lastgood.core.manifest import Manifest
from lastgood.core.operations import Operation
from lastgood.core.policy import EnvironmentPolicy, Policy
from lastgood.core.verdicts import Verdict, blocking
from lastgood.engine.decision import Decision
from lastgood.engine.evidence import tenures_of
from lastgood.engine.policies import policy_in_force
from lastgood.engine.preflight import read_manifest
from lastgood.engine.resolve import model_of, version_of
from lastgood.errors import Blocked
from lastgood.policy.evidence import Certificate, Evidence, Stay, VersionFacts
from lastgood.policy.judging import judge_gates, rows_wanted, specs_within
from lastgood.policy.standing import (
    approved,
    data_held,
    frozen,
    paused,
    right_to_promote,
    right_to_roll_back,
)
from lastgood.store import registry as rows
from lastgood.store.approvals import approvals_of
from lastgood.store.clock import Clock
from lastgood.store.database import Connection
from lastgood.store.evidence import evidence_of
from lastgood.store.restraints import OF_THE_REGISTRY, data_holds_in, is_unruled, pause_of

__all__ = [
    "SUMMARY_LENGTH_MAX",
    "Gatekeeper",
    "Judgement",
    "blocked_by",
    "commands_of",
    "wants_golden",
]

T = TypeVar("T")
KEPT_MAX = 512  # manifests at hand
ROWS_FILE_SIZE_MAX = 32 * 2**20
ROWS_KEPT_MAX = 8
SUMMARY_LENGTH_MAX = 300
RETURNS = frozenset({"rollback", "restore", "revert", "undo", "redo"})
"""Acts whose outcome was there before: the right to roll back is all they need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the policy says of one version for one environment."""

    model: ModelName
    version: VersionNumber
    digest: Digest | None
    environment: RefName
    policy: Digest | None
    rules: EnvironmentPolicy
    verdicts: tuple[Verdict, ...]

    @property
    def blocking(self) -> tuple[Verdict, ...]:
        """What stands in the way."""
        return blocking(self.verdicts, unknown_blocks=self.rules.unknown == "block")

    @property
    def change(self) -> VerdictsRecorded:
        """The verdicts as history keeps them."""
        return VerdictsRecorded(
            model=self.model,
            version=self.version,
            environment=self.environment,
            digest=self.digest,
            policy=self.policy,
            allowed=not self.blocking,
            verdicts=self.verdicts,
        )


class Gatekeeper:
    """Asks the policy in force. Safe to use from several threads."""

    def __init__(self, objects: ObjectStore, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._manifests: _Kept[Manifest] = _Kept(KEPT_MAX)
        self._rows: _Kept[bytes] = _Kept(ROWS_KEPT_MAX)

    def judge(
        self,
        connection: Connection,
        model: rows.ModelRow,
        version: rows.VersionRow,
        environment: RefName,
        *,
        actor: str,
        now: Instant,
        through_mlflow: bool = False,
    ) -> Judgement | None:
        """What is said of promoting that version; None if nothing rules the environment.

        Args:
            connection: A snapshot, or the transaction of the act.
            model: The model.
            version: The version.
            environment: Where it is to go.
            actor: Who promotes it.
            now: The moment.
            through_mlflow: Whether an environment may exempt it (`mlflow = "free"`).
        """
        policy, digest = policy_in_force(connection)
        rules = policy.of(model.name, environment)
        verdicts = self._restraints(connection, model, version, environment, now=now)
        if rules is None and not verdicts:
            return None
        if rules is not None and not (through_mlflow and rules.mlflow == "free"):
            verdicts += self._asked(
                connection,
                model,
                version,
                environment,
                policy=policy,
                rules=rules,
                actor=actor,
                now=now,
            )
        return Judgement(
            model=model.name,
            version=version.version,
            digest=version.digest,
            environment=environment,
            policy=digest if rules is not None else None,
            rules=rules or EnvironmentPolicy(),
            verdicts=verdicts,
        )

    def _asked(
        self,
        connection: Connection,
        model: rows.ModelRow,
        version: rows.VersionRow,
        environment: RefName,
        *,
        policy: Policy,
        rules: EnvironmentPolicy,
        actor: str,
        now: Instant,
    ) -> tuple[Verdict, ...]:
        """What the policy says."""
        evidence = self._evidence(
            connection, model, version, environment, policy=policy, rules=rules, now=now
        )
        before = policy.of(model.name, evidence.previous) if evidence.previous else None
        standing = (
            right_to_promote(rules, actor, environment),
            frozen(rules, environment, now),
            _approvals(
                connection,
                model,
                version,
                environment=environment,
                rules=rules,
                actor=actor,
                now=now,
            ),
        )
        gates = judge_gates(rules, evidence, before=before)
        return (*(verdict for verdict in standing if verdict is not None), *gates)

    def _restraints(
        self,
        connection: Connection,
        model: rows.ModelRow,
        version: rows.VersionRow,
        environment: RefName,
        *,
        now: Instant,
    ) -> tuple[Verdict, ...]:
        """What keeps the version out whatever the policy says: pauses, and holds on its data."""
        found = [
            paused(environment, by=row.actor, reason=row.reason, model=name)
            for id_, name in ((OF_THE_REGISTRY, ""), (model.id, model.name))
            if (row := pause_of(connection, id_, environment)) is not None
        ]
        holds = [
            hold
            for hold in data_holds_in(connection, environment)
            if (hold.model, hold.version) != (model.name, version.version)
            and (hold.expires_ms is None or now < hold.expires_ms)
        ]
        if not holds or version.digest is None:
            return tuple(found)
        data = trained_on(self._manifest_of(version.digest))
        found += [
            data_held(
                environment,
                held=f"{hold.model}/{hold.version}",
                digest=hold.digest,
                by=hold.actor,
                reason=hold.reason,
            )
            for hold in holds
            if hold.digest in data
        ]
        return tuple(found)

    def gated(self, tx: Connection, decision: Decision, caller: Caller) -> Decision:
        """The decision with the verdicts it was made on, or the refusal that takes its place."""
        found: list[VerdictsRecorded] = []
        for move in decision.changes:
            if not isinstance(move, RefMoved) or move.before == move.after:
                continue
            judgement = self._of_move(tx, move, decision, caller)
            if judgement is None:
                continue
            if judgement.blocking:
                return _refusal(decision, judgement)
            found.append(judgement.change)
        kept = [change for change in found if change.verdicts]
        if not kept:
            return decision
        return replace(decision, changes=(*decision.changes, *kept))

    def _of_move(
        self, tx: Connection, move: RefMoved, decision: Decision, caller: Caller
    ) -> Judgement | None:
        if move.ref == decision.unruled or (
            decision.model_id is not None and is_unruled(tx, decision.model_id, move.ref)
        ):
            return None
        model, actor = model_of(tx, move.model), caller.actor.name
        mlflow = caller.origin.door == "mlflow"
        if decision.kind in RETURNS or move.after is None:
            number = move.after if move.after is not None else move.before
            judgement = self._of_rollback(tx, model, number, move.ref, actor=actor)
            free = judgement is not None and mlflow and judgement.rules.mlflow == "free"
            return None if free else judgement
        return self.judge(
            tx,
            model,
            version_of(tx, model, move.after),
            move.ref,
            actor=actor,
            now=self._clock(),
            through_mlflow=mlflow,
        )

    def _of_rollback(
        self,
        tx: Connection,
        model: rows.ModelRow,
        number: VersionNumber | None,
        environment: RefName,
        *,
        actor: str,
    ) -> Judgement | None:
        """A rollback has no gates: it must be possible when everything else is not. Only the right is asked."""
        policy, digest = policy_in_force(tx)
        rules = policy.of(model.name, environment)
        if rules is None or number is None:
            return None
        verdict = right_to_roll_back(rules, actor, environment)
        version = rows.version_of(tx, model.id, number)
        return Judgement(
            model=model.name,
            version=number,
            digest=version.digest if version else None,
            environment=environment,
            policy=digest,
            rules=rules,
            verdicts=(verdict,) if verdict else (),
        )

    def _evidence(
        self,
        connection: Connection,
        model: rows.ModelRow,
        version: rows.VersionRow,
        environment: RefName,
        *,
        policy: Policy,
        rules: EnvironmentPolicy,
        now: Instant,
    ) -> Evidence:
        wanted = rows_wanted(rules.gates)
        pointer = rows.ref_of(connection, model.id, environment)
        live = pointer.version if pointer else None
        row = rows.version_of(connection, model.id, live) if live is not None else None
        previous = policy.before(environment)
        asked = {previous} | {
            RefName(spec.environment)
            for spec in specs_within(rules.gates)
            if isinstance(spec, CameThroughSpec) and spec.environment
        }
        return Evidence(
            candidate=self._facts(connection, model, version, wanted),
            live=self._facts(connection, model, row, wanted) if row else None,
            environment=environment,
            previous=previous,
            stays={
                name: _stays(connection, model.id, version.version, name, now=now)
                for name in asked
                if name is not None
            },
            first_strict=rules.first_promotion == "strict",
        )

    def _facts(
        self,
        connection: Connection,
        model: rows.ModelRow,
        version: rows.VersionRow,
        wanted: frozenset[str],
    ) -> VersionFacts:
        digest = version.digest
        manifest = None
        files: dict[str, bytes] = {}
        if digest is not None:
            manifest = self._manifest_of(digest)
            for path in wanted:
                entry = manifest.file(path)
                if entry is None or entry.size > ROWS_FILE_SIZE_MAX:
                    continue
                files[path] = self._rows_of(entry.digest)
        return VersionFacts(
            model=model.name,
            version=version.version,
            digest=digest,
            manifest=manifest,
            tags=rows.tags_of_version(connection, model.id, version.version),
            certificates={
                one.evidence.name: Certificate(
                    outcome=one.evidence.outcome,
                    summary=one.evidence.summary,
                    figures=one.evidence.figures,
                    actor=one.actor,
                )
                for one in evidence_of(connection, model.id, version.version)
            },
            rows=files,
        )

    def _manifest_of(self, digest: Digest) -> Manifest:
        return self._manifests.get(digest, lambda: read_manifest(self._objects, digest))

    def _rows_of(self, digest: Digest) -> bytes:
        objects = self._objects
        return self._rows.get(
            digest, lambda: objects.read_bytes(digest, size_max=ROWS_FILE_SIZE_MAX)
        )


class _Kept(OrderedDict[Digest, T]):
    """The values last used, by digest. They never change."""

    def __init__(self, count_max: int) -> None:
        super().__init__()
        self._max = count_max
        self._lock = Lock()

    def get(self, digest: Digest, make: Callable[[], T]) -> T:  # type: ignore[override]  # made if it is not there
        with self._lock:
            if digest in self:
                self.move_to_end(digest)
                return self[digest]
        value = make()
        with self._lock:
            self[digest] = value
            while len(self) > self._max:
                self.popitem(last=False)
        return value


def commands_of(rules: EnvironmentPolicy) -> dict[str, CommandSpec]:
    """The programs among the gates, by name."""
    return {s.name: s for s in specs_within(rules.gates) if isinstance(s, CommandSpec)}


def wants_golden(rules: EnvironmentPolicy) -> bool:
    """Whether a version has to be asked for its golden answers again."""
    return any(isinstance(spec, GoldenSpec) for spec in specs_within(rules.gates))


def _approvals(
    connection: Connection,
    model: rows.ModelRow,
    version: rows.VersionRow,
    *,
    environment: RefName,
    rules: EnvironmentPolicy,
    actor: str,
    now: Instant,
) -> Verdict | None:
    found = standing(
        approvals_of(connection, model.id, environment, version.version),
        rules=rules.approvals,
        digest=version.digest,
        asked_by=frozenset({version.user, actor}),
        four_eyes=rules.four_eyes,
        now=now,
    )
    reference = f"{model.name}/{version.version}"
    return approved(rules, found, reference=reference, environment=environment)


def _stays(
    connection: Connection,
    model_id: int,
    version: VersionNumber,
    environment: RefName,
    *,
    now: Instant,
) -> tuple[Stay, ...]:
    return tuple(
        Stay(
            seconds=max(0, (now if t.to_ms is None else t.to_ms) - t.from_ms) / 1000,
            requests=t.requests,
        )
        for t in tenures_of(connection, model_id, environment)
        if t.version == version
    )


def _refusal(decision: Decision, judgement: Judgement) -> Decision:
    first = judgement.blocking[0]
    what = f"{judgement.model}@{judgement.environment}: version {judgement.version} refused"
    return Decision(
        kind="refuse",
        model=decision.model,
        changes=(judgement.change,),
        summary=f"{what}: {first.gate}: {first.message}"[:SUMMARY_LENGTH_MAX],
        reason=decision.reason,
        expect=decision.expect,
    )


def blocked_by(operation: Operation) -> Blocked:
    """The error that says what a recorded refusal says."""
    refused = next((c for c in operation.changes if isinstance(c, PolicyRefused)), None)
    if refused is not None:
        why = refused.verdict
        return Blocked(f"{why.message}; recorded as {operation.id}", hint=why.next_step)
    change = next(c for c in operation.changes if isinstance(c, VerdictsRecorded))
    found = blocking(change.verdicts, unknown_blocks=True)
    first = found[0]
    said = "fails" if first.outcome == "fail" else "is unknown"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    name = f"{change.model}/{change.version}"
    return Blocked(
        f"{name} may not go to {change.environment}: '{first.gate}' {said}: {first.message}{more}; recorded as {operation.id}",
        hint=first.next_step or f"lastgood check {name} --to {change.environment} shows all gates",
    )

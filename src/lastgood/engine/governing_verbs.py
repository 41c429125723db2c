"""The governing verbs in process: policies and gates."""

import hashlib

from lastgood.core.changes import PolicySet
from lastgood.core.commands import Caller, CheckGates, SetPolicy
from lastgood.core.ids import REGISTRY, Digest, digest_of_hex, hex_of, parse_ref_name
from lastgood.core.moments import Moment
from lastgood.core.policy import parse_policy
from lastgood.core.views import CheckView, Outcome, PolicyView
from lastgood.engine.gatekeeper import commands_of
from lastgood.engine.kernel import Decision, Kernel, check_repeated
from lastgood.engine.past import point_at
from lastgood.engine.resolve import find
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store.database import Connection
from lastgood.store.policies import policy_at, policy_now

__all__ = ["GoverningVerbs"]

DIGITS_SHOWN = 12


class GoverningVerbs:
    """`core.governing.Governing` over a kernel: a part of `LocalRegistry`."""

    _kernel: Kernel

    def policy(self, *, at: Moment | None = None) -> PolicyView:
        def query(connection: Connection) -> PolicyView:
            row = (
                policy_now(connection)
                if at is None
                else policy_at(connection, point_at(connection, at).seq)
            )
            if row is None:
                return PolicyView(digest=None)
            operation = log.by_seqs(connection, [row.seq])[row.seq]
            return PolicyView(
                digest=row.digest,
                text=row.text,
                seq=row.seq,
                at_ms=row.at_ms,
                operation=operation.id,
                actor=operation.actor.name,
                reason=operation.reason,
            )

        return self._kernel.database.read(query)

    def set_policy(self, command: SetPolicy, *, caller: Caller) -> Outcome:
        after: Digest | None = None
        if command.text is not None:
            parse_policy(command.text)
            after = digest_of_hex(hashlib.sha256(command.text.encode()).hexdigest())

        def decide(tx: Connection) -> Decision:
            row = policy_now(tx)
            before = row.digest if row else None
            change = PolicySet(before=before, after=after, text=command.text or "")
            return Decision(
                kind="policy",
                model=REGISTRY,
                changes=(change,) if before != after else (),
                summary=f"policy: {_short(before)} -> {_short(after)}",
                reason=command.reason,
            )

        recorded = self._kernel.act(caller, decide).result()
        operation = recorded.operation
        if operation is None:
            return Outcome(
                operation=None,
                seq=0,
                at_ms=self._kernel.clock(),
                model=REGISTRY,
                version=None,
                digest=after,
                summary=f"the policy is {_short(after)} already; nothing changed",
                already=True,
            )
        check_repeated(operation, kind="policy")
        return Outcome(
            operation=operation.id,
            seq=operation.seq,
            at_ms=operation.at_ms,
            model=REGISTRY,
            version=None,
            digest=after,
            summary=operation.summary,
            already=recorded.repeated,
        )

    def check(self, command: CheckGates, *, caller: Caller) -> CheckView:
        parse_ref_name(command.to)
        now = self._kernel.clock()

        def query(connection: Connection) -> CheckView:
            found = find(connection, command.reference, now=now)
            judgement = self._kernel.gates.judge(
                connection, found.model, found.version, command.to, actor=caller.actor.name, now=now
            )
            pointer = rows.ref_of(connection, found.model.id, command.to)
            programs = commands_of(judgement.rules) if judgement else {}
            return CheckView(
                model=found.model.name,
                version=found.version.version,
                digest=found.version.digest,
                environment=command.to,
                live=pointer.version if pointer else None,
                policy=judgement.policy if judgement else None,
                allowed=not (judgement and judgement.blocking),
                verdicts=judgement.verdicts if judgement else (),
                blocking=tuple(v.gate for v in judgement.blocking) if judgement else (),
                commands={name: spec.command for name, spec in programs.items()},
                timeouts_s={name: spec.timeout_s for name, spec in programs.items()},
            )

        return self._kernel.database.read(query)


def _short(digest: Digest | None) -> str:
    return hex_of(digest)[:DIGITS_SHOWN] if digest else "none"

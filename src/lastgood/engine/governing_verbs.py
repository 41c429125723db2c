"""The governing verbs in process: policies and gates."""

import hashlib

from lastgood.core.changes import ApprovalGiven, PolicyRefused, PolicySet
from lastgood.core.commands import (
    Approve,
    Caller,
    CheckGates,
    SetPolicy,
)
from lastgood.core.ids import REGISTRY, Digest, Instant, digest_of_hex, hex_of, parse_ref_name
from lastgood.core.moments import Moment
from lastgood.core.policy import NO_POLICY, Policy, parse_policy
from lastgood.core.verdicts import Verdict
from lastgood.core.views import CheckView, Outcome, PolicyView
from lastgood.engine.gatekeeper import SUMMARY_LENGTH_MAX, commands_of, wants_golden
from lastgood.engine.kernel import Decision, Kernel, check_repeated
from lastgood.engine.outcomes import outcome_of
from lastgood.engine.past import point_at
from lastgood.engine.policies import policy_in_force
from lastgood.engine.resolve import Found, find
from lastgood.engine.restraint_verbs import RestraintVerbs
from lastgood.engine.run_verbs import RunVerbs
from lastgood.errors import InvalidInput, Refused, Unverified
from lastgood.policy.standing import right_to_apply
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store.database import Connection
from lastgood.store.policies import policy_at, policy_now

__all__ = ["GoverningVerbs"]

DIGITS_SHOWN = 12
APPROVAL_LASTS_S_MAX = 10 * 366 * 86_400


class GoverningVerbs(RestraintVerbs, RunVerbs):
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
        offered = NO_POLICY
        if command.text is not None:
            offered = parse_policy(command.text)
            after = digest_of_hex(hashlib.sha256(command.text.encode()).hexdigest())

        def decide(tx: Connection) -> Decision:
            row = policy_now(tx)
            before = row.digest if row else None
            if before != after:
                in_force, _ = policy_in_force(tx)
                if (verdict := right_to_apply(in_force, caller.actor.name)) is not None:
                    return _refusal(before, after, verdict, reason=command.reason)
                _check_not_locked_out(offered, command, actor=caller.actor.name)
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
                golden=judgement is not None and wants_golden(judgement.rules),
            )

        return self._kernel.database.read(query)

    def approve(self, command: Approve, *, caller: Caller) -> Outcome:
        parse_ref_name(command.to)

        def decide(tx: Connection) -> Decision:
            now = self._kernel.clock()
            found = find(tx, command.reference, now=now)
            name, number = found.model.name, found.version.version
            _check_may_approve(tx, found, command, actor=caller.actor.name)
            change = ApprovalGiven(
                model=name,
                version=number,
                environment=command.to,
                digest=found.version.digest,
                word=command.word,
                meaning=command.meaning,
                expires_ms=None
                if command.lasts_s is None or command.word == "reject"
                else Instant(now + command.lasts_s * 1000),
            )
            said = "rejected" if command.word == "reject" else command.meaning
            return Decision(
                kind=command.word,
                model=name,
                changes=(change,),
                summary=f"{name}/{number} for {command.to}: {said} by {caller.actor.name}",
                reason=command.reason,
            )

        operation = self._kernel.act(caller, decide).result().operation
        assert operation is not None
        check_repeated(operation, kind=command.word)
        return outcome_of(operation)


def _refusal(
    before: Digest | None, offered: Digest | None, verdict: Verdict, *, reason: str
) -> Decision:
    return Decision(
        kind="refuse",
        model=REGISTRY,
        changes=(PolicyRefused(before=before, offered=offered, verdict=verdict),),
        summary=f"policy: {_short(before)} -> {_short(offered)} refused: {verdict.message}"[
            :SUMMARY_LENGTH_MAX
        ],
        reason=reason,
    )


def _check_not_locked_out(offered: Policy, command: SetPolicy, *, actor: str) -> None:
    if not command.hand_over and right_to_apply(offered, actor) is not None:
        who = ", ".join(offered.apply) or "nobody"
        raise Refused(
            f"Once this policy is in force {actor} may not change it any more: it names {who}",
            hint="add your name to `apply`, or mean it: --hand-over",
        )


def _check_may_approve(tx: Connection, found: Found, command: Approve, *, actor: str) -> None:
    name = f"{found.model.name}/{found.version.version}"
    if found.version.digest is None:
        raise Unverified(f"{name} is external: there are no bytes that an approval could be of")
    if command.lasts_s is not None and not 1 <= command.lasts_s <= APPROVAL_LASTS_S_MAX:
        raise InvalidInput("An approval lasts from a second to ten years")
    policy, _ = policy_in_force(tx)
    rules = policy.of(found.model.name, command.to)
    four_eyes = rules is not None and rules.four_eyes and command.word == "approve"
    if four_eyes and found.version.user == actor:
        raise Refused(
            f"{actor} registered {name} and cannot approve it for {command.to}: the policy requires four eyes",
            hint="ask somebody else",
        )


def _short(digest: Digest | None) -> str:
    return hex_of(digest)[:DIGITS_SHOWN] if digest else "none"

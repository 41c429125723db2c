"""All gates of an environment together: each its verdict, AllOf and AnyOf put together from theirs."""

from collections.abc import Mapping
from typing import Any, cast

from lastgood.core.evidence import EvidenceOutcome
from lastgood.core.gates import (
    AllOfSpec,
    AnyOfSpec,
    BetterThanLiveSpec,
    BudgetSpec,
    CameThroughSpec,
    CommandSpec,
    EvidenceSpec,
    GateSpec,
    GoldenSpec,
    MetricSpec,
    ReproducibleSpec,
    SignatureSpec,
    TagsSpec,
    gate_name,
)
from lastgood.core.policy import EnvironmentPolicy
from lastgood.core.verdicts import Verdict
from lastgood.policy import facts, numbers
from lastgood.policy.comparison import better_than_live
from lastgood.policy.evidence import Evidence, Gate

__all__ = ["judge", "judge_gates", "rows_wanted", "specs_within"]


def judge_gates(
    rules: EnvironmentPolicy, evidence: Evidence, *, before: EnvironmentPolicy | None
) -> tuple[Verdict, ...]:
    """The verdicts of all gates of the environment.

    Args:
        rules: The environment's rules.
        evidence: What is known.
        before: The rules of the environment before: its bake time and traffic come first.
    """
    if evidence.live is None and rules.first_promotion == "free":
        free = f"nothing is live in {evidence.environment}: the policy lets the first version in"
        return (Verdict(gate="first promotion", outcome="pass", message=free),)
    found = []
    if before is not None and evidence.previous and (before.bake_s or before.requests_min):
        found.append(
            facts.baked(
                f"baked in {evidence.previous}",
                evidence,
                environment=evidence.previous,
                seconds=before.bake_s,
                requests=before.requests_min,
            )
        )
    return (*found, *(judge(spec, evidence) for spec in rules.gates))


def judge(spec: GateSpec, evidence: Evidence) -> Verdict:
    """The verdict of one gate."""
    return _GATES[type(spec)](spec, evidence)


def specs_within(specs: tuple[GateSpec, ...]) -> tuple[GateSpec, ...]:
    """The gates and all that they are put together from."""
    found: list[GateSpec] = []
    for spec in specs:
        found.append(spec)
        if isinstance(spec, AllOfSpec | AnyOfSpec):
            found += specs_within(spec.gates)
    return tuple(found)


def rows_wanted(specs: tuple[GateSpec, ...]) -> frozenset[str]:
    """Paths of files with results per row that the gates ask for."""
    found = (s.rows for s in specs_within(specs) if isinstance(s, BetterThanLiveSpec))
    return frozenset(path for path in found if path)


def _all_of(spec: GateSpec, evidence: Evidence) -> Verdict:
    assert isinstance(spec, AllOfSpec)
    parts = [judge(part, evidence) for part in spec.gates]
    worst: EvidenceOutcome = "pass"
    for part in parts:
        if part.outcome == "fail" or (part.outcome == "unknown" and worst == "pass"):
            worst = part.outcome
    return _joined(gate_name(spec), worst, parts)


def _any_of(spec: GateSpec, evidence: Evidence) -> Verdict:
    assert isinstance(spec, AnyOfSpec)
    parts = [judge(part, evidence) for part in spec.gates]
    best: EvidenceOutcome = "fail"
    for part in parts:
        if part.outcome == "pass" or (part.outcome == "unknown" and best == "fail"):
            best = part.outcome
    return _joined(gate_name(spec), best, parts)


def _joined(name: str, outcome: EvidenceOutcome, parts: list[Verdict]) -> Verdict:
    telling = [part for part in parts if part.outcome == outcome]
    return Verdict(
        gate=name,
        outcome=outcome,
        message="; ".join(f"{part.gate}: {part.message}" for part in telling),
        may_pass_later=bool(telling) and all(part.may_pass_later for part in telling),
        figures={f"{part.gate}: {k}": v for part in parts for k, v in part.figures.items()},
        next_step=next((part.next_step for part in telling if part.next_step), ""),
    )


_TABLE: Mapping[type, Any] = {
    MetricSpec: numbers.threshold,
    BudgetSpec: numbers.budget,
    BetterThanLiveSpec: better_than_live,
    SignatureSpec: facts.signature,
    EvidenceSpec: facts.recorded,
    GoldenSpec: facts.golden,
    ReproducibleSpec: facts.reproducible,
    CommandSpec: facts.command,
    TagsSpec: facts.tags,
    CameThroughSpec: facts.came_through,
    AllOfSpec: _all_of,
    AnyOfSpec: _any_of,
}
_GATES = cast("Mapping[type, Gate]", _TABLE)
"""Each function takes the kind of gate that it stands beside."""

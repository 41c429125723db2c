"""Gates about what a version is and where it has been: evidence, tags, signature, earlier environments."""

from shlex import quote

from lastgood.core.durations import parse_duration_s
from lastgood.core.evidence import GOLDEN, LOAD_TEST
from lastgood.core.gates import (
    CameThroughSpec,
    CommandSpec,
    EvidenceSpec,
    GoldenSpec,
    ReproducibleSpec,
    SignatureSpec,
    TagsSpec,
    gate_name,
)
from lastgood.core.reproducibility import ITEMS, missing_items
from lastgood.core.verdicts import Verdict
from lastgood.policy.evidence import Evidence, VersionFacts
from lastgood.policy.signatures import inputs_accepted

__all__ = [
    "baked",
    "came_through",
    "command",
    "command_evidence",
    "recorded",
    "reproducible",
    "signature",
    "tags",
]


def recorded(spec: EvidenceSpec, evidence: Evidence) -> Verdict:
    """Recorded evidence of that name says pass."""
    return _by_certificate(
        gate_name(spec),
        spec.evidence,
        evidence,
        f"record the evidence '{spec.evidence}' for {evidence.candidate.name}",
    )


def command_evidence(name: str) -> str:
    """The name under which the verdict of an operator's program is kept as evidence."""
    return f"gate:{name}"


def command(spec: CommandSpec, evidence: Evidence) -> Verdict:
    """The verdict that the operator's program gave where it was run."""
    return _by_certificate(
        spec.name,
        command_evidence(spec.name),
        evidence,
        f"run it: {_run(evidence)}",
        after_fail=f"it takes another version, or another program: {_run(evidence)}",
    )


def golden(spec: GoldenSpec, evidence: Evidence) -> Verdict:
    """It gave its golden answers again where it was asked; the load test at registration is not enough."""
    return _by_certificate(gate_name(spec), GOLDEN, evidence, f"ask it again: {_run(evidence)}")


def _run(evidence: Evidence) -> str:
    return f"lastgood check {quote(evidence.candidate.name)} --to {evidence.environment} --run"


def _by_certificate(
    gate: str, wanted: str, evidence: Evidence, next_step: str, *, after_fail: str = ""
) -> Verdict:
    facts = evidence.candidate
    found = facts.certificates.get(wanted)
    if found is None:
        return Verdict(
            gate=gate,
            outcome="unknown",
            may_pass_later=True,
            message=f"{facts.name} has no evidence '{wanted}'",
            next_step=next_step,
        )
    who = f", recorded by {found.actor}" if found.actor else ""
    said = f": {found.summary}" if found.summary else ""
    return Verdict(
        gate=gate,
        outcome=found.outcome,
        message=f"the evidence '{wanted}' says {found.outcome}{said}{who}",
        figures=dict(found.figures),
        next_step={"pass": "", "fail": after_fail or next_step}.get(found.outcome, next_step),
    )


def reproducible(spec: ReproducibleSpec, evidence: Evidence) -> Verdict:
    """What it takes to make the version again is there. That something is missing is known, so it fails."""
    name, facts, required = gate_name(spec), evidence.candidate, spec.items or ITEMS
    if facts.manifest is None:
        return Verdict(
            gate=name,
            outcome="unknown",
            message=f"{facts.name} is external: what it was made from is not known",
            next_step="register its files",
        )
    outcomes = {key: one.outcome for key, one in facts.certificates.items()}
    lacks = [one for one in missing_items(facts.manifest, outcomes) if one.item in required]
    there = len(set(required)) - len(lacks)
    figures: dict[str, float | str] = {"there": there, "required": len(set(required))}
    if not lacks:
        said = f"recorded: {', '.join(required)}"
        return Verdict(gate=name, outcome="pass", message=said, figures=figures)
    return Verdict(
        gate=name,
        outcome="fail",
        message="; ".join(f"{one.what} ({one.item})" for one in lacks),
        figures=figures,
        may_pass_later=all(one.item == LOAD_TEST for one in lacks),
        next_step="register it again with what is missing; docs/how-to/register.md says how it is captured",
    )


def tags(spec: TagsSpec, evidence: Evidence) -> Verdict:
    """The version has the tags."""
    have, name = evidence.candidate.tags, gate_name(spec)
    missing = [key for key in (*spec.required, *spec.equal) if not have.get(key)]
    other = [f"{k} is '{have[k]}', not '{v}'" for k, v in spec.equal.items() if have.get(k, v) != v]
    if not missing and not other:
        return Verdict(gate=name, outcome="pass", message="all tags are there")
    said = "; ".join([f"the tag {key} is missing" for key in missing] + other)
    return Verdict(gate=name, outcome="fail", message=said, next_step="set the tag on the version")


def signature(spec: SignatureSpec, evidence: Evidence) -> Verdict:
    """The inputs that callers of the live version send are still accepted."""
    name, live = gate_name(spec), evidence.live
    if live is None:
        nothing = f"nothing is live in {evidence.environment}: nobody calls it yet"
        outcome = "unknown" if evidence.first_strict else "pass"
        return Verdict(gate=name, outcome=outcome, message=nothing)  # type: ignore[arg-type]  # both are outcomes
    found, message = inputs_accepted(
        _stated(evidence.candidate),
        _stated(live),
        name=evidence.candidate.name,
        live_name=live.name,
    )
    next_step = {
        "unknown": "log the model with a signature or an input example",
        "fail": "keep the inputs compatible, or move the callers first",
    }
    return Verdict(gate=name, outcome=found, message=message, next_step=next_step.get(found, ""))


def _stated(facts: VersionFacts) -> str:
    return facts.manifest.signature if facts.manifest is not None else ""


def came_through(spec: CameThroughSpec, evidence: Evidence) -> Verdict:
    """It was in an earlier environment long enough."""
    where = spec.environment or evidence.previous
    if not where:
        return Verdict(
            gate=gate_name(spec),
            outcome="unknown",
            message=f"the policy has no environment before {evidence.environment}",
            next_step="name it: environment = 'staging'",
        )
    return baked(
        gate_name(spec),
        evidence,
        environment=where,
        seconds=parse_duration_s(spec.stayed),
        requests=spec.requests,
    )


def baked(
    gate: str, evidence: Evidence, *, environment: str, seconds: int, requests: int
) -> Verdict:
    """One stay of the version in the environment was long enough and saw enough requests."""
    stays = {str(k): v for k, v in evidence.stays.items()}.get(environment, ())
    name = evidence.candidate.name
    if not stays:
        return Verdict(
            gate=gate,
            outcome="fail",
            message=f"{name} was never in {environment}",
            next_step=f"lastgood promote {name} --to {environment} --reason '...'",
        )
    best = max(stays, key=lambda s: (s.seconds >= seconds and s.requests >= requests, s.seconds))
    good = best.seconds >= seconds and best.requests >= requests
    wanted = f"{seconds} s" + (f" and {requests:,} requests" if requests else "")
    return Verdict(
        gate=gate,
        outcome="pass" if good else "fail",
        may_pass_later=not good,
        message=f"it was in {environment} for {best.seconds:.0f} s with {best.requests:,} requests; required are {wanted}",
        figures={"seconds": best.seconds, "requests": best.requests, "seconds_min": seconds, "requests_min": requests},
        next_step="" if good else f"wait until it has been in {environment} long enough",
    )  # fmt: skip

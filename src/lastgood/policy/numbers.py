"""Metrics and budgets: bounds on figures. A missing figure, or NaN, is unknown and never a pass."""

import math
from collections.abc import Mapping

from lastgood.core.gates import BudgetSpec, MetricSpec, gate_name
from lastgood.core.verdicts import Verdict
from lastgood.policy.evidence import Evidence, VersionFacts

__all__ = ["budget", "metric_of", "threshold"]


def metric_of(facts: VersionFacts, name: str) -> tuple[float | None, str]:
    """The metric as registered, or None with the reason why it says nothing."""
    if facts.manifest is None:
        return None, f"{facts.name} is external: its metrics are not known"
    return _figure(facts.manifest.metrics, name, of=facts.name)


def threshold(spec: MetricSpec, evidence: Evidence) -> Verdict:
    """The metric lies within its bounds."""
    value, why = metric_of(evidence.candidate, spec.metric)
    name = gate_name(spec)
    if value is None:
        return Verdict(
            gate=name,
            outcome="unknown",
            message=why,
            next_step=f"register with --metric {spec.metric}=VALUE, or log it in the run before registering",
        )
    figures: dict[str, float | str] = {spec.metric: value}
    wanted = []
    if spec.min is not None:
        figures["min"] = spec.min
        wanted.append(f"at least {spec.min:g}")
    if spec.max is not None:
        figures["max"] = spec.max
        wanted.append(f"at most {spec.max:g}")
    low = spec.min is None or value >= spec.min
    high = spec.max is None or value <= spec.max
    return Verdict(
        gate=name,
        outcome="pass" if low and high else "fail",
        message=f"{spec.metric} is {value:g}; required is {' and '.join(wanted)}",
        figures=figures,
        next_step=""
        if low and high
        else "train a better version, or change the bound in the policy",
    )


def budget(spec: BudgetSpec, evidence: Evidence) -> Verdict:
    """A figure of recorded evidence stays within its budget."""
    name, facts = gate_name(spec), evidence.candidate
    found = facts.certificates.get(spec.evidence)
    if found is None:
        return Verdict(
            gate=name,
            outcome="unknown",
            message=f"{facts.name} has no evidence '{spec.evidence}'",
            next_step=f"record the evidence '{spec.evidence}'",
        )
    value, why = _figure(found.figures, spec.figure, of=f"the evidence '{spec.evidence}'")
    if value is None:
        return Verdict(gate=name, outcome="unknown", message=why)
    good = value <= spec.max
    return Verdict(
        gate=name,
        outcome="pass" if good else "fail",
        message=f"{spec.figure} is {value:g}; the budget is {spec.max:g}",
        figures={spec.figure: value, "max": spec.max},
        next_step="" if good else "make the model cheaper, or change the budget in the policy",
    )


def _figure(figures: Mapping[str, float | str], name: str, *, of: str) -> tuple[float | None, str]:
    value = figures.get(name)
    if value is None:
        return None, f"{of} has no {name}"
    if isinstance(value, str) or not math.isfinite(value):
        return None, f"{name} of {of} is {value}, which is no number to compare"
    return float(value), ""

"""Better than what is live: the same metric, measured on the same data, by a margin, beyond chance."""

from lastgood.core.datasets import measured_on
from lastgood.core.evidence import EvidenceOutcome
from lastgood.core.gates import BetterThanLiveSpec, gate_name
from lastgood.core.verdicts import Verdict
from lastgood.policy.evidence import Evidence, VersionFacts
from lastgood.policy.numbers import metric_of
from lastgood.policy.statistics import NoAnswer, compare_rows

__all__ = ["better_than_live"]


def better_than_live(spec: BetterThanLiveSpec, evidence: Evidence) -> Verdict:
    """Compare by the metric; with results per row also by the interval of their difference."""
    name, candidate, live = gate_name(spec), evidence.candidate, evidence.live
    if live is None:
        return _alone(name, evidence)
    ours, why = metric_of(candidate, spec.metric)
    theirs, why_theirs = metric_of(live, spec.metric)
    if ours is None or theirs is None:
        return _unknown(name, why or why_theirs, f"log the metric {spec.metric} for both versions")
    if why := _other_data(spec, candidate, live):
        return _unknown(
            name, why, "evaluate both versions on the same dataset and register its digest"
        )
    gain = (ours - theirs) * (1 if spec.higher_is_better else -1)
    figures: dict[str, float | str] = {
        spec.metric: ours, f"live {spec.metric}": theirs, "gain": gain, "margin": spec.margin
    }  # fmt: skip
    message = f"{spec.metric} is {ours:g}, that of the live {live.name} is {theirs:g}: a gain of {gain:+.4g}"
    if not (gain > spec.margin or (spec.margin > 0 and gain == spec.margin)):
        return _said(name, "fail", f"{message}; more than {spec.margin:g} is required", figures)
    if not spec.rows:
        return _said(name, "pass", message, figures)
    return _by_rows(spec, evidence, message, figures)


def _alone(name: str, evidence: Evidence) -> Verdict:
    nothing = f"nothing is live in {evidence.environment}: there is nothing to compare with"
    if evidence.first_strict:
        return _unknown(name, nothing, "set first_promotion = 'absolute' in the policy")
    return _said(name, "pass", nothing, {})


def _other_data(spec: BetterThanLiveSpec, candidate: VersionFacts, live: VersionFacts) -> str:
    """Why the metrics may not be compared; empty if they were measured on the same data."""
    assert candidate.manifest is not None
    assert live.manifest is not None
    ours, theirs = (measured_on(m, spec.data) for m in (candidate.manifest, live.manifest))
    which = f"the dataset '{spec.data}'" if spec.data else "the data it was measured on"
    for facts, found in ((candidate, ours), (live, theirs)):
        if not found:
            return f"{facts.name} does not say the digest of {which}"
    if ours != theirs:
        return f"{candidate.name} and {live.name} were measured on different data"
    return ""


def _by_rows(
    spec: BetterThanLiveSpec, evidence: Evidence, message: str, figures: dict[str, float | str]
) -> Verdict:
    name, live = gate_name(spec), evidence.live
    assert live is not None
    ours, theirs = evidence.candidate.rows.get(spec.rows), live.rows.get(spec.rows)
    if ours is None or theirs is None:
        owner = evidence.candidate if ours is None else live
        return _unknown(
            name, f"{owner.name} has no file {spec.rows}", "register the model with that file"
        )
    try:
        found = compare_rows(ours, theirs, column=spec.column, confidence=spec.confidence)
    except NoAnswer as error:
        return _unknown(name, f"{spec.rows}: {error}", "write one result per row, with an id")
    sign = 1 if spec.higher_is_better else -1
    low, high = sorted((found.low * sign, found.high * sign))
    figures = {**figures, "rows": found.rows, "low": low, "high": high, "p": found.p}
    sure = low > spec.margin or (spec.margin > 0 and low == spec.margin)
    said = f"{message}; over {found.rows:,} rows {spec.confidence:.0%} lie in [{low:+.4g}, {high:+.4g}] ({found.method}, p = {found.p:.3g})"
    if sure:
        return _said(name, "pass", said, figures)
    return _said(
        name, "fail", f"{said}: a gain of more than {spec.margin:g} is not certain", figures
    )


def _unknown(name: str, message: str, next_step: str) -> Verdict:
    return Verdict(gate=name, outcome="unknown", message=message, next_step=next_step)


def _said(
    name: str, outcome: EvidenceOutcome, message: str, figures: dict[str, float | str]
) -> Verdict:
    step = "" if outcome == "pass" else "train a better version; lastgood diff shows what differs"
    return Verdict(gate=name, outcome=outcome, message=message, figures=figures, next_step=step)

"""Last good: evidence, not "version N-1".

A version *earns* `good` in an environment through one stay there (a tenure), if

- every gateway that was ordered to serve it loaded it,
- it answered enough requests over enough time, and
- it failed no larger share of them than its predecessor did.

A person can mark a version good without that, or bad, or yanked. Last good is the version of the
newest tenure that is good, not marked bad or yanked, not held there, still registered with its
bytes, and not the one that is live now. Missing evidence never counts as good.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from lastgood.core.ids import Instant, VersionNumber

__all__ = ["Candidate", "GoodRule", "Tenure", "judge", "last_good"]


class GoodRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a version is good. `failure_share_max` applies where there is no predecessor to compare with."""

    requests_min: int = 100
    seconds_min: float = 60.0
    failure_share_max: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenure:
    """One stay of a version in an environment, and what was observed of it."""

    version: VersionNumber
    seq: int
    """The operation that began it."""
    from_ms: Instant
    to_ms: Instant | None
    """None while it lasts."""
    followers: frozenset[str] = frozenset()
    """Gateways that followed the environment during it."""
    loaded: frozenset[str] = frozenset()
    """Gateways that loaded the version for it, or had it loaded."""
    requests: int = 0
    failures: int = 0
    first_ms: Instant | None = None
    """First and last request observed."""
    last_ms: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A version that was once live, judged; `good` says whether a rollback may return to it."""

    version: VersionNumber
    seq: int
    good: bool
    because: str


def judge(tenure: Tenure, predecessor: Tenure | None, rule: GoodRule) -> tuple[bool, str]:
    """Whether the tenure earned `good`, and the evidence in words."""
    if not tenure.followers:
        return False, "no gateway followed it"
    if missing := tenure.followers - tenure.loaded:
        return False, f"{len(missing)} of {len(tenure.followers)} gateways never loaded it"
    if tenure.requests < max(rule.requests_min, 1):
        return False, f"it answered {tenure.requests} requests, fewer than {rule.requests_min}"
    seconds = _seconds(tenure)
    if seconds < rule.seconds_min:
        return False, f"it served for {seconds:.1f} s, less than {rule.seconds_min:g} s"
    share = tenure.failures / tenure.requests
    if predecessor is not None and predecessor.requests >= max(rule.requests_min, 1):
        limit, whose = (
            predecessor.failures / predecessor.requests,
            f"of version {predecessor.version} before it",
        )
    else:
        limit, whose = rule.failure_share_max, "allowed"
    if share > limit:
        return False, f"it failed {share:.2%} of its requests, more than the {limit:.2%} {whose}"
    return True, (
        f"it served {tenure.requests:,} requests over {seconds:.1f} s on {len(tenure.loaded)} "
        f"gateway{'s' if len(tenure.loaded) != 1 else ''} with {tenure.failures} failed"
    )


def last_good(
    tenures: Sequence[Tenure],
    *,
    current: VersionNumber | None,
    rule: GoodRule,
    marks: Mapping[VersionNumber, str],
    held: Iterable[VersionNumber],
    unavailable: Mapping[VersionNumber, str],
) -> tuple[Candidate | None, tuple[Candidate, ...]]:
    """The version to return to, and the newer ones passed over with the reason.

    Args:
        tenures: In order of their beginning, oldest first.
        current: The version live now; a rollback never returns to it.
        rule: When a tenure earns `good`.
        marks: A person's judgement per version: good, bad or yanked.
        held: Versions that may not be promoted to the environment.
        unavailable: Versions out of the question, with the reason: deleted, external, made with data on hold.
    """
    on_hold = frozenset(held)
    passed_over: list[Candidate] = []
    seen: set[VersionNumber] = set()
    for index in range(len(tenures) - 1, -1, -1):
        tenure = tenures[index]
        if tenure.version == current or tenure.version in seen:
            continue
        veto = _veto(tenure.version, marks, on_hold, unavailable)
        earned, because = judge(tenure, tenures[index - 1] if index else None, rule)
        if not veto and not earned and marks.get(tenure.version) == "good":
            earned, because = True, "a person marked it good"
        candidate = Candidate(
            version=tenure.version,
            seq=tenure.seq,
            good=earned and not veto,
            because=veto or because,
        )
        if candidate.good:
            newer = tuple(c for c in passed_over if c.version != tenure.version)
            return candidate, newer
        passed_over.append(candidate)
        if veto:
            seen.add(tenure.version)  # an older tenure of the same version cannot lift a veto
    return _marked_only(tenures, current, marks, on_hold, unavailable), _unique(passed_over)


def _marked_only(
    tenures: Sequence[Tenure],
    current: VersionNumber | None,
    marks: Mapping[VersionNumber, str],
    on_hold: frozenset[VersionNumber],
    unavailable: Mapping[VersionNumber, str],
) -> Candidate | None:
    """A version that never was live here but that a person marked good for here: the newest of those."""
    lived = {t.version for t in tenures}
    for version in sorted(marks, reverse=True):
        if version in lived or version == current or marks[version] != "good":
            continue
        if not _veto(version, marks, on_hold, unavailable):
            return Candidate(version=version, seq=0, good=True, because="a person marked it good")
    return None


def _veto(
    version: VersionNumber,
    marks: Mapping[VersionNumber, str],
    on_hold: frozenset[VersionNumber],
    unavailable: Mapping[VersionNumber, str],
) -> str:
    if version in unavailable:
        return unavailable[version]
    if marks.get(version) in {"bad", "yanked"}:
        return f"it is marked {marks[version]}"
    if version in on_hold:
        return "it is on hold"
    return ""


def _unique(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    first: dict[VersionNumber, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.version, candidate)
    return tuple(first.values())


def _seconds(tenure: Tenure) -> float:
    if tenure.first_ms is None or tenure.last_ms is None:
        return 0.0
    return (tenure.last_ms - tenure.first_ms) / 1000

"""What commands print with `--json`, read into the values of an episode."""

from collections.abc import Mapping, Sequence
from typing import Any

from lastgood.core.ids import Digest, Instant, OperationId, RequestId, VersionNumber
from lastgood.demo.episode import Findings, Metrics, Switch
from lastgood.errors import LastgoodError

__all__ = ["read_findings", "read_held", "read_is_good", "read_metrics", "read_switches"]

ENVIRONMENT = "production"
METRIC = "roc_auc"


def read_metrics(shown: Mapping[str, Any]) -> Metrics:
    """From `show REF --json`: the offline metric recorded with the version.

    Raises:
        LastgoodError: it is not recorded.
    """
    metric = ((shown.get("manifest") or {}).get("metrics") or {}).get(METRIC)
    if not isinstance(metric, int | float):
        raise LastgoodError(
            f"Version {shown.get('version')} has no metric {METRIC} in its manifest"
        )
    return Metrics(
        version=VersionNumber(shown["version"]),
        digest=Digest(shown["digest"]),
        roc_auc=float(metric),
    )


def read_is_good(shown: Mapping[str, Any]) -> bool:
    """From `show REF --json`: whether the version earned `good` in production."""
    return any(
        mark["value"] == "good" and mark["environment"] == ENVIRONMENT for mark in shown["marks"]
    )


def read_held(versions: Sequence[Mapping[str, Any]]) -> tuple[VersionNumber, ...]:
    """From several `show REF --json`: the versions on hold in production."""
    return tuple(
        VersionNumber(shown["version"])
        for shown in versions
        if any(hold["environment"] == ENVIRONMENT for hold in shown["holds"])
    )


def read_switches(log: Mapping[str, Any]) -> tuple[Switch, ...]:
    """From `log MODEL --json`, newest first: every operation that moved production, oldest first."""
    return tuple(
        Switch(
            at_ms=Instant(entry["at_ms"]),
            operation=OperationId(entry["operation"]),
            kind=entry["kind"],
            version=VersionNumber(change["after"]),
            actor=entry["actor"]["name"],
            reason=entry["reason"],
        )
        for entry in reversed(log["operations"])
        for change in entry["changes"]
        if change["kind"] == "ref_moved" and change["ref"] == ENVIRONMENT and change["after"]
    )


def read_findings(
    *,
    asked_at_ms: Instant,
    live: Mapping[str, Any],
    wrong_request: RequestId,
    why: Mapping[str, Any],
    fsck: Mapping[str, Any],
) -> Findings:
    """From `live --at`, `why` and `fsck`, each with `--json`."""
    here = next((view for view in live["live"] if view["ref"] == ENVIRONMENT), None)
    ordered_by = why["ordered_by"] or {}
    return Findings(
        asked_at_ms=asked_at_ms,
        live_ordered=here["version"] if here else None,
        live_observed=tuple(slot["version"] for slot in here["observed"]) if here else (),
        wrong_request=wrong_request,
        why_version=why["receipt"]["version"],
        why_operation=ordered_by.get("operation"),
        fsck_problems=tuple(f"{p['where']} {p['subject']}: {p['what']}" for p in fsck["problems"]),
        fsck_operations=fsck["operations"],
        fsck_objects=fsck["objects"],
    )

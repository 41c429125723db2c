"""What the registry answered, read into the values of an episode. Pure."""

from collections.abc import Sequence

from lastgood.core.changes import RefMoved, decode_change
from lastgood.core.ids import Instant, RefName, RequestId, VersionNumber
from lastgood.core.views import FsckReport, LiveView, LogEntry, VersionView, WhyView
from lastgood.demo.episode import Answer, Findings, Metrics, Switch
from lastgood.errors import LastgoodError

__all__ = ["proof_of_good", "read_findings", "read_held", "read_metrics", "read_switches"]

ENVIRONMENT = RefName("production")
METRIC = "roc_auc"


def read_metrics(version: VersionView) -> Metrics:
    """The offline metric recorded with the version.

    Raises:
        LastgoodError: it is not recorded.
    """
    metric = version.manifest.metrics.get(METRIC) if version.manifest else None
    if version.digest is None or not isinstance(metric, int | float):
        raise LastgoodError(
            f"{version.model}/{version.version} has no metric {METRIC} in its manifest"
        )
    return Metrics(version=version.version, digest=version.digest, roc_auc=float(metric))


def proof_of_good(version: VersionView) -> str:
    """By what the version earned `good` in production; empty if it has not."""
    marks = (mark for mark in version.marks if mark.environment == ENVIRONMENT)
    return next((mark.because for mark in marks if mark.value == "good"), "")


def read_held(versions: Sequence[VersionView]) -> tuple[VersionNumber, ...]:
    """The versions on hold in production."""
    return tuple(
        version.version
        for version in versions
        if any(hold.environment == ENVIRONMENT for hold in version.holds)
    )


def read_switches(log: Sequence[LogEntry]) -> tuple[Switch, ...]:
    """Every operation of a log, newest first, that pointed production elsewhere; oldest first."""
    moves = (
        (entry, change)
        for entry in reversed(log)
        for change in map(decode_change, entry.changes)
        if isinstance(change, RefMoved) and change.ref == ENVIRONMENT
    )
    return tuple(
        Switch(
            at_ms=entry.at_ms,
            operation=entry.operation,
            kind=entry.kind,
            version=change.after,
            actor=entry.actor.name,
            reason=entry.reason,
        )
        for entry, change in moves
        if change.after is not None
    )


def read_findings(
    *,
    asked_at_ms: Instant,
    live: Sequence[LiveView],
    wrong_request: RequestId,
    asked_again: Answer,
    why: WhyView,
    fsck: FsckReport,
) -> Findings:
    """What `live --at`, `why` and `fsck` found."""
    here = next((view for view in live if view.ref == ENVIRONMENT), None)
    return Findings(
        asked_at_ms=asked_at_ms,
        live_ordered=here.version if here else None,
        live_observed=tuple(slot.version for slot in here.observed) if here else (),
        wrong_request=wrong_request,
        asked_again=asked_again,
        why_version=why.receipt.version,
        why_operation=why.ordered_by.operation if why.ordered_by else None,
        fsck_problems=tuple(f"{p.where} {p.subject}: {p.what}" for p in fsck.problems),
        fsck_operations=fsck.operations,
        fsck_objects=fsck.objects,
    )

"""What may not be deleted: whatever a ref may return to, and the evidence of an incident."""

from lastgood.core.ids import Instant, RefName, VersionNumber
from lastgood.core.references import DEFAULT_ENVIRONMENT
from lastgood.engine.evidence import find_last_good, tenures_of
from lastgood.engine.policies import policy_in_force
from lastgood.engine.settings import Settings
from lastgood.store import observations
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["protected_refs", "why_protected", "why_retained"]


def protected_refs(connection: Connection, model: rows.ModelRow) -> set[RefName]:
    """The refs whose versions are protected: `production`, any that a gateway follows or the policy protects."""
    policy, _ = policy_in_force(connection)
    named = {name for name in policy.environments if policy.protects(model.name, name)}
    return {DEFAULT_ENVIRONMENT, *observations.followed_refs(connection, model.id), *named}


def why_retained(
    connection: Connection, model: rows.ModelRow, version: VersionNumber | None, now: Instant
) -> str:
    """Why the policy's retention keeps what was live, of that version or of any; empty if it does not."""
    policy, _ = policy_in_force(connection)
    for name in policy.environments:
        rules = policy.of(model.name, name)
        if rules is None or not rules.retention_s:
            continue
        for tenure in tenures_of(connection, model.id, name):
            ended = now if tenure.to_ms is None else tenure.to_ms
            of_it = version is None or tenure.version == version
            if of_it and now - ended <= rules.retention_s * 1000:
                return f"{model.name}/{tenure.version} was live in {name} less than {rules.retention} ago, and the policy retains that"
    return ""


def why_protected(
    connection: Connection,
    model: rows.ModelRow,
    version: VersionNumber,
    settings: Settings,
    *,
    now: Instant,
) -> str:
    """Why the version may not be deleted, in words; empty if it may."""
    protected = protected_refs(connection, model)
    for ref in rows.refs_to(connection, model.id, version):
        if ref.ref in protected:
            return f"{model.name}/{version} is live in {ref.ref}"
    for hold in rows.holds_of(connection, model.id):
        if hold.version == version and hold.counts_at(now):
            return (
                f"{model.name}/{version} is on hold in {hold.environment} (placed by {hold.actor})"
            )
    for name in sorted(protected):
        current = rows.ref_of(connection, model.id, name)
        good = find_last_good(
            connection,
            model,
            name,
            settings,
            current=current.version if current else None,
            now=now,
        ).candidate
        if good is not None and good.version == version:
            return f"{model.name}/{version} is the last good version of {name}: a rollback would return to it"
    return why_retained(connection, model, version, now)

"""What may not be deleted: whatever a ref may return to, and the evidence of an incident."""

from lastgood.core.ids import RefName, VersionNumber
from lastgood.core.references import DEFAULT_ENVIRONMENT
from lastgood.engine.evidence import find_last_good
from lastgood.engine.settings import Settings
from lastgood.store import observations
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["protected_refs", "why_protected"]


def protected_refs(connection: Connection, model_id: int) -> set[RefName]:
    """The refs whose versions are protected: `production`, and any that a gateway follows."""
    return {DEFAULT_ENVIRONMENT, *observations.followed_refs(connection, model_id)}


def why_protected(
    connection: Connection, model: rows.ModelRow, version: VersionNumber, settings: Settings
) -> str:
    """Why the version may not be deleted, in words; empty if it may."""
    protected = protected_refs(connection, model.id)
    for ref in rows.refs_to(connection, model.id, version):
        if ref.ref in protected:
            return f"{model.name}/{version} is live in {ref.ref}"
    for hold in rows.holds_of(connection, model.id):
        if hold.version == version:
            return (
                f"{model.name}/{version} is on hold in {hold.environment} (placed by {hold.actor})"
            )
    for name in sorted(protected):
        current = rows.ref_of(connection, model.id, name)
        good = find_last_good(
            connection, model, name, settings, current=current.version if current else None
        ).candidate
        if good is not None and good.version == version:
            return f"{model.name}/{version} is the last good version of {name}: a rollback would return to it"
    return ""

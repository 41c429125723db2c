"""Recording what was found out about a version."""

from collections.abc import Iterable

from lastgood.cas.port import ObjectStore
from lastgood.core.changes import EvidenceRecorded
from lastgood.core.commands import RecordEvidence
from lastgood.core.evidence import Evidence
from lastgood.core.ids import Digest, ModelName, VersionNumber
from lastgood.engine.kernel import Decision
from lastgood.engine.resolve import Found, model_of, version_of
from lastgood.errors import IntegrityFailure, NotFound
from lastgood.store.database import Connection

__all__ = ["decide_evidence", "evidence_changes", "verify_named"]


def evidence_changes(
    model: ModelName, version: VersionNumber, evidence: Iterable[Evidence]
) -> tuple[EvidenceRecorded, ...]:
    """The changes that record it."""
    return tuple(
        EvidenceRecorded(
            model=model,
            version=version,
            name=one.name,
            outcome=one.outcome,
            summary=one.summary,
            figures=one.figures,
            object=one.object,
        )
        for one in evidence
    )


def decide_evidence(tx: Connection, command: RecordEvidence, found: Found) -> Decision:
    """Record the evidence on the version that was found, also if the same was recorded before.

    Raises:
        NotFound: the version was deleted meanwhile.
    """
    model = model_of(tx, found.model.name)
    number = version_of(tx, model, found.version.version).version
    said = ", ".join(f"{one.name} {one.outcome}" for one in command.evidence)
    return Decision(
        kind="record_evidence",
        model=model.name,
        changes=evidence_changes(model.name, number, command.evidence),
        summary=f"{model.name}/{number}: {said}",
        reason=command.reason,
    )


def verify_named(objects: ObjectStore, named: Iterable[tuple[str, Digest]]) -> None:
    """Read and hash each object; the names are for the error.

    Raises:
        IntegrityFailure: one is missing or damaged.
    """
    for what, digest in named:
        try:
            objects.verify(digest)
        except NotFound:
            raise IntegrityFailure(
                f"{what} is missing (object {digest})", hint="send the object first"
            ) from None

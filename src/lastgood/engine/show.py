"""Models and versions as views."""

from dataclasses import replace

from lastgood.core.changes import VerdictsRecorded
from lastgood.core.ids import Instant, VersionNumber
from lastgood.core.manifest import Manifest
from lastgood.core.operations import Operation
from lastgood.core.views import (
    ApprovalView,
    EvidenceView,
    HoldView,
    ModelView,
    VerdictsView,
    VersionView,
)
from lastgood.engine.evidence import marks_on
from lastgood.engine.settings import Settings
from lastgood.store import log
from lastgood.store import registry as rows
from lastgood.store.approvals import approvals_on
from lastgood.store.database import Connection
from lastgood.store.evidence import evidence_of
from lastgood.store.verdicts import verdicts_of

__all__ = ["model_views", "version_view", "version_views", "with_words"]


def model_views(connection: Connection) -> list[ModelView]:
    """All models, by name."""
    return [_model_view(connection, row) for row in rows.all_models(connection)]


def _model_view(connection: Connection, row: rows.ModelRow) -> ModelView:
    latest = rows.version_latest(connection, row.id)
    return ModelView(
        model=row.name,
        description=row.description,
        versions=rows.count_versions(connection, row.id),
        latest=latest.version if latest else None,
        refs={r.ref: r.version for r in rows.refs_of(connection, row.id) if r.version is not None},
        created_ms=row.created_ms,
        changed_ms=row.changed_ms,
    )


def version_views(
    connection: Connection, model: rows.ModelRow, settings: Settings
) -> list[VersionView]:
    """All versions of a model, newest first, without manifests."""
    found = rows.versions_of(connection, model.id)
    return [version_view(connection, model, row, settings) for row in found]


def version_view(
    connection: Connection,
    model: rows.ModelRow,
    row: rows.VersionRow,
    settings: Settings,
    *,
    manifest: Manifest | None = None,
) -> VersionView:
    """One version and everything known of it."""
    registered = log.by_seqs(connection, [row.seq])[row.seq]
    return VersionView(
        model=model.name,
        version=row.version,
        digest=row.digest,
        registered_ms=row.created_ms,
        registered_by=registered.actor.name,
        operation=registered.id,
        stage=row.stage.value,
        refs=tuple(r.ref for r in rows.refs_to(connection, model.id, row.version)),
        description=row.description,
        tags=rows.tags_of_version(connection, model.id, row.version),
        source=row.source,
        run_id=row.run_id,
        size=row.size,
        verified=row.digest is not None,
        marks=marks_on(connection, model, row.version, settings),
        holds=_holds(connection, model, row.version),
        evidence=_evidence(connection, model, row.version),
        manifest=manifest,
    )


def with_words(
    connection: Connection,
    model: rows.ModelRow,
    row: rows.VersionRow,
    view: VersionView,
    *,
    now: Instant,
) -> VersionView:
    """The view with what people and gates said of the version, as far as it counts at that moment."""
    words = [
        one
        for one in approvals_on(connection, model.id, row.version)
        if one.approval.counts(digest=row.digest, now=now)
    ]
    asked = verdicts_of(connection, model.id, row.version)
    operations = log.by_seqs(connection, [*(one.seq for one in words), *asked.values()])
    return replace(
        view,
        approvals=tuple(
            ApprovalView(
                environment=one.environment,
                actor=one.approval.actor,
                word=one.approval.word,
                meaning=one.approval.meaning,
                at_ms=one.approval.at_ms,
                expires_ms=one.approval.expires_ms,
                operation=operations[one.seq].id,
                reason=operations[one.seq].reason,
            )
            for one in words
        ),
        verdicts=tuple(
            _verdicts(operations[seq], row.version, environment)
            for environment, seq in asked.items()
        ),
    )


def _verdicts(operation: Operation, version: VersionNumber, environment: str) -> VerdictsView:
    said = next(
        change
        for change in operation.changes
        if isinstance(change, VerdictsRecorded)
        and (change.version, change.environment) == (version, environment)
    )
    return VerdictsView(
        environment=said.environment,
        allowed=said.allowed,
        verdicts=said.verdicts,
        operation=operation.id,
        actor=operation.actor.name,
        at_ms=operation.at_ms,
    )


def _holds(
    connection: Connection, model: rows.ModelRow, version: VersionNumber
) -> tuple[HoldView, ...]:
    held = [h for h in rows.holds_of(connection, model.id) if h.version == version]
    operations: dict[int, Operation] = log.by_seqs(connection, [h.seq for h in held])
    return tuple(
        HoldView(
            version=version,
            environment=h.environment,
            operation=operations[h.seq].id,
            actor=h.actor,
            reason=h.reason,
            since_ms=h.at_ms,
            owner=h.owner,
            expires_ms=h.expires_ms,
        )
        for h in held
    )


def _evidence(
    connection: Connection, model: rows.ModelRow, version: VersionNumber
) -> tuple[EvidenceView, ...]:
    found = evidence_of(connection, model.id, version)
    operations: dict[int, Operation] = log.by_seqs(connection, [row.seq for row in found])
    return tuple(
        EvidenceView(
            name=row.evidence.name,
            outcome=row.evidence.outcome,
            summary=row.evidence.summary,
            figures=row.evidence.figures,
            object=row.evidence.object,
            operation=operations[row.seq].id,
            actor=row.actor,
            at_ms=row.at_ms,
        )
        for row in found
    )

"""Registering what a source names: freeze it, make the manifest durable, then give it a number."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lastgood.core.changes import VersionRegistered
from lastgood.core.ids import Digest, VersionNumber, parse_model_name
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.freeze import FreezeOrder, freeze_manifest
from lastgood.engine.kernel import Decision, Kernel
from lastgood.engine.register import check_description, check_tags, data_digests
from lastgood.engine.resolve import model_of, numbers_of
from lastgood.engine.sources import (
    Resolved,
    SourceClaim,
    external_source,
    is_elsewhere,
    resolve_source,
)
from lastgood.engine.tracking.logged_models import note_version
from lastgood.errors import TooLarge
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["NewVersion", "PreparedVersion", "decide_version", "prepare_version"]

RUN_LINK_LENGTH_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """A version to be registered."""

    model: str
    claim: SourceClaim
    description: str = ""
    run_link: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedVersion:
    """A version whose manifest is durable, so that an operation may name it."""

    new: NewVersion
    source: Resolved
    digest: Digest | None = None
    """None for an external version."""
    size: int = 0
    user: str = ""
    """Whose run it came from; empty if that is not known."""
    commit: str = ""
    data: tuple[str, ...] = ()


def prepare_version(
    kernel: Kernel, artifacts: Artifacts, new: NewVersion, *, program: str = ""
) -> PreparedVersion:
    """Freeze what the source means and make the manifest durable; nothing is registered yet.

    Raises:
        NotFound: the source does not exist; or the model, if anything is looked up.
        InvalidInput: the source is not allowed, or `MLmodel` cannot be read.
        IntegrityFailure: a file that has to be read is damaged.
    """
    name = parse_model_name(new.model)
    check_description(new.description)
    check_tags(dict(new.tags))
    if len(new.run_link) > RUN_LINK_LENGTH_MAX:
        raise TooLarge(f"A run link exceeds the maximum length of {RUN_LINK_LENGTH_MAX} characters")

    if new.claim.placeholder or (is_elsewhere(new.claim) and not new.claim.logged_model_id):
        # There is nothing to look up; whether there is such a model, the act will see.
        return PreparedVersion(new=new, source=external_source(new.claim))

    def query(connection: Connection) -> tuple[PreparedVersion, bytes]:
        model_of(connection, name)
        source = resolve_source(connection, artifacts, new.claim, now=kernel.clock())
        prepared = PreparedVersion(new=new, source=source)
        if source.version is not None:
            row = source.version.version
            commit, data = rows.origins_of(connection, row.model_id, row.version)
            return (
                replace(prepared, digest=row.digest, size=row.size, commit=commit, data=data),
                b"",
            )
        if not source.files:
            return prepared, b""
        order = FreezeOrder(
            files=source.files,
            uri=new.claim.source,
            run_id=source.run_id,
            logged_model_id=source.logged_model_id,
            program=program,
        )
        manifest, user = freeze_manifest(connection, kernel.objects, order)
        made = replace(
            prepared,
            size=manifest.size,
            user=user,
            commit=manifest.code.commit,
            data=data_digests(manifest),
        )
        return made, manifest.encode()

    prepared, body = kernel.database.read(query)
    # Outside of the snapshot, because making bytes durable takes its time; before the operation that names them.
    return replace(prepared, digest=kernel.objects.put_bytes(body)) if body else prepared


def decide_version(tx: Connection, prepared: PreparedVersion, *, user: str) -> Decision:
    """The next number for the prepared version; also for bytes that have one, as MLflow's clients expect.

    Raises:
        NotFound: the model was deleted meanwhile.
    """
    new, source = prepared.new, prepared.source
    model = numbers_of(tx, new.model)
    number = VersionNumber(model.last + 1)
    # As with MLflow, a logged model does not hear of copies of a version that came from it.
    if source.logged_model_id and (source.version is None or new.claim.logged_model_id):
        note_version(tx, source.logged_model_id, model.name, number)
    registered = VersionRegistered(
        model=model.name,
        version=number,
        digest=prepared.digest,
        source=new.claim.source,
        run_id=source.run_id,
        run_link=new.run_link,
        user=user,
        description=new.description,
        logged_model_id=source.logged_model_id,
        artifact_uri="" if prepared.digest else source.artifact_uri,
        size=prepared.size,
        tags=dict(new.tags),
        commit=prepared.commit,
        data=prepared.data,
    )
    return Decision(
        kind="register",
        model=model.name,
        model_id=model.model_id,
        changes=(registered,),
        summary=f"{model.name}/{number} registered: {_what(tx, model.model_id, prepared)}",
    )


def _what(tx: Connection, model_id: int, prepared: PreparedVersion) -> str:
    if prepared.digest is None:
        return "external, its bytes are not here"
    count = len(prepared.source.files)
    words = f"{count} files, {prepared.digest[:19]}" if count else prepared.digest[:19]
    same = rows.versions_by_digest(tx, model_id, prepared.digest)
    return f"{words}, same bytes as version {same[0].version}" if same else words

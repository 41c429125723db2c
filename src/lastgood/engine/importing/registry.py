"""Models, versions and aliases as they were in another registry, each an operation of kind `import`."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from lastgood.core.changes import (
    Change,
    ModelCreated,
    NumbersUsed,
    RefMoved,
    StageChanged,
    TimesKept,
    VersionRegistered,
)
from lastgood.core.commands import Caller
from lastgood.core.exchange import ImportedModel, ImportedVersion
from lastgood.core.ids import (
    Digest,
    Instant,
    ModelName,
    RefName,
    VersionNumber,
    parse_digest,
    parse_model_name,
    parse_ref_name,
    parse_version_number,
    printable,
)
from lastgood.core.stages import Stage, ref_of_stage
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.freeze import FreezeOrder, freeze_manifest
from lastgood.engine.kernel import Decision, Kernel, Recorded
from lastgood.engine.promote import describe
from lastgood.engine.register import check_description, check_tags, model_or_creation
from lastgood.engine.resolve import model_of
from lastgood.errors import InvalidInput, NotFound, TooLarge
from lastgood.store import registry as rows
from lastgood.store.database import Connection

__all__ = ["RegistryImport"]

RECORDS_MAX = 1_000  # models or versions in one call
ALIASES_MAX = 1_000  # of one model


class RegistryImport:
    """A registry's content from elsewhere. Each method returns when all of it is durable."""

    def __init__(self, kernel: Kernel, artifacts: Artifacts) -> None:
        self._kernel = kernel
        self._artifacts = artifacts

    def models(self, models: Sequence[ImportedModel], *, caller: Caller, reason: str) -> int:
        """Make models, without versions and aliases; how many operations that took.

        Raises:
            InvalidName, InvalidInput, TooLarge: a name, tag or description is not allowed, or too many.
            AlreadyExists: another model's name differs only by case.
        """
        _check_count(len(models))
        for model in models:
            _check_model(model)
        return _count(
            self._kernel.act(caller, lambda tx, m=model: _create(tx, m, reason))  # type: ignore[misc]
            for model in models
        )

    def versions(self, versions: Sequence[ImportedVersion], *, caller: Caller, reason: str) -> int:
        """Make versions under the numbers they had; how many were new.

        Their files are frozen. A version without files, or with an empty folder, is external.

        Raises:
            NotFound: a model does not exist. InvalidInput, TooLarge: a field is not allowed.
            IntegrityFailure: a file that has to be read is damaged.
        """
        _check_count(len(versions))
        for version in versions:
            _check_version(version)
        wanted = [v for v in versions if not self._database_has(v)]
        frozen = [(version, *self._freeze(version)) for version in wanted]
        return _count(
            self._kernel.act(
                caller,
                lambda tx, v=version, d=digest, s=size: _register(tx, v, d, s, reason),  # type: ignore[misc]
            )
            for version, digest, size in frozen
        )

    def aliases(self, models: Sequence[ImportedModel], *, caller: Caller, reason: str) -> int:
        """Point aliases, and the refs of stages, at versions, where such a ref never was; how many operations.

        Raises:
            NotFound: a model does not exist. InvalidInput: a name is not allowed.
        """
        _check_count(len(models))
        for model in models:
            _check_model(model)
        return _count(
            self._kernel.act(caller, lambda tx, m=model: _point(tx, m, reason))  # type: ignore[misc]
            for model in models
        )

    def numbers_used(self, names: Sequence[str]) -> list[int]:
        """The highest number ever given under each of these names. Raises TooLarge."""
        _check_count(len(names))
        return self._kernel.database.read(lambda c: [rows.last_number(c, name) for name in names])

    def _database_has(self, version: ImportedVersion) -> bool:
        def query(connection: Connection) -> bool:
            model = model_of(connection, version.model)
            return rows.version_of(connection, model.id, version.version) is not None

        return self._kernel.database.read(query)

    def _freeze(self, version: ImportedVersion) -> tuple[Digest | None, int]:
        if not version.folder and not version.files:
            return None, 0
        for file in version.files:
            if not self._kernel.objects.has(parse_digest(file.digest)):
                raise InvalidInput(f"The object of '{printable(file.path)}' was not sent")

        def query(connection: Connection) -> tuple[bytes, int]:
            files = tuple(sorted(version.files, key=lambda file: file.path))
            files = files or self._artifacts.freeze(connection, version.folder)
            order = FreezeOrder(
                files=files,
                uri=version.source,
                run_id=version.run_id,
                logged_model_id=version.logged_model_id,
            )
            manifest, _ = freeze_manifest(connection, self._kernel.objects, order)
            return manifest.encode(), manifest.size

        try:
            body, size = self._kernel.database.read(query)
        except NotFound:  # its files were lost before it came here
            return None, 0
        # The manifest is durable before the operation that names it.
        return self._kernel.objects.put_bytes(body), size


def _create(tx: Connection, model: ImportedModel, reason: str) -> Decision:
    row, creation = model_or_creation(tx, model.name)
    changes: list[Change] = []
    if creation:
        changes.append(
            ModelCreated(model=model.name, description=model.description, tags=model.tags)
        )
    if rows.last_number(tx, model.name) < model.numbers_used:
        changes.append(NumbersUsed(model=model.name, last=VersionNumber(model.numbers_used)))
    if changes:
        kept = row or model
        changes += _times(model.name, kept.created_ms, kept.changed_ms)
    return Decision(
        kind="import",
        model=model.name,
        changes=tuple(changes),
        summary=f"{model.name} imported",
        reason=reason,
    )


def _register(
    tx: Connection, version: ImportedVersion, digest: Digest | None, size: int, reason: str
) -> Decision:
    model = model_of(tx, version.model)
    name, number = model.name, version.version
    changes: tuple[Change, ...] = ()
    if rows.version_of(tx, model.id, number) is None:
        changes = (
            VersionRegistered(
                model=name,
                version=number,
                digest=digest,
                source=version.source,
                run_id=version.run_id,
                run_link=version.run_link,
                user=version.user,
                description=version.description,
                logged_model_id=version.logged_model_id,
                artifact_uri="" if digest else version.address,
                size=size,
                tags=version.tags,
            ),
            *_staged(version),
            *_times(name, version.created_ms, version.changed_ms, number),
            *_times(name, model.created_ms, model.changed_ms),
        )
    what = digest[:19] if digest else "external, its bytes are not here"
    return Decision(
        kind="import",
        model=name,
        changes=changes,
        summary=f"{name}/{number} imported: {what}",
        reason=reason,
    )


def _staged(version: ImportedVersion) -> Iterator[Change]:
    if version.stage is not Stage.NONE:
        yield StageChanged(
            model=version.model, version=version.version, before=Stage.NONE, after=version.stage
        )


def _point(tx: Connection, model: ImportedModel, reason: str) -> Decision:
    row = model_of(tx, model.name)
    # A ref that is or was here stays as somebody left it here.
    known = {ref.ref for ref in rows.refs_of(tx, row.id)}
    changes: list[Change] = []
    for alias, number in sorted(model.aliases.items()):
        ref = parse_ref_name(alias)
        if ref not in known:
            changes.append(_moved(tx, row, ref, VersionNumber(number), alias=True))
            known.add(ref)
    # MLflow reads a stage as its newest version; an alias of the stage's name says it better.
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        ref_of, newest = ref_of_stage(stage), rows.latest_per_stage(tx, row.id, [stage])
        if ref_of is not None and ref_of not in known and newest:
            changes.append(_moved(tx, row, ref_of, newest[0].version, alias=False))
    summary = "; ".join(describe(change) for change in changes)
    if changes:
        changes += _times(row.name, row.created_ms, row.changed_ms)
    return Decision(
        kind="import",
        model=row.name,
        changes=tuple(changes),
        summary=f"refs imported: {summary}",
        reason=reason,
    )


def _moved(
    tx: Connection, model: rows.ModelRow, ref: RefName, number: VersionNumber, *, alias: bool
) -> RefMoved:
    if rows.version_of(tx, model.id, number) is None:
        raise NotFound(f"{model.name} has no version {number} that {ref} could point to")
    return RefMoved(model=model.name, ref=ref, before=None, after=number, alias=alias)


def _times(
    name: ModelName, created_ms: int, changed_ms: int, version: VersionNumber | None = None
) -> tuple[Change, ...]:
    kept = TimesKept(
        model=name,
        version=version,
        created_ms=Instant(created_ms),
        changed_ms=Instant(changed_ms),
    )
    return (kept,)


def _check_model(model: ImportedModel) -> None:
    parse_model_name(model.name)
    check_description(model.description)
    check_tags(model.tags)
    if len(model.aliases) > ALIASES_MAX:
        raise TooLarge(f"{model.name} has more than {ALIASES_MAX:,} aliases")
    for alias, number in model.aliases.items():
        parse_ref_name(alias)
        parse_version_number(number)
    if model.numbers_used:
        parse_version_number(model.numbers_used)


def _check_version(version: ImportedVersion) -> None:
    parse_model_name(version.model)
    parse_version_number(version.version)
    check_description(version.description)
    check_tags(version.tags)
    for text in (version.source, version.address, version.run_link, version.user):
        check_description(text)


def _check_count(count: int) -> None:
    if count > RECORDS_MAX:
        raise TooLarge(f"At most {RECORDS_MAX:,} at a time; these are {count:,}")


def _count(futures: Iterator[Future[Recorded]]) -> int:
    # All are queued before the first is waited for, so that they share commits.
    return sum(future.result().operation is not None for future in list(futures))

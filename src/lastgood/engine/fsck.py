"""Verify everything that can be verified: database, log, projections, objects, references to objects."""

from collections.abc import Iterator

from lastgood.core.ids import Digest
from lastgood.core.views import FsckReport, Problem
from lastgood.engine.kernel import Kernel
from lastgood.engine.preflight import read_manifest
from lastgood.errors import IntegrityFailure, LastgoodError
from lastgood.store import log, rebuild, token
from lastgood.store.database import Connection
from lastgood.store.evidence import evidence_objects

__all__ = ["fsck"]


def fsck(kernel: Kernel) -> FsckReport:
    """Check all of it and report; repairs nothing."""
    problems: list[Problem] = []
    operations, head, projections, named = kernel.database.read(
        lambda c: _check_database(kernel, c, problems)
    )
    objects, size = 0, 0
    stored: set[Digest] = set()
    for digest in kernel.objects.digests():
        stored.add(digest)
        objects += 1
        try:
            size += kernel.objects.verify(digest)
        except LastgoodError as error:
            users = named.get(digest, ["nothing names it"])
            problems.append(
                Problem(
                    where="object", subject=str(digest), what=f"{error.message}; {', '.join(users)}"
                )
            )
    problems += [
        Problem(
            where="object", subject=str(digest), what=f"it is missing; {', '.join(named[digest])}"
        )
        for digest in sorted(named.keys() - stored)
    ]
    return FsckReport(
        operations=operations,
        objects=objects,
        bytes=size,
        projections=projections,
        problems=tuple(problems),
        head=head,
        orphans=len(stored - named.keys()),
    )


def _check_database(
    kernel: Kernel, connection: Connection, problems: list[Problem]
) -> tuple[int, Digest, int, dict[Digest, list[str]]]:
    problems += [
        Problem(where="database", subject=kernel.database.place, what=w)
        for w in rebuild.database_flaws(connection)
    ]
    operations = 0
    for operation, flaw in log.verify_chain(connection):
        operations += 1
        if flaw:
            problems.append(
                Problem(where="log", subject=operation.id if operation else "?", what=flaw)
            )
    try:
        compared, deviations = rebuild.compare(connection)
    except IntegrityFailure as error:
        compared, deviations = 0, []
        problems.append(Problem(where="log", subject="fold", what=error.message))
    for deviation in deviations:
        what = (
            "the log implies this row, the table lacks it"
            if deviation.missing
            else "the log does not imply this row"
        )
        problems.append(
            Problem(where="projection", subject=deviation.table, what=f"{what}: {deviation.row}")
        )
    named: dict[Digest, list[str]] = {}
    for digest, user in _named_objects(kernel, connection, problems):
        named.setdefault(digest, []).append(user)
    return operations, log.newest(connection)[1], compared, named


def _named_objects(
    kernel: Kernel, connection: Connection, problems: list[Problem]
) -> Iterator[tuple[Digest, str]]:
    """Every object that must exist, with who needs it in words."""
    if (known := token.token_of(connection)) is not None:
        yield known, "token of the registry"
    for name, number, digest in rebuild.verified_versions(connection):
        subject = f"{name}/{number}"
        yield digest, f"manifest of {subject}"
        try:
            manifest = read_manifest(kernel.objects, digest)
        except LastgoodError as error:
            problems.append(Problem(where="manifest", subject=subject, what=error.message))
            continue
        for entry in manifest.files:
            yield entry.digest, f"{entry.path} of {subject}"
        for what, kept in manifest.kept():
            yield kept, f"{what} of {subject}"
    for name, number, what, found in evidence_objects(connection):
        yield found, f"{what} of {name}/{number}"
    for path, digest in rebuild.artifact_objects(connection):
        yield digest, f"artifact {path}"

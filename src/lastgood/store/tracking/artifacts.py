"""The mutable artifacts of runs: a path names the digest of an object."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lastgood.store.database import Connection
from lastgood.store.dialects import insert
from lastgood.store.lists import among, listed
from lastgood.store.schema import artifacts, versions
from lastgood.store.statement import Statement

__all__ = [
    "ArtifactRow",
    "artifact_at",
    "artifacts_in",
    "artifacts_under",
    "folders_in",
    "is_registered",
    "parent_of",
    "put_artifact",
    "remove_tree",
    "taken_by_another_kind",
]

_AFTER_SLASH = chr(ord("/") + 1)  # 'd/' <= x < 'd0' are exactly the paths inside d
_LEAST = "\x01"  # the least character that text may hold: PostgreSQL takes no NUL


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """A mutable file under the artifact root."""

    path: str
    digest: str
    size: int


_c = artifacts.c
_ROW = (_c.path, _c.digest, _c.size)
_start: sa.BindParameter[str] = sa.bindparam("start")
_end: sa.BindParameter[str] = sa.bindparam("end_")
_path: sa.BindParameter[str] = sa.bindparam("path")
_insert = insert(artifacts)
_put = Statement(
    _insert.on_conflict_do_update(
        index_elements=["path"],
        set_={name: _insert.excluded[name] for name in ("digest", "size", "changed_ms")},
    )
)
_at = Statement(sa.select(*_ROW).where(_c.path == _path))
_in = Statement(sa.select(*_ROW).where(_c.parent == sa.bindparam("parent")).order_by(_c.path))
_under = Statement(sa.select(*_ROW).where(_c.path >= _start, _c.path < _end).order_by(_c.path))
_any_under = Statement(sa.select(_c.path).where(_c.path >= _start, _c.path < _end).limit(1))
_any_of = Statement(sa.select(_c.path).where(among(_c.path, sa.bindparam("paths"))).limit(1))
_next_parent = Statement(
    sa.select(sa.func.min(_c.parent)).where(_c.parent >= _start, _c.parent < _end)
)
_remove = Statement(
    artifacts.delete().where(sa.or_(_c.path == _path, sa.and_(_c.path >= _start, _c.path < _end)))
)
_registered = Statement(
    sa.select(versions.c.version).where(versions.c.digest == sa.bindparam("digest")).limit(1)
)


def parent_of(path: str) -> str:
    """The folder that holds the path; empty for the root."""
    return path.rpartition("/")[0]


def put_artifact(tx: Connection, row: ArtifactRow, *, now_ms: int) -> None:
    """Let the path name that object, whatever it named before."""
    values = {
        "path": row.path,
        "parent": parent_of(row.path),
        "digest": row.digest,
        "size": row.size,
    }
    _put.run(tx, {**values, "changed_ms": now_ms})


def artifact_at(connection: Connection, path: str) -> ArtifactRow | None:
    """The file of that path."""
    row = _at.first(connection, {"path": path})
    return ArtifactRow(*row) if row else None


def artifacts_in(connection: Connection, folder: str) -> list[ArtifactRow]:
    """The files directly in the folder, by name."""
    return [ArtifactRow(*row) for row in _in.all(connection, {"parent": folder})]


def artifacts_under(connection: Connection, folder: str) -> list[ArtifactRow]:
    """All files in the folder and its subfolders, by path."""
    return [ArtifactRow(*row) for row in _under.all(connection, _range(folder))]


def folders_in(connection: Connection, folder: str) -> list[str]:
    """The names of the folders directly in the folder, in order.

    At most two short index look-ups per name, however many files the subfolders hold.
    """
    prefix = f"{folder}/" if folder else ""
    # Every path sorts between these two, so that the root is a range like any other folder.
    start, end = (prefix, _range(folder)["end_"]) if folder else (_LEAST, "\U0010ffff")
    names: set[str] = set()
    while (found := _next_parent.scalar(connection, {"start": start, "end_": end})) is not None:
        name, inside, _ = str(found)[len(prefix) :].partition("/")
        names.add(name)
        # 'd-2' sorts between 'd' and 'd/x': from 'd' step just one further, from 'd/x' step over all inside d.
        start = f"{prefix}{name}{_AFTER_SLASH if inside else _LEAST}"
    return sorted(names)


def taken_by_another_kind(connection: Connection, path: str) -> str | None:
    """A file where `path` needs a folder, or one inside of `path`, if there is one."""
    folders = _folders_above(path)
    file: str | None = _any_of.scalar(connection, {"paths": listed(connection, folders)})
    inside: str | None = _any_under.scalar(connection, _range(path))
    return file or inside


def remove_tree(tx: Connection, path: str) -> int:
    """Forget the file of that path, or all files in the folder of that path; how many."""
    return _remove.count(tx, {"path": path, **_range(path)})


def is_registered(connection: Connection, digest: str) -> bool:
    """Whether some version has this manifest."""
    return _registered.first(connection, {"digest": digest}) is not None


def _range(folder: str) -> dict[str, str]:
    return {"start": f"{folder}/", "end_": f"{folder}{_AFTER_SLASH}"}


def _folders_above(path: str) -> Sequence[str]:
    parts = path.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]

"""Files that come in parts: which upload makes which path, until when, and what became of it."""

from dataclasses import dataclass

import sqlalchemy as sa

from lastgood.store.database import Connection
from lastgood.store.schema import uploads
from lastgood.store.statement import Statement

__all__ = ["UploadRow", "add_upload", "complete_upload", "expired", "remove_upload", "upload_of"]


@dataclass(frozen=True, slots=True)
class UploadRow:
    """A file that is sent in parts; `digest` and `size` are known once it is complete."""

    id: str
    path: str
    parts: int
    expires_ms: int
    digest: str | None = None
    size: int | None = None


_c = uploads.c
_COLUMNS = ("id", "path", "parts", "expires_ms", "digest", "size")
_add = Statement(uploads.insert(), _COLUMNS)
_of = Statement(sa.select(*(_c[name] for name in _COLUMNS)).where(_c.id == sa.bindparam("id")))
_complete = Statement(
    uploads.update()
    .where(_c.id == sa.bindparam("upload"))
    .values(digest=sa.bindparam("digest"), size=sa.bindparam("size"))
)
_remove = Statement(uploads.delete().where(_c.id == sa.bindparam("id")))
_expired = Statement(
    sa.select(_c.id)
    .where(_c.expires_ms < sa.bindparam("now_ms"))
    .order_by(_c.expires_ms)
    .limit(sa.bindparam("limit_"))
)


def add_upload(tx: Connection, row: UploadRow) -> None:
    """Note an upload that begins."""
    values = (row.id, row.path, row.parts, row.expires_ms, row.digest, row.size)
    _add.run_many(tx, [values])


def upload_of(connection: Connection, upload: str) -> UploadRow | None:
    """The upload of that id."""
    row = _of.first(connection, {"id": upload})
    return UploadRow(*row) if row else None


def complete_upload(tx: Connection, upload: str, *, digest: str, size: int) -> bool:
    """Note what the upload came to; False if it was given up meanwhile."""
    return _complete.count(tx, {"upload": upload, "digest": digest, "size": size}) == 1


def remove_upload(tx: Connection, upload: str) -> bool:
    """Forget the upload; False if there is none."""
    return _remove.count(tx, {"id": upload}) == 1


def expired(connection: Connection, *, now_ms: int, limit: int) -> list[str]:
    """Uploads whose time is over, the oldest first."""
    return [str(row[0]) for row in _expired.all(connection, {"now_ms": now_ms, "limit_": limit})]

"""The object by which a registry knows the objects that belong to it."""

import sqlalchemy as sa

from lastgood.core.ids import Digest
from lastgood.store.database import Connection
from lastgood.store.schema import meta
from lastgood.store.statement import Statement

__all__ = ["keep_token", "token_of"]

_KEY = "objects"
_find = Statement(sa.select(meta.c.value).where(meta.c.key == _KEY))
_insert = Statement(meta.insert())


def token_of(connection: Connection) -> Digest | None:
    """The digest of the token, if one was kept."""
    found: str | None = _find.scalar(connection)
    return None if found is None else Digest(found)


def keep_token(tx: Connection, digest: Digest) -> Digest:
    """Keep the token, unless another server was quicker; the one that is kept."""
    known = token_of(tx)
    if known is None:
        _insert.run(tx, {"key": _KEY, "value": digest})
    return known or digest

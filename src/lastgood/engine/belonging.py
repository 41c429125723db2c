"""Do these objects belong to this database?

A database that many servers share, and objects that each server looks for where its own data
directory says: a server that looks in the wrong place would register versions whose bytes the
others do not find. So a registry that others can join puts a token among its objects.
"""

import uuid

from lastgood.cas.port import ObjectStore
from lastgood.errors import StoreUnavailable
from lastgood.store.database import Database
from lastgood.store.token import keep_token, token_of

__all__ = ["check_belonging"]


def check_belonging(database: Database, objects: ObjectStore) -> None:
    """Look for the token of the database among the objects; the first who comes puts it there.

    Raises:
        StoreUnavailable: it is not there.
    """
    token = database.peek(token_of)
    if token is None:
        made = objects.put_bytes(f"objects of lastgood registry {uuid.uuid4()}\n".encode())
        token = database.write(lambda tx: keep_token(tx, made)).result()
    if not objects.has(token):
        raise StoreUnavailable(
            f"The objects of the registry at {database.place} are somewhere else than this data directory says",
            hint="give every server the same objects: --objects URL, or [objects] url in its config.toml",
        )

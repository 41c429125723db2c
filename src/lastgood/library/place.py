"""Which registry a script works on."""

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lastgood import __version__
from lastgood.core.commands import Caller
from lastgood.core.operations import Actor, Origin
from lastgood.core.ports import Registry

__all__ = ["OpenRegistry", "open_registry"]

DEFAULT_DATA = ".lastgood"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRegistry:
    """A registry and who acts on it."""

    registry: Registry
    caller: Caller


@contextmanager
def open_registry(registry: str | os.PathLike[str] | None = None) -> Iterator[OpenRegistry]:
    """Open a registry, for the verbs of `core.ports.Registry`.

    Args:
        registry: A URL of a server, or a data directory. None: ``LASTGOOD_SERVER``, else
            ``LASTGOOD_HOME``, else ``./.lastgood``; that one is made if it does not exist.

    Raises:
        ServerUnreachable, StoreUnavailable, NotFound: it cannot be opened.
    """
    server = os.environ.get("LASTGOOD_SERVER", "") if registry is None else os.fspath(registry)
    if server.startswith(("http://", "https://")):
        from lastgood.sdk.client import RemoteRegistry

        with RemoteRegistry(server) as remote:
            yield OpenRegistry(registry=remote, caller=_caller())
        return
    from lastgood.engine.open import init_data_directory, open_engine

    named = registry if registry is not None else os.environ.get("LASTGOOD_HOME")
    data = Path(named or DEFAULT_DATA)
    if not named:
        init_data_directory(data)
    with open_engine(data, store_url=os.environ.get("LASTGOOD_STORE", "")) as engine:
        yield OpenRegistry(registry=engine.registry, caller=_caller())


def _caller() -> Caller:
    origin = Origin(host=socket.gethostname(), program=f"lastgood/{__version__}")
    return Caller(actor=Actor(name=os.environ.get("LASTGOOD_ACTOR") or _user()), origin=origin)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a user id without a name
        return f"uid-{os.getuid()}"

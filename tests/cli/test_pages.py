"""Pages that show commands: these exist and print what the page shows; of the incidents, which take long, at night."""

import importlib
import shlex
from pathlib import Path

import pytest

from lastgood.cli.app import root_command

DOCS = Path(__file__).parents[2] / "docs"
INCIDENTS = DOCS / "incidents.md"
REPLAY_TIMEOUT_S = 1500


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
    typed = [one.text for part in consoles(replay, INCIDENTS.read_text()) for one in part.commands]
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


@pytest.mark.parametrize("name", ["policy.md", "ci.md"])
def test_a_page_shows_what_its_commands_print(replay, name):
    page = (DOCS / "how-to" / name).read_text()
    assert replay.replay(page, tell=lambda _: None) == page, "run: python docs/generate_pages.py"


def test_what_differs_from_run_to_run_does_not_count_and_all_else_does(replay):
    same = replay.normalised
    one = "churn/2 op-c49e463f70336812 · 2026-11-21 15:41:08 · 3 s ago, none -> 58c90a5dd2a5"
    other = "churn/2 op-0123456789abcdef · 2027-01-01 00:00:01 · just now, none -> 0123456789ab"
    assert same(one) == same(other)
    assert same(one) != same(other.replace("churn/2", "churn/3"))
    assert same(one) != same(other.replace("none ->", "nothing ->"))


@pytest.mark.nightly
@pytest.mark.timeout(REPLAY_TIMEOUT_S)
def test_the_incidents_go_as_told(replay):
    page = INCIDENTS.read_text()
    made = replay.replay(page)  # raises where a command ends or says otherwise than told
    assert [commands(part) for part in consoles(replay, made)] == [
        commands(part) for part in consoles(replay, page)
    ]


def commands(console):
    """What is typed and how it has to end, without what is printed."""
    return [(one.text, one.expected) for one in console.commands]

"""Every command that the tutorial and the demo tell people to type is one that lastgood understands."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from lastgood.cli.app import root_command

ROOT = Path(__file__).parents[3]
TYPED = re.compile(r"^(?:\$ | +f?\")lastgood ([a-z][^\n#&\\]*)", re.MULTILINE)
"""After a prompt in the tutorial; at the beginning of a string in the story."""


def _commands():
    pages = (ROOT / "docs" / "tutorial.md", ROOT / "src" / "lastgood" / "demo" / "story.py")
    texts = (
        page.read_text(encoding="utf-8").replace("{MODEL}", "churn-predictor") for page in pages
    )
    return sorted({match.strip() for text in texts for match in TYPED.findall(text)})


def _understand(typed):
    verb, *arguments = shlex.split(typed)
    root_command().commands[verb].make_context(verb, arguments)


def test_the_pages_hold_commands():
    assert len(_commands()) >= 15


@pytest.mark.parametrize("typed", _commands())
def test_a_command_of_the_tutorial_is_understood(typed):
    _understand(typed)


@pytest.mark.parametrize("typed", ["log churn --no-such-option", "promote", "live churn churn"])
def test_a_command_that_is_wrong_is_not_understood(typed):
    with pytest.raises(typer.TyperException):
        _understand(typed)

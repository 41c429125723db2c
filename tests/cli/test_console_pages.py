"""Pages that show what commands print show what they print now."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
GENERATOR = runpy.run_path(str(DOCS / "generate_console.py"))


@pytest.mark.parametrize("name", GENERATOR["PAGES"])
def test_a_page_agrees_with_its_commands(name):
    assert GENERATOR["page"](name) == (DOCS / name).read_text(), (
        "run: python docs/generate_console.py"
    )


def test_what_differs_from_run_to_run_does_not_count_and_all_else_does():
    same = GENERATOR["normalised"]
    one = "churn/2 op-c49e463f70336812 · 2026-11-21 15:41:08 · 3 s ago, none -> 58c90a5dd2a5"
    other = "churn/2 op-0123456789abcdef · 2027-01-01 00:00:01 · just now, none -> 0123456789ab"
    assert same(one) == same(other)
    assert same(one) != same(other.replace("churn/2", "churn/3"))
    assert same(one) != same(other.replace("none ->", "nothing ->"))

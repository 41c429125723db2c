# ruff: noqa: INP001 - a script beside the pages it writes, not a package
"""Write docs/reference/deviations.md from the list in the tests: ``python docs/generate_deviations.py``."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tests" / "compat" / "differential" / "deviations.py"
PAGE = Path(__file__).parent / "reference" / "deviations.md"

INTRODUCTION = """\
<!-- Made by docs/generate_deviations.py; do not edit. -->
# Where lastgood differs from MLflow

A test sends the same generated requests, valid and invalid, to `mlflow server` 3.17.2 and to `lastgood server` and
compares status, error code and body. Ids, times and random names may differ; everything else is equal, or falls under
one of the rules below. The list is made from the test's own rules, and each of them is tried in every run.

Sentences in error messages are our own, except for the phrases on which clients match, such as
`Run with id=... not found`; those are compared.

| about | lastgood | why |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    listed = runpy.run_path(str(LIST), run_name="deviations")["DEVIATIONS"]
    rows = [f"| {_cell(d.name)} | {_cell(d.what)} | {_cell(d.reason)} |" for d in listed]
    return INTRODUCTION + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

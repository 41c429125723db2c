import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_page_is_what_the_commands_say():
    made = runpy.run_path(str(DOCS / "generate_cli.py"))["page"]()
    assert (DOCS / "reference" / "cli.md").read_text() == made, "run: python docs/generate_cli.py"

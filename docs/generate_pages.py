# ruff: noqa: INP001 - a script beside the pages it writes, not a package
"""Run every command that the pages show and write down what they print: ``python docs/generate_pages.py [PAGE ...]``.

`incidents.md` takes some minutes, needs the packages of the demo and uv, which fetches packages from the index. The
prose of the pages, and what must come out, are edited in the pages themselves; see replay/page.py.
"""

import signal
import sys
from pathlib import Path

from replay.story import replay

HERE = Path(__file__).parent
PAGES = ("how-to/policy.md", "how-to/ci.md", "incidents.md")


def main() -> None:
    """Write the pages again: those that are named, by default all."""
    # A polite request to end stops the servers of a page as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    for name in sys.argv[1:] or PAGES:
        page = HERE / name
        page.write_text(replay(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

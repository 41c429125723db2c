# ruff: noqa: INP001 - a script beside the pages it writes, not a package
"""Run every command of docs/incidents.md and write down what they print: ``python docs/generate_incidents.py``.

Takes some minutes, needs the packages of the demo and uv, which fetches packages from the index. The prose of the
page, and what must come out, are edited in the page itself; see replay/page.py.
"""

import signal
import sys
from pathlib import Path

from replay.story import replay

PAGE = Path(__file__).with_name("incidents.md")


def main() -> None:
    """Write the page again, or the copy that the first argument names."""
    # A polite request to end stops the servers of the page as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(replay(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

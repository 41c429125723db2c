"""Runs a gateway over a directory feed; options as JSON in the first argument."""

import json
import logging
import sys
from pathlib import Path

from directory_feed import DirectoryFeed

from lastgood.errors import LastgoodError
from lastgood.serve.process import ServeOptions, run

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    given = json.loads(sys.argv[1])
    feed = DirectoryFeed(Path(given.pop("feed")))
    for name in ("cache_dir", "ready_file", "python"):
        if name in given:
            given[name] = Path(given[name])
    try:
        sys.exit(run(ServeOptions(model="churn", ref="production", **given), feed))
    except LastgoodError as error:
        print(f"{type(error).__name__}: {error.message} ({error.hint})", file=sys.stderr)
        sys.exit(error.exit_code)

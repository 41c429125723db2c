"""The command `lastgood`. The version is answered before anything else is imported."""

import sys

from lastgood import __version__

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"lastgood {__version__}\n")
        return
    from lastgood.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()

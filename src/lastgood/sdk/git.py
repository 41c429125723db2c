"""Where the code is, as far as Git knows; never a reason to fail."""

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from lastgood.core.manifest import Code

__all__ = ["code_at", "without_credentials"]

GIT_TIMEOUT_S = 5.0
OUTPUT_LENGTH_MAX = 2000


def code_at(path: Path) -> Code | None:
    """Commit, remote and branch of the work tree that `path` lies in; None if there is none, or no Git."""
    folder = path if path.is_dir() else path.parent
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    branch = _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    remote = without_credentials(_git(folder, "config", "--get", "remote.origin.url"))
    return Code(commit=commit, remote=remote, branch=branch)


def without_credentials(url: str) -> str:
    """The address without user name and password: a manifest is for everybody."""
    parts = urlsplit(url)
    if not parts.scheme or "@" not in parts.netloc:
        return url  # an scp-like address (git@host:path) names a user, no secret
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(folder), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
            # Nothing is asked on the terminal, nothing is locked or written.
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    text = done.stdout.decode("utf-8", "replace").strip()
    return text[:OUTPUT_LENGTH_MAX] if done.returncode == 0 else ""

"""Where the code is, as far as Git knows; never a reason to fail."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from lastgood.core.manifest import Code

__all__ = [
    "CodeState",
    "code_at",
    "git_output",
    "git_run",
    "materialise",
    "top_of",
    "tracked_files",
    "without_credentials",
]

GIT_TIMEOUT_S = 5.0
MATERIALISE_TIMEOUT_S = 600.0
REMOTE_LENGTH_MAX = 2000
PATCH_SIZE_MAX = 16 * 2**20
UNTRACKED_MAX = 1000
# What a repository's own configuration could change about a patch, or start on the way to it.
_DIFF = (
    "diff",
    "HEAD",
    "--binary",
    "--full-index",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--ignore-submodules=dirty",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_STATUS = ("status", "--porcelain=v2", "--branch", "--ignore-submodules=dirty", "-z")
_OUR_OWN = (".lastgood/", "mlruns/", "mlartifacts/", "mlflow.db")
"""What trackers write beside the code says nothing of the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeState:
    """A work tree as it is now."""

    top: Path
    code: Code
    patch: bytes = b""
    """What tracked files differ from the commit in; empty if nothing, or if it is too large to keep."""


def code_at(path: Path, *, leave_out: Sequence[Path] = ()) -> CodeState | None:
    """The work tree that `path` lies in; None if there is none, or no Git, or no commit yet.

    Args:
        path: A file or directory.
        leave_out: What is captured otherwise, so that it does not count as untracked.
    """
    folder = path if path.is_dir() else path.parent
    status = _git(folder, *_STATUS).split("\0")
    commit = _header(status, "# branch.oid ")
    top_text = _git(folder, "rev-parse", "--show-toplevel").strip()
    if not commit or commit.startswith("(") or not top_text:
        return None
    top = Path(top_text)
    dirty = any(line[:2] in {"1 ", "2 ", "u "} for line in status)
    branch = _header(status, "# branch.head ")
    code = Code(
        commit=commit,
        remote=without_credentials(_git(folder, "config", "--get", "remote.origin.url").strip()),
        branch="" if branch.startswith("(") else branch,
        dirty=dirty,
        untracked=_untracked(status, _relative(top, leave_out)),
    )
    patch = git_output(top, *_DIFF) if dirty else b""
    return CodeState(top=top, code=code, patch=patch if len(patch) <= PATCH_SIZE_MAX else b"")


def tracked_files(folder: Path, *patterns: str) -> list[str]:
    """Paths, relative to the folder, of files that match and are not ignored."""
    listed = _git(folder, "ls-files", "--cached", "--others", "--exclude-standard", "-z", *patterns)
    return sorted({name for name in listed.split("\0") if name})


def without_credentials(url: str) -> str:
    """The address without user name and password: a manifest is for everybody."""
    url = url[:REMOTE_LENGTH_MAX]
    parts = urlsplit(url)
    if not parts.scheme or "@" not in parts.netloc:
        return url  # an scp-like address (git@host:path) names a user, no secret
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def top_of(folder: Path) -> Path | None:
    """The top of the repository around the folder; None if there is none."""
    text = _git(folder, "rev-parse", "--show-toplevel").strip()
    return Path(text) if text else None


def materialise(repository: Path, commit: str, folder: Path) -> bool:
    """Write the files of a commit into a folder; the repository, its index and its work tree stay as they are."""
    with tempfile.TemporaryDirectory(prefix="lastgood-") as place:
        index = {"GIT_INDEX_FILE": str(Path(place) / "index")}
        for arguments in (
            ("read-tree", commit),
            ("checkout-index", "--all", f"--prefix={folder.absolute()}/"),
        ):
            if git_run(repository, *arguments, more=index, timeout_s=MATERIALISE_TIMEOUT_S) is None:
                return False
    return True


def git_output(folder: Path, *arguments: str) -> bytes:
    """What Git prints; empty if it fails, is missing or takes longer than five seconds."""
    return git_run(folder, *arguments) or b""


def git_run(
    folder: Path,
    *arguments: str,
    more: Mapping[str, str] | None = None,
    timeout_s: float = GIT_TIMEOUT_S,
    fine: tuple[int, ...] = (0,),
) -> bytes | None:
    """What Git prints; None if it is missing, takes too long or ends with no exit code that is `fine`.

    `more` is for its environment.
    """
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(folder), "-c", "core.fsmonitor=false", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            # Nothing is asked on the terminal, nothing is locked or written.
            env={
                **os.environ,
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_OPTIONAL_LOCKS": "0",
                **(more or {}),
            },
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode in fine else None


def _git(folder: Path, *arguments: str) -> str:
    return git_output(folder, *arguments).decode("utf-8", "replace")


def _header(status: list[str], start: str) -> str:
    return next((line.removeprefix(start) for line in status if line.startswith(start)), "")


def _relative(top: Path, paths: Sequence[Path]) -> tuple[str, ...]:
    real = (path.resolve() for path in paths)
    return tuple(path.relative_to(top).as_posix() for path in real if path.is_relative_to(top))


def _untracked(status: list[str], leave_out: tuple[str, ...]) -> tuple[str, ...]:
    names = sorted(line[2:] for line in status if line.startswith("? "))
    left = tuple(f"{name}/" for name in leave_out)
    found = [
        name
        for name in names
        if name not in leave_out
        and not name.startswith(left)
        and not name.startswith(_OUR_OWN)
        and not any(inner.startswith(name) for inner in left)
    ]
    return tuple(found[:UNTRACKED_MAX])

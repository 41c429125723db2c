"""Where DVC keeps data: its cache here, and its remote, with the settings of the repository at a commit.

DVC itself fetches, in a checkout of that commit; what came is verified by whoever takes it from the cache.
"""

import configparser
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from lastgood.core.ids import printable
from lastgood.core.manifest import DataInput
from lastgood.sdk.inputs import dvc_outs
from lastgood.sdk.running import run_apart

__all__ = ["cache_of", "fetch_by_dvc"]

FETCH_TIMEOUT_S = 3600.0
TARGETS_MAX = 500  # of one command: a command line is bounded
SAID_LENGTH_MAX = 600
_EXTRAS = {
    "s3": "s3",
    "gs": "gs",
    "azure": "azure",
    "ssh": "ssh",
    "webdav": "webdav",
    "webdavs": "webdav",
    "gdrive": "gdrive",
    "oss": "oss",
    "hdfs": "hdfs",
    "webhdfs": "webhdfs",
}
"""What DVC calls the extra that brings the client of a kind of remote."""


def cache_of(repository: Path) -> Path:
    """Where the repository has DVC's cache: in itself, unless its settings name a shared one."""
    folder = repository / ".dvc"
    settings = configparser.RawConfigParser(strict=False)
    try:
        settings.read([folder / "config", folder / "config.local"], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return folder / "cache"
    return folder / Path(settings.get("cache", "dir", fallback="") or "cache").expanduser()


def fetch_by_dvc(
    wanted: Sequence[DataInput], checkout: Path, cache: Path, *, clone: Path
) -> dict[str, str]:
    """Let DVC fetch data into a cache of its form.

    Args:
        wanted: The data; fetched is what the DVC files of the checkout name with the same digest.
        checkout: The files of a commit. DVC runs in it, and leaves it as it was.
        cache: An empty directory.
        clone: The repository that the commit is of: addresses relative to it are meant from there.

    Returns:
        For each path that DVC was not asked for, or that it may not have fetched, why, in words.
    """
    dvc = shutil.which("dvc") or shutil.which("dvc", path=str(Path(sys.executable).parent))
    if dvc is None:
        return dict.fromkeys(_paths(wanted), f"DVC is not here to fetch it: {_install(wanted)}")
    settings = checkout / ".dvc" / "config"
    if not settings.is_file() or not settings.resolve().is_relative_to(checkout.resolve()):
        return dict.fromkeys(_paths(wanted), "its commit has no .dvc/config that names a remote")
    tracked = dvc_outs(checkout, _dvc_files(checkout))
    known = [d for d in wanted if d.path in tracked and tracked[d.path].md5 == d.digest]
    not_named = "the DVC files of its commit do not name it"
    why = dict.fromkeys(_paths(wanted), not_named)
    if not known:
        return why
    failure = _fetch(dvc, _paths(known), checkout, cache, clone)
    reason = failure or "DVC's remote does not have it, or has other bytes"
    if (clone / ".dvc" / "config.local").exists():
        reason += " (what .dvc/config.local of your repository says does not come along)"
    return why | dict.fromkeys(_paths(known), reason)


def _paths(wanted: Sequence[DataInput]) -> list[str]:
    return [data.path for data in wanted]


def _install(wanted: Sequence[DataInput]) -> str:
    scheme = next((urlsplit(data.source).scheme for data in wanted if data.source), "")
    extra = _EXTRAS.get(scheme)
    return f"pip install 'dvc[{extra}]'" if extra else "pip install dvc"


def _dvc_files(checkout: Path) -> list[str]:
    return sorted(
        Path(folder, name).relative_to(checkout).as_posix()
        for folder, _, names in os.walk(checkout)
        for name in names
        if name.endswith(".dvc") or name == "dvc.lock"
    )


def _fetch(dvc: str, paths: list[str], checkout: Path, cache: Path, clone: Path) -> str:
    """What went wrong, in words; empty if DVC says that nothing did."""
    variables = {
        **os.environ,
        "DVC_NO_ANALYTICS": "1",
        # Where it would keep what it knows of this checkout, which is gone soon.
        "DVC_SITE_CACHE_DIR": str(cache / "site"),
    }
    try:
        with _settings(checkout, cache, clone):
            for start in range(0, len(paths), TARGETS_MAX):
                ended = run_apart(
                    [dvc, "fetch", "--", *paths[start : start + TARGETS_MAX]],
                    timeout_s=FETCH_TIMEOUT_S,
                    folder=checkout,
                    environment=variables,
                )
                if ended.code is None:
                    return f"DVC took longer than {FETCH_TIMEOUT_S:g} s to fetch it"
                if ended.code != 0:
                    return f"DVC could not fetch it: {_words(ended.said)}"
    except OSError as error:
        return f"DVC cannot be started: {error.strerror}"
    except (configparser.Error, UnicodeDecodeError):
        return "the .dvc/config of its commit cannot be read"
    return ""


def _words(said: str) -> str:
    """Its errors; else the end of what it said."""
    lines = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    text = " ".join(lines).replace("ERROR: ", "") or said[-SAID_LENGTH_MAX:]
    return printable(" ".join(text.split()), length_max=SAID_LENGTH_MAX)


@contextmanager
def _settings(checkout: Path, cache: Path, clone: Path) -> Iterator[None]:
    """Settings that win over those of the commit, for as long as DVC runs there."""
    folder = checkout / ".dvc"
    file, scratch = folder / "config.local", folder / "tmp"
    committed = folder / "config.local.committed"
    if file.is_symlink() or file.exists():  # who commits one means it
        file.rename(committed)
    had_scratch = scratch.exists()
    try:
        own = configparser.RawConfigParser(strict=False)
        if not committed.is_symlink():  # it leads nobody knows where
            own.read(committed, encoding="utf-8")
        for section, values in _overriding(folder, cache, clone):
            if not own.has_section(section):
                own.add_section(section)
            for name, value in values.items():
                own.set(section, name, value)
        with file.open("x", encoding="utf-8") as stream:
            own.write(stream)
        yield
    finally:
        file.unlink(missing_ok=True)
        if committed.is_symlink() or committed.exists():
            committed.rename(file)
        if not had_scratch:
            shutil.rmtree(scratch, ignore_errors=True)


def _overriding(folder: Path, cache: Path, clone: Path) -> Iterator[tuple[str, dict[str, str]]]:
    yield "core", {"no_scm": "true", "check_update": "false"}
    yield "cache", {"dir": str(cache.absolute())}
    committed = configparser.RawConfigParser(strict=False)
    committed.read(folder / "config", encoding="utf-8")
    for section in committed.sections():
        url = committed.get(section, "url", fallback="")
        if section.startswith("'remote ") and url and "://" not in url and url[0] not in "/~":
            # Relative to the file that says it, and that one is somewhere else now.
            yield section, {"url": os.path.normpath(clone / ".dvc" / url)}

"""A version as a directory: model files, the code at its commit, its data, its environment.

It is built beside and renamed when it is complete: whoever looks at the directory sees all of it or none.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from lastgood.core.ids import Digest, printable
from lastgood.core.manifest import Code, DataInput, Environment, Manifest, parse_file_path
from lastgood.core.ports import Registry
from lastgood.core.views import VersionView
from lastgood.errors import (
    AlreadyExists,
    InvalidInput,
    NotFound,
    Refused,
    StoreUnavailable,
    Unverified,
)
from lastgood.sdk.dvc import cache_of, fetch_by_dvc
from lastgood.sdk.git import git_output, git_run, materialise, top_of
from lastgood.sdk.inputs import DVC

__all__ = ["CheckedOut", "check_out", "write_bundle", "write_code", "write_data", "write_model"]

MODEL, CODE, SIDE, ENVIRONMENT = "model", "code", "side", "environment"
BUNDLE_FILE = "lastgood.json"
CHUNK_SIZE = 1 << 20
DVC_LISTING_SIZE_MAX = 64 * 2**20
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?\Z")


class _DvcEntry(msgspec.Struct):
    md5: str
    relpath: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedOut:
    """What was written, and what could not be."""

    path: str
    model: str
    version: int
    digest: str
    files: int
    code: str
    """The commit, with its patch; empty if it is not there."""
    data: tuple[str, ...]
    """Paths below `code`."""
    missing: tuple[str, ...] = ()
    """What could not be had, and why."""


@dataclass(slots=True)
class _Found:
    code: str = ""
    data: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def check_out(
    registry: Registry,
    reference: str,
    target: Path | None = None,
    *,
    repository: Path | None = None,
    complete: bool = False,
) -> CheckedOut:
    """Write a version into a directory that does not exist yet.

    Args:
        registry: Where from.
        reference: The version.
        target: The directory; by default ``MODEL-VERSION`` here.
        repository: A clone that has the commit; by default the one around the current directory.
        complete: Refuse, and write nothing, if anything of the version cannot be had.

    Raises:
        AlreadyExists: there is something in the directory. NotFound, InvalidReference: no such version.
        Unverified: the version is external. IntegrityFailure: its bytes are damaged.
        Refused: with `complete`, something is missing.
    """
    view = registry.show(reference)
    if view.manifest is None:
        raise Unverified(f"{reference} is external: its bytes are not here")
    target = target or Path(f"{view.model}-{view.version}".replace("/", "_"))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AlreadyExists(
            f"There is something at {printable(str(target))}", hint="name another directory"
        )
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.absolute().parent)
    except OSError as error:
        raise StoreUnavailable(f"{target} cannot be made: {error.strerror}") from error
    made = Path(folder)
    try:
        found = write_bundle(registry, view.manifest, made, repository=repository)
        if complete and found.missing:
            raise Refused(
                f"{reference} cannot be had as a whole: {'; '.join(found.missing)}",
                hint="without --complete what is there is written",
            )
        done = _report(view, target, found)
        (made / BUNDLE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=2))
        made.chmod(0o755)
        made.rename(target)  # onto nothing, or an empty directory
    except OSError as error:
        raise StoreUnavailable(f"{target} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return done


def write_bundle(
    registry: Registry, manifest: Manifest, made: Path, *, repository: Path | None = None
) -> _Found:
    """Write the parts of a version into an existing, empty directory.

    Data that DVC tracks and that is nowhere on this machine is fetched from DVC's remote.
    """
    found = _Found()
    write_model(registry, manifest, made)
    for entry in manifest.side:
        _write_object(registry, entry.digest, _inside(made / SIDE, entry.path))
    (made / CODE).mkdir(exist_ok=True)
    clone = top_of(repository or Path.cwd())
    _write_code(registry, manifest.code, made / CODE, clone, found)
    lacking = [d for d in manifest.data if not _write_data(registry, d, made / CODE, clone, found)]
    if lacking:
        _fetch_data(lacking, made / CODE, clone, found)
    _write_environment(manifest.environment, made / ENVIRONMENT)
    return found


def write_model(registry: Registry, manifest: Manifest, made: Path) -> None:
    """Write the model's files into the directory `model` of an existing one."""
    for entry in manifest.files:
        _write_object(registry, entry.digest, _inside(made / MODEL, entry.path))


def write_code(
    registry: Registry, manifest: Manifest, made: Path, *, repository: Path | None = None
) -> list[str]:
    """Write the code into the directory `code` of an existing one; what of it is missing, in words."""
    found = _Found()
    (made / CODE).mkdir()
    _write_code(registry, manifest.code, made / CODE, top_of(repository or Path.cwd()), found)
    return [line for line in found.missing if "did not track" not in line]


def write_data(
    registry: Registry, data: DataInput, folder: Path, *, clone: Path | None
) -> tuple[Path | None, str]:
    """Write one data input below a new directory, if it is at hand; where it is, or what is missing, in words."""
    found = _Found()
    folder.mkdir()
    if not _write_data(registry, data, folder, clone, found):
        found.missing.append(_nowhere(data))
    return (folder / data.path if found.data else None), "; ".join(found.missing)


def _report(view: VersionView, target: Path, found: _Found) -> CheckedOut:
    assert view.manifest is not None
    return CheckedOut(
        path=str(target),
        model=view.model,
        version=view.version,
        digest=view.digest or "",
        files=len(view.manifest.files),
        code=found.code,
        data=tuple(found.data),
        missing=tuple(found.missing),
    )


def _inside(folder: Path, path: str) -> Path:
    """Where the file goes; its directories are made. Refused if a link in the code leads elsewhere."""
    place = folder / parse_file_path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.parent.resolve().is_relative_to(folder.resolve()) or place.is_symlink():
        raise InvalidInput(f"'{printable(path)}' leads outside of the directory")
    return place


def _write_object(registry: Registry, digest: Digest, place: Path) -> None:
    with place.open("wb") as stream:
        for chunk in registry.read_object(digest):
            stream.write(chunk)


def _write_code(
    registry: Registry, code: Code, folder: Path, clone: Path | None, found: _Found
) -> None:
    if not code.commit:
        found.missing.append("code: no commit is recorded")
        return
    if clone is None or not _COMMIT.match(code.commit) or not _has(clone, code.commit):
        where = f" (clone {code.remote})" if code.remote else ""
        found.missing.append(
            f"code: no repository here has commit {printable(code.commit)[:12]}{where}"
        )
        return
    if not materialise(clone, code.commit, folder):
        found.missing.append(f"code: Git could not write commit {code.commit[:12]}")
        return
    found.code = code.commit
    if code.patch is not None:
        patch = b"".join(registry.read_object(code.patch))
        if not _apply(folder, patch):
            found.missing.append("code: the patch does not fit its commit")
            return
        found.code += f" + {code.patch[:19]}"
    elif code.dirty:
        found.missing.append("code: the tree was dirty and its patch is not kept")
    found.missing += [f"code: Git did not track {printable(name)}" for name in code.untracked[:20]]


def _has(clone: Path, commit: str) -> bool:
    return git_output(clone, "cat-file", "-t", f"{commit}^{{commit}}").strip() == b"commit"


def _apply(folder: Path, patch: bytes) -> bool:
    file = folder.with_suffix(".patch")
    file.write_bytes(patch)
    try:
        # A repository around the directory must not be taken for the one that the patch is for.
        apart = {"GIT_CEILING_DIRECTORIES": str(folder.parent.resolve())}
        return git_run(folder, "apply", str(file.absolute()), more=apart) is not None
    finally:
        file.unlink()


def _write_data(
    registry: Registry, data: DataInput, folder: Path, clone: Path | None, found: _Found
) -> bool:
    """Whether the data is written, or cannot be; False: it is not at hand, so that it could be fetched."""
    if not data.path:
        found.missing.append(f"data {printable(data.name)}: it lies at {printable(data.source)}")
        return True
    try:
        place = _inside(folder, data.path)
        if data.object is not None:
            _write_object(registry, data.object, place)
        elif not _write_found(data, place, clone):
            return False
    except (InvalidInput, NotFound) as error:
        found.missing.append(f"data {printable(data.path)}: {error.message}")
        return True
    found.data.append(data.path)
    return True


def _nowhere(data: DataInput, why: str = "") -> str:
    words = f"data {printable(data.path)}: neither the registry nor this machine has {printable(data.digest)}"
    return f"{words}; {why}" if why else words


def _fetch_data(
    lacking: Sequence[DataInput], folder: Path, clone: Path | None, found: _Found
) -> None:
    """Fetch what DVC tracks, verify it, and say what is still missing."""
    why: dict[str, str] = {}
    # Beside the code: it may be as large as the data, and is gone before anybody sees the directory.
    with tempfile.TemporaryDirectory(prefix=".fetched-", dir=folder.parent) as cache:
        tracked = [data for data in lacking if data.source_type == DVC]
        if tracked and clone is not None and found.code:
            why = fetch_by_dvc(tracked, folder, Path(cache), clone=clone)
        for data in lacking:
            if data.source_type == DVC and _fetched(data, folder, Path(cache)):
                found.data.append(data.path)
            else:
                found.missing.append(_nowhere(data, why.get(data.path, "")))


def _fetched(data: DataInput, folder: Path, cache: Path) -> bool:
    try:
        return _write_dvc(data.digest, _inside(folder, data.path), cache)
    except InvalidInput:  # a path in a listing leads elsewhere
        return False


def _write_found(data: DataInput, place: Path, clone: Path | None) -> bool:
    """Copy the data from where it lies on this machine, if it is still the same."""
    if data.source_type == DVC:
        return clone is not None and _write_dvc(data.digest, place, cache_of(clone))
    source = (clone or Path.cwd()) / data.path
    return source.is_file() and _copy(source, place, "sha256", data.digest.removeprefix("sha256:"))


def _write_dvc(digest: str, place: Path, cache: Path) -> bool:
    source = _in_cache(cache, digest)
    if source is None:
        return False
    if not digest.endswith(".dir"):
        return _copy(source, place, "md5", digest)
    if source.stat().st_size > DVC_LISTING_SIZE_MAX:
        return False
    listing = source.read_bytes()
    if hashlib.md5(listing, usedforsecurity=False).hexdigest() != digest.removesuffix(".dir"):
        return False
    whole = all(
        (file := _in_cache(cache, entry.md5)) is not None
        and _copy(file, _inside(place, entry.relpath), "md5", entry.md5)
        for entry in msgspec.json.decode(listing, type=list[_DvcEntry])
    )
    if not whole:
        shutil.rmtree(place, ignore_errors=True)  # half of a directory passes for the whole
    return whole


def _in_cache(cache: Path, digest: str) -> Path | None:
    if not _MD5.match(digest):
        return None
    for folder in (cache / "files" / "md5", cache):  # of DVC 3, and before
        if (file := folder / digest[:2] / digest[2:]).is_file():
            return file
    return None


def _copy(source: Path, place: Path, algorithm: str, expected: str) -> bool:
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    with source.open("rb") as reader, place.open("wb") as writer:
        for chunk in _chunks(reader.fileno()):
            hasher.update(chunk)
            writer.write(chunk)
    if hasher.hexdigest() == expected:
        return True
    place.unlink()
    return False


def _chunks(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, CHUNK_SIZE):
        yield chunk


def _write_environment(environment: Environment, folder: Path) -> None:
    folder.mkdir()
    local = frozenset(environment.local)
    lines = [
        line
        for line in environment.installed or environment.packages
        if line.partition("==")[0] not in local
    ]
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines))
    if environment.python:
        (folder / ".python-version").write_text(f"{environment.python}\n")

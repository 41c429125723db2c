"""The data that a training read: what DVC tracks in the repository, and plain files by SHA-256."""

import configparser
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from lastgood.core.ids import printable
from lastgood.core.manifest import DataInput
from lastgood.errors import TooLarge
from lastgood.sdk.git import tracked_files, without_credentials
from lastgood.sdk.scan import FoundFile, HashedFile, find_files, hash_file

__all__ = ["DVC", "DvcOut", "dvc_inputs", "dvc_outs", "plain_inputs"]

DVC = "dvc"
FILE = "file"
DVC_FILES_MAX = 2000
DVC_FILE_SIZE_MAX = 8 * 2**20
DATA_FILES_MAX = 10_000


class DvcOut(msgspec.Struct):
    """One output as a DVC file states it."""

    path: str = ""
    md5: str = ""
    size: int | None = None


class _DvcFile(msgspec.Struct):
    outs: list[DvcOut] = []
    wdir: str = "."


class _Stage(msgspec.Struct):
    outs: list[DvcOut] = []


class _Lock(msgspec.Struct):
    stages: dict[str, _Stage] = {}


def dvc_inputs(top: Path, *, leave_out: Sequence[Path] = ()) -> tuple[DataInput, ...]:
    """What the `.dvc` files and `dvc.lock` of a repository say of its data; what cannot be read is left out.

    Args:
        top: The repository.
        leave_out: What is the model itself, not its data.
    """
    if not (top / ".dvc").is_dir():
        return ()
    source = _remote(top)
    left = [path.resolve() for path in leave_out]
    tracked = dvc_outs(top, tracked_files(top, "*.dvc", "dvc.lock", "*/dvc.lock"))
    return tuple(
        DataInput(
            name=PurePosixPath(path).name,
            digest=out.md5,
            source=source,
            source_type=DVC,
            path=path,
            size=out.size,
        )
        for path, out in sorted(tracked.items())
        if not any(_overlap((top / path).resolve(), model) for model in left)
    )


def dvc_outs(top: Path, names: Sequence[str]) -> dict[str, DvcOut]:
    """What DVC files say of data, by its path below `top`; what cannot be read is left out.

    Args:
        top: The directory.
        names: Its `.dvc` and `dvc.lock` files; at most 2,000 are read.
    """
    found: dict[str, DvcOut] = {}
    for name in names[:DVC_FILES_MAX]:
        found |= {path: out for path, out in _outs(top, name) if out.md5}
    return found


def plain_inputs(
    paths: Sequence[Path], *, top: Path | None, keep: bool = False
) -> tuple[tuple[DataInput, ...], tuple[HashedFile, ...]]:
    """Files, and all files of directories, each by its SHA-256.

    Args:
        paths: What a person named.
        top: The repository, to which paths inside it are relative.
        keep: Whether the registry keeps their bytes.

    Returns:
        The inputs, and the files to be sent.

    Raises:
        NotFound, InvalidInput: as `find_files`. TooLarge: more than 10,000 files.
    """
    inputs: dict[str, DataInput] = {}
    files: list[HashedFile] = []
    for path in paths:
        for found in find_files(path):
            hashed = hash_file(found)
            files.append(hashed)
            shown = _shown(path, found, top)
            inputs[shown] = DataInput(
                name=found.path,
                digest=hashed.digest,
                source_type=FILE,
                path=shown,
                size=hashed.size,
                object=hashed.digest if keep else None,
            )
            if len(inputs) > DATA_FILES_MAX:
                raise TooLarge(
                    f"{printable(str(path))}: at most {DATA_FILES_MAX:,} data files are recorded",
                    hint="put them under DVC: a directory is one entry then",
                )
    return tuple(inputs[name] for name in sorted(inputs)), tuple(files) if keep else ()


def _shown(given: Path, found: FoundFile, top: Path | None) -> str:
    """Relative to the repository; outside of it as a person wrote it, so that no path is told by itself."""
    if top is not None and found.location.is_relative_to(top):
        return found.location.relative_to(top).as_posix()
    return (given / found.path if given.is_dir() else given).as_posix()


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _outs(top: Path, name: str) -> Iterator[tuple[str, DvcOut]]:
    file = top / name
    folder = PurePosixPath(name).parent
    try:
        if file.stat().st_size > DVC_FILE_SIZE_MAX:
            return
        data = file.read_bytes()
        if file.name == "dvc.lock":
            lock = msgspec.yaml.decode(data, type=_Lock)
            outs = [out for stage in lock.stages.values() for out in stage.outs]
        else:
            described = msgspec.yaml.decode(data, type=_DvcFile)
            outs, folder = described.outs, folder / described.wdir
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return  # a broken file of another tool is no reason not to register
    for out in outs:
        path = PurePosixPath(folder, out.path)
        if out.path and ".." not in path.parts and not path.is_absolute():
            yield str(path), out


def _remote(top: Path) -> str:
    """Where the default remote of the repository is; a directory of this machine is nobody else's business."""
    config = configparser.RawConfigParser()
    try:
        config.read(top / ".dvc" / "config", encoding="utf-8")
        name = config.get("core", "remote")
        url = config.get(f"'remote \"{name}\"'", "url")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    return without_credentials(url) if "://" in url else ""

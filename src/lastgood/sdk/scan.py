"""The files of a model on this machine: found, checked and hashed, with nothing trusted that can lie.

A directory is read as it is meant: links inside it are followed, links that leave it are refused,
and so is everything that is no file (a FIFO would block, a device would never end).
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lastgood.core.ids import Digest, digest_of_hex, printable
from lastgood.core.manifest import FILES_MAX, parse_file_path
from lastgood.errors import Conflict, InvalidInput, NotFound, TooLarge

__all__ = ["FoundFile", "HashedFile", "find_files", "hash_file", "open_unchanged"]

CHUNK_SIZE = 1 << 20
DEPTH_MAX = 100

Progress = Callable[[int], None]
"""Told how many more bytes were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A regular file of the model: its path inside the model, where it really is, its size."""

    path: str
    location: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedFile:
    """A file whose every byte was read: its digest, and by what to see that it did not change since."""

    path: str
    location: Path
    size: int
    modified_ns: int
    digest: Digest


def find_files(root: Path) -> tuple[FoundFile, ...]:
    """All files of a model directory, or the one file, in order of path.

    Raises:
        NotFound: there is nothing at that path.
        InvalidInput: empty, unreadable, a link leads outside or in a circle, not a regular file, a name
            that no manifest can hold.
        TooLarge: more than 100,000 files, or directories nested more than 100 deep.
    """
    try:
        real = root.resolve(strict=True)
        if not stat.S_ISDIR(real.stat().st_mode):
            return (_found(root, real, name=root.name),)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"There is nothing at {_shown(root)}",
            hint="give the directory or file that holds the model",
        ) from None
    except OSError as error:
        raise _unreadable(root, error) from error
    except (
        RuntimeError
    ) as error:  # until Python 3.12 the answer to links in a circle; later it is ELOOP
        raise _circle(root) from error
    files: list[FoundFile] = []
    for file in _walk(root, real, prefix="", above=(real,)):
        files.append(file)
        if len(files) > FILES_MAX:
            raise TooLarge(
                f"{_shown(root)} has more than {FILES_MAX:,} files",
                hint="is this the directory of the model?",
            )
    if not files:
        raise InvalidInput(
            f"{_shown(root)} holds no files", hint="is this the directory that holds the model?"
        )
    return tuple(sorted(files, key=lambda file: file.path))


def _walk(root: Path, folder: Path, *, prefix: str, above: tuple[Path, ...]) -> Iterator[FoundFile]:
    if len(above) > DEPTH_MAX:
        raise TooLarge(f"{_shown(folder)}: directories are nested more than {DEPTH_MAX} deep")
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except OSError as error:
        raise _unreadable(folder, error) from error
    for name in names:
        shown = folder / name
        real = _inside(shown, top=above[0])
        if not real.is_dir():
            yield _found(shown, real, name=prefix + name)
            continue
        if real in above:
            raise InvalidInput(
                f"{_shown(shown)} is a link to a directory that it lies in", hint="remove the link"
            )
        yield from _walk(root, real, prefix=f"{prefix}{name}/", above=(*above, real))


def _inside(path: Path, *, top: Path) -> Path:
    """Where the path really is; refused if that is outside the model."""
    try:
        real = path.resolve(strict=True)
    except FileNotFoundError:
        raise InvalidInput(
            f"{_shown(path)} is a link to nothing", hint="remove the link, or bring the file back"
        ) from None
    except RuntimeError as error:
        raise _circle(path) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not real.is_relative_to(top):
        raise InvalidInput(
            f"{_shown(path)} is a link to {_shown(real)}, outside the model",
            hint="copy the file into the directory: a version holds all of its bytes",
        )
    return real


def _found(shown: Path, real: Path, *, name: str) -> FoundFile:
    try:
        status = real.stat()
    except OSError as error:
        raise _unreadable(shown, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(
            f"{_shown(shown)} is no regular file, so it cannot be part of a version",
            hint="remove it",
        )
    return FoundFile(path=parse_file_path(name), location=real, size=status.st_size)


def hash_file(file: FoundFile, *, progress: Progress = lambda _count: None) -> HashedFile:
    """Read every byte of the file once.

    Raises:
        Conflict: it changed while it was read. InvalidInput: it cannot be read, or is no regular file any more.
    """
    hasher = hashlib.sha256()
    with _open(file.location, file.path) as stream:
        before = os.fstat(stream.fileno())
        read = 0
        # A file that grows as fast as it is read must not be read for ever.
        while read <= before.st_size and (chunk := stream.read(CHUNK_SIZE)):
            hasher.update(chunk)
            read += len(chunk)
            progress(len(chunk))
        after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (
        after.st_size,
        after.st_mtime_ns,
    ) or read != before.st_size:
        raise changed(file.path)
    return HashedFile(
        path=file.path,
        location=file.location,
        size=read,
        modified_ns=before.st_mtime_ns,
        digest=digest_of_hex(hasher.hexdigest()),
    )


def open_unchanged(file: HashedFile) -> BinaryIO:
    """Open the file again to send it.

    Raises:
        Conflict: it changed since it was hashed. InvalidInput: it cannot be read any more.
    """
    stream = _open(file.location, file.path)
    status = os.fstat(stream.fileno())
    if (status.st_size, status.st_mtime_ns) != (file.size, file.modified_ns):
        stream.close()
        raise changed(file.path)
    return stream


def changed(path: str) -> Conflict:
    """The error for a file that did not hold still."""
    return Conflict(
        f"'{printable(path)}' changed while it was read, so nothing was registered",
        hint="wait until the model is saved completely, then try again",
    )


def _open(location: Path, name: str) -> BinaryIO:
    try:
        # A FIFO put in the file's place would block a plain open for ever; a link would lead elsewhere.
        descriptor = os.open(location, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(Path(name), error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidInput(
            f"'{printable(name)}' is no regular file, so it cannot be part of a version"
        )
    return os.fdopen(descriptor, "rb")


def _circle(path: Path) -> InvalidInput:
    return InvalidInput(f"{_shown(path)} is a link that leads in a circle", hint="remove the link")


def _unreadable(path: Path, error: OSError) -> InvalidInput:
    if error.errno == errno.ELOOP:
        return _circle(path)
    return InvalidInput(
        f"{_shown(path)} cannot be read: {error.strerror or error}", hint="check its permissions"
    )


def _shown(path: Path) -> str:
    return printable(os.fspath(path), length_max=200)

"""Bytes on their way to local disk: temporary files, and what the operating system says about them."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from lastgood.cas.hashing import SideHasher
from lastgood.errors import StoreFull, StoreUnavailable

__all__ = ["IncomingFile", "translated"]

WRITE_BACK_SIZE = 16 << 20  # bytes after which the disk is asked to begin with them
# For each of them the kernel takes that much memory in one piece. It has pieces of up to 32 KiB at hand; for larger ones
# it has to look around, and the same file took between the same time and ten times as long (Linux 6.18, ext4).
PIECE_SIZE = 32 << 10


class IncomingFile:
    """A temporary file that is hashed while it is written; left without a new name, it is removed.

    Args:
        folder: Where the file is made.
    """

    def __init__(self, folder: Path) -> None:
        self._hasher = SideHasher()
        self.size = 0
        with translated(folder):
            self._descriptor, name = tempfile.mkstemp(dir=folder)
            self._path = Path(name)
        self._open = True
        self._named = False
        self._handed_over = 0

    def write(self, chunk: bytes) -> None:
        self._hasher.update(chunk)
        view, written = memoryview(chunk), 0
        with translated(self._path):
            while written < len(chunk):
                written += os.write(self._descriptor, view[written : written + PIECE_SIZE])
        self.size += len(chunk)
        if self.size - self._handed_over >= WRITE_BACK_SIZE:
            self._write_back()

    def _write_back(self) -> None:
        """Let the disk begin with what was written, so that the sync at the end need not wait for all of it."""
        # It keeps what is not on disk yet, and that is everything which was just written.
        os.posix_fadvise(
            self._descriptor,
            self._handed_over,
            self.size - self._handed_over,
            os.POSIX_FADV_DONTNEED,
        )
        self._handed_over = self.size

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._hasher.close()
        # A full or broken disk may refuse these too; what remains is swept later, and the first error counts.
        with suppress(OSError):
            self._close()
        if not self._named:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Say in our words what the operating system says in its own.

    Raises:
        StoreFull: no space or quota left. StoreUnavailable: read-only, forbidden, or an I/O error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull(
                f"No space left in {path.parent}; nothing was stored",
                hint="free space and try again",
            ) from error
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise StoreUnavailable(
                f"{path} cannot be written: {error.strerror}",
                hint="check the permissions of the data directory",
            ) from error
        raise StoreUnavailable(
            f"{path}: {error.strerror or error}", hint="check the disk"
        ) from error

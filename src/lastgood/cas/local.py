"""Objects on local disk: ``objects/sha256/ab/cdef…``, mode 0444, written once.

Order of publication, so that a crash at any instant leaves either nothing or the whole object:
temporary file in the same file system -> write -> fsync -> rename to the digest -> fsync of the
directory. Only then may anything name the digest.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from lastgood.cas.incoming import IncomingFile, translated
from lastgood.cas.local_parts import LocalParts
from lastgood.cas.port import CHUNK_SIZE, LEFTOVER_AGE_S, Address
from lastgood.core.ids import Digest, digest_of_hex, hex_of
from lastgood.errors import (
    IntegrityFailure,
    NotFound,
    NotSupported,
    StoreUnavailable,
    TooLarge,
)

__all__ = ["LocalObjects", "sync_directory"]

OBJECT_MODE = 0o444
_ONLY_FROM_MEMORY: int | None = getattr(os, "RWF_NOWAIT", None)  # Linux has it


class LocalObjects:
    """Objects under one directory.

    Args:
        root: Made if absent.
        near: Whether it is where a process has its other files, too, and not on a disk that may be away.
        durable: False leaves out fsync; only for tests that show what fsync is for.
    """

    def __init__(self, root: Path, *, near: bool = False, durable: bool = True) -> None:
        self._root = root / "sha256"
        self._incoming = root / "incoming"
        self._near = near
        self._durable = durable
        self._durable_folders: set[Path] = set()  # at most 256
        self.parts = LocalParts(self._incoming)
        with translated(root):
            self._root.mkdir(parents=True, exist_ok=True)
            self._incoming.mkdir(exist_ok=True)
            self.sync_directory(root)
            self.sync_directory(root.parent)

    def path_of(self, digest: Digest) -> Path:
        """Where the object is, or would be."""
        hex_digits = hex_of(digest)
        return self._root.joinpath(hex_digits[:2], hex_digits[2:])

    def writer(self) -> "LocalWriter":
        return LocalWriter(self, self._incoming)

    def put(self, stream: BinaryIO, *, expect: Digest | None = None) -> Digest:
        with self.writer() as writer:
            while chunk := stream.read(CHUNK_SIZE):
                writer.write(chunk)
            return writer.commit(expect=expect)

    def put_bytes(self, data: bytes) -> Digest:
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()

    def has(self, digest: Digest) -> bool:
        return self.path_of(digest).is_file()

    def size(self, digest: Digest) -> int:
        with self._open(digest) as file:
            return os.fstat(file.fileno()).st_size

    def read(self, digest: Digest, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        if start == 0 and end is None:
            return self._read_whole(digest)
        self.verify(digest)
        return self._read_part(digest, start, self.size(digest) if end is None else end)

    def _read_whole(self, digest: Digest) -> Iterator[bytes]:
        # One chunk is held back: a reader who got every byte can rely on all of them being right.
        hasher = hashlib.sha256()
        held = b""
        with self._open(digest) as file:
            while chunk := file.read(CHUNK_SIZE):
                hasher.update(chunk)
                if held:
                    yield held
                held = chunk
        if hasher.hexdigest() != hex_of(digest):
            raise damaged(digest)
        yield held

    def _read_part(self, digest: Digest, start: int, end: int) -> Iterator[bytes]:
        with self._open(digest) as file:
            file.seek(start)
            left = end - start
            while left > 0 and (chunk := file.read(min(CHUNK_SIZE, left))):
                left -= len(chunk)
                yield chunk

    def read_bytes(self, digest: Digest, *, size_max: int) -> bytes:
        with self._open(digest) as file:
            data = file.read(size_max + 1)
        if len(data) > size_max:
            raise TooLarge(f"Object {digest} is larger than {size_max:,} bytes")
        if hashlib.sha256(data).hexdigest() != hex_of(digest):
            raise damaged(digest)
        return data

    def at_hand(self, digest: Digest, *, size: int) -> bytes | None:
        # A file that was used lately is in the system's memory; what is not there, a thread may wait for.
        if not self._near or _ONLY_FROM_MEMORY is None:
            return None
        try:
            descriptor = os.open(self.path_of(digest), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            data = bytearray(size + 1)
            del data[os.preadv(descriptor, [data], 0, _ONLY_FROM_MEMORY) :]
        except OSError:
            return None
        finally:
            os.close(descriptor)
        sound = len(data) == size and hashlib.sha256(data).hexdigest() == hex_of(digest)
        return bytes(data) if sound else None

    def verify(self, digest: Digest) -> int:
        with self._open(digest) as file:
            found = hashlib.file_digest(file, hashlib.sha256)
            size = file.tell()
        if found.hexdigest() != hex_of(digest):
            raise damaged(digest)
        return size

    def digests(self) -> Iterator[Digest]:
        for folder in sorted(self._root.iterdir()):
            for file in sorted(folder.iterdir()):
                if re.fullmatch(r"[0-9a-f]{64}", folder.name + file.name):
                    yield digest_of_hex(folder.name + file.name)

    def address(self, digest: Digest, *, ttl_s: float) -> Address:
        raise NotSupported("Objects on local disk are read through the server only")

    def sweep(self) -> int:
        removed = 0
        for leftover in self._incoming.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE_S:
                    leftover.unlink()
                    removed += 1
        return removed

    @contextmanager
    def _open(self, digest: Digest) -> Iterator[BufferedReader]:
        try:
            with self.path_of(digest).open("rb") as file:
                yield file
        except FileNotFoundError:
            raise NotFound(f"Object {digest} is not stored", hint="run: lastgood fsck") from None
        except OSError as error:
            raise StoreUnavailable(f"Object {digest} cannot be read: {error.strerror}") from error

    def keeps(self, digest: Digest) -> bool:
        """Make sure of an object that may be here already; False if it is absent, or damaged and to be replaced."""
        try:
            self.verify(digest)
        except (NotFound, IntegrityFailure):
            return False
        # Its bytes were durable before it got its name. Whoever gave it may have died, or be about to sync.
        self._sync_names(self.path_of(digest).parent)
        return True

    def publish(self, temporary: Path, digest: Digest) -> None:
        """Give a complete, durable temporary file its final name."""
        target = self.path_of(digest)
        folder = target.parent
        folder.mkdir(exist_ok=True)
        temporary.rename(target)
        self._sync_names(folder)

    def _sync_names(self, folder: Path) -> None:
        self.sync_directory(folder)
        if folder not in self._durable_folders:
            self.sync_directory(self._root)
            self._durable_folders.add(folder)

    def sync_directory(self, folder: Path) -> None:
        """Make renames in the directory survive a power cut."""
        if self._durable:
            sync_directory(folder)

    def sync_file(self, descriptor: int) -> None:
        """Make the bytes survive a power cut. An error here is final: it is never retried into a success."""
        if self._durable:
            os.fsync(descriptor)


class LocalWriter(IncomingFile):
    """An object on its way into `LocalObjects`."""

    def __init__(self, store: LocalObjects, folder: Path) -> None:
        super().__init__(folder)
        self._store = store

    def commit(self, *, expect: Digest | None = None) -> Digest:
        digest = digest_of_hex(self._hasher.hexdigest())
        if expect is not None and digest != expect:
            raise IntegrityFailure(
                f"The bytes sent have the digest {digest}, not {expect}", hint="send the file again"
            )
        with translated(self._path):
            if not self._store.keeps(digest):
                os.fchmod(self._descriptor, OBJECT_MODE)
                self._store.sync_file(self._descriptor)
                self._close()
                self._store.publish(self._path, digest)
                self._named = True
        return digest


def sync_directory(folder: Path) -> None:
    """Make what was made, renamed or removed in the directory survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damaged(digest: Digest) -> IntegrityFailure:
    """The error for an object whose bytes are not what its name says."""
    return IntegrityFailure(
        f"Object {digest} is damaged: its bytes have another digest",
        hint="restore the object from a backup, then run: lastgood fsck",
    )

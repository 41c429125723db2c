"""The local cache of bundles: what the gateway serves when the registry does not answer.

    <cache>/lock                     held while a gateway runs
    <cache>/gateway-id
    <cache>/plan.json
    <cache>/objects/ab/cdef...       verified objects, read-only
    <cache>/bundles/<digest>/        manifest.json and model/, whose files are links to objects

Every file is written as temporary file -> fsync -> rename -> fsync of the directory, so that none
is ever there by half. Nothing in the cache is trusted: `prepare` reads every file again.
"""

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from lastgood.core.ids import Digest, digest_of_hex, hex_of, printable
from lastgood.core.manifest import FileEntry, Manifest, decode_manifest
from lastgood.core.ports import RegistryFeed
from lastgood.errors import IntegrityFailure, LastgoodError, NotFound, StoreFull, StoreUnavailable

__all__ = ["Bundle", "BundleCache", "Cancelled", "fsync_directory", "write_durably"]

CHUNK_BYTES = 1024 * 1024
BUNDLES_KEPT = 5


class Cancelled(Exception):  # not an error
    """The bundle is not wanted any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A version's files on local disk, each verified when this value was made."""

    digest: Digest
    manifest: Manifest
    path: Path
    """The directory that holds the MLmodel file."""


class BundleCache:
    """Content-addressed bundles under one directory. Blocking; call it from threads."""

    def __init__(self, root: Path, feed: RegistryFeed) -> None:
        self._root = root
        self._feed = feed
        self._lock = threading.Lock()
        self._preparing = 0

    def prepare(self, digest: Digest, *, cancelled: Callable[[], bool] = lambda: False) -> Bundle:
        """The bundle with that digest, every byte verified now.

        What is missing or damaged is fetched; if nothing is, the registry is not needed.

        Raises:
            IntegrityFailure: a file is damaged here and in the registry; the message names it.
            ServerUnreachable: something must be fetched and no registry answers.
            StoreUnavailable, StoreFull: the cache cannot be written.
            Cancelled: `cancelled` said so.
        """
        with self._lock:
            self._preparing += 1
        try:
            return self._prepare(digest, cancelled)
        except OSError as error:
            kind = StoreFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreUnavailable
            raise kind(f"The cache {self._root} cannot be used: {error}") from error
        finally:
            with self._lock:
                self._preparing -= 1

    def prune(self, keep: Collection[Digest]) -> None:
        """Drop the bundles longest unused, beyond the few that are kept, and objects only they had.

        Leaves everything alone while a bundle is being prepared: its objects are not linked yet.
        """
        with self._lock:
            if self._preparing or not self._bundles.is_dir():
                return
            kept = {hex_of(digest) for digest in keep}
            newest_first = sorted(
                self._bundles.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True
            )
            for path in newest_first[BUNDLES_KEPT:]:
                if path.name not in kept:
                    shutil.rmtree(path)
            for path in self._objects.glob("*/*"):
                if path.stat().st_nlink == 1:
                    path.unlink()

    @property
    def _bundles(self) -> Path:
        return self._root / "bundles"

    @property
    def _objects(self) -> Path:
        return self._root / "objects"

    def _prepare(self, digest: Digest, cancelled: Callable[[], bool]) -> Bundle:
        home = self._bundles / hex_of(digest)
        manifest = self._manifest(digest, home)
        model = home / "model"
        for entry in manifest.files:
            target = model / entry.path
            if cancelled():
                raise Cancelled
            if not _is_intact(target, entry):
                self._fetch(entry, target, cancelled)
        self._remove_strangers(model, manifest)
        os.utime(home)
        return Bundle(digest=digest, manifest=manifest, path=model)

    def _manifest(self, digest: Digest, home: Path) -> Manifest:
        """From the cache if it is there and whole, else from the registry; identity checked either way."""
        path = home / "manifest.json"
        if path.is_file():
            data = path.read_bytes()
            if digest_of_hex(hashlib.sha256(data).hexdigest()) == digest:
                return decode_manifest(data, digest=digest)
        manifest = self._feed.manifest(digest)
        data = manifest.encode()  # refuses paths that lead out of the model
        if digest_of_hex(hashlib.sha256(data).hexdigest()) != digest:
            raise IntegrityFailure(f"The registry sent another manifest for {digest}")
        home.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)
        return manifest

    def _fetch(self, entry: FileEntry, target: Path, cancelled: Callable[[], bool]) -> None:
        """Put the verified file at `target`, from the local objects if one is intact there."""
        hex_digits = hex_of(entry.digest)
        stored = self._objects / hex_digits[:2] / hex_digits[2:]
        if not _is_intact(stored, entry):
            self._download(entry, stored, cancelled)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._temporary()
        _link(stored, fresh)
        fresh.replace(target)
        fsync_directory(target.parent)
        if not _is_intact(target, entry):
            raise IntegrityFailure(
                f"'{printable(entry.path)}' changed while it was written to {self._root}"
            )

    def _download(self, entry: FileEntry, stored: Path, cancelled: Callable[[], bool]) -> None:
        name = printable(entry.path)
        fresh = self._temporary()
        try:
            digest, size = self._stream(entry, fresh, cancelled)
            if digest != entry.digest or size != entry.size:
                raise IntegrityFailure(
                    f"'{name}' is damaged: the registry sent {size} bytes with digest {digest}, "
                    f"the manifest names {entry.size} bytes with {entry.digest}"
                )
            fresh.chmod(0o444)
            stored.parent.mkdir(parents=True, exist_ok=True)
            fresh.replace(stored)
            fsync_directory(stored.parent)
        except (IntegrityFailure, NotFound) as error:
            raise IntegrityFailure(f"'{name}': {error.message}", hint=error.hint) from error
        except LastgoodError as error:
            raise type(error)(
                f"'{name}' cannot be fetched: {error.message}", hint=error.hint
            ) from error
        finally:
            fresh.unlink(missing_ok=True)

    def _stream(
        self, entry: FileEntry, fresh: Path, cancelled: Callable[[], bool]
    ) -> tuple[Digest, int]:
        hasher, size = hashlib.sha256(), 0
        with fresh.open("wb") as file:
            for chunk in self._feed.read_object(entry.digest):
                size += len(chunk)
                if cancelled():
                    raise Cancelled
                if size > entry.size:
                    break  # whatever follows, it is not the file; do not fill the disk with it
                hasher.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return digest_of_hex(hasher.hexdigest()), size

    def _remove_strangers(self, model: Path, manifest: Manifest) -> None:
        """A file that the manifest does not name might be imported or loaded by the model."""
        named = {entry.path for entry in manifest.files}
        for path in list(model.rglob("*")):
            folder = path.is_dir() and not path.is_symlink()
            if not folder and path.relative_to(model).as_posix() not in named:
                path.unlink()

    def _temporary(self) -> Path:
        folder = self._root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / uuid4().hex


def _is_intact(path: Path, entry: FileEntry) -> bool:
    """Whether a regular file with the right bytes is there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_size != entry.size:
            return False
        return digest_of_hex(hashlib.file_digest(file, "sha256").hexdigest()) == entry.digest


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has no (more) links to give."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb+") as file:
            os.fsync(file.fileno())


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file so that after a crash it holds either the old bytes or the new."""
    fresh = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    fsync_directory(path.parent)

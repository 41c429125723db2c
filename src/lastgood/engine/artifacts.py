"""Files under the artifact root: what runs upload (mutable), and the frozen files of versions.

Two trees share one name space. ``<experiment>/<run>/artifacts/…`` and the like are mutable: a row
names an object. ``sha256/<64 hex digits>/…`` shows the files of a registered version's manifest;
nothing can be written or deleted there, and no upload elsewhere can change it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Self
from urllib.parse import unquote, urlsplit

from lastgood.cas.port import ObjectWriter
from lastgood.core.ids import Digest, digest_of_hex, parse_digest
from lastgood.core.manifest import FileEntry, Manifest, decode_manifest
from lastgood.engine.kernel import Kernel
from lastgood.errors import InvalidInput, NotFound, Protected
from lastgood.store.database import Connection
from lastgood.store.tracking import artifacts as store
from lastgood.store.tracking.artifacts import ArtifactRow

__all__ = [
    "ArtifactWriter",
    "Artifacts",
    "Listed",
    "StoredFile",
    "check_writable",
    "folder_of_uri",
    "parse_artifact_path",
]

PATH_LENGTH_MAX = 2048
DECODINGS_MAX = 8  # no honest path is percent-encoded more often
MANIFEST_SIZE_MAX = 64 << 20
MANIFESTS_CACHED_MAX = 16
AT_HAND_SIZE_MAX = 64 << 10  # bytes; to read and hash them takes some 50 microseconds
LOOP_PATIENCE_S = 0.002
FROZEN = "sha256"
ARTIFACT_SCHEME = "mlflow-artifacts"

_FROZEN_PATH = re.compile(r"sha256/([0-9a-f]{64})(?:/(.*))?\Z", re.DOTALL)
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_ENCODED_CONTROL = re.compile(r"%([01][0-9A-Fa-f]|7[Ff])")


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a folder."""

    name: str
    is_folder: bool
    size: int = 0


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that can be read."""

    path: str
    digest: Digest
    size: int


def parse_artifact_path(text: str) -> str:
    """A path under the artifact root as it came over the wire; the root itself is empty.

    Args:
        text: Percent-encoded any number of times.

    Returns:
        The decoded path: relative, normal, without a leading or trailing slash. A percent sign and two
        digits that would make a control character stay as they are: `log_image` of MLflow's clients writes
        names like ``dogs%step%0%timestamp%1795258975014``.

    Raises:
        InvalidInput: it could mean anything outside the root, on this or another operating system.
    """
    path = _decoded(text)
    if _is_unsafe(path):
        raise InvalidInput("Invalid path")
    return path.rstrip("/")


def _decoded(text: str) -> str:
    for _ in range(DECODINGS_MAX):
        decoded = unquote(_ENCODED_CONTROL.sub(r"%25\1", text), errors="surrogateescape")
        if decoded == text:
            return decoded
        text = decoded
    raise InvalidInput("Invalid path")


def _is_unsafe(path: str) -> bool:
    parts = path.rstrip("/").split("/") if path else []
    return (
        len(path) > PATH_LENGTH_MAX
        or path.startswith("/")
        or "\\" in path
        or "#" in path
        or any(part in {"", ".", ".."} or re.fullmatch(r"[A-Za-z]:", part) for part in parts)
        or re.match(r"[A-Za-z]:", path) is not None
        or "://" in path
        or any(unicodedata.category(c) in _FORBIDDEN_CATEGORIES for c in path)
        # Compatibility forms of '.', '/' and '\\' become the real ones on systems that normalise names.
        or (not path.isascii() and _is_unsafe(_plain(path)))
    )


def _plain(path: str) -> str:
    return "".join(c if c.isascii() else "x" for c in unicodedata.normalize("NFKC", path))


def folder_of_uri(uri: str) -> str | None:
    """The path under the artifact root that an ``mlflow-artifacts:`` URI names.

    Returns:
        None if the URI names a place outside the store.

    Raises:
        InvalidInput: the URI's path is unsafe.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme != ARTIFACT_SCHEME:
        return None
    if parts.query or parts.fragment:
        raise InvalidInput("Invalid path")
    return parse_artifact_path(parts.path.removeprefix("/"))


class ArtifactWriter:
    """A file on its way in; nothing is visible before `commit`, leaving without it leaves no trace.

    Use it as a context manager. `write` and `commit` touch the store.
    """

    def __init__(self, artifacts: "Artifacts", path: str, writer: ObjectWriter) -> None:
        self._artifacts = artifacts
        self._path = path
        self._writer = writer

    def write(self, chunk: bytes) -> None:
        """Append bytes. Raises StoreFull, StoreUnavailable."""
        self._writer.write(chunk)

    def commit(self) -> Future[StoredFile]:
        """Make the bytes durable, then let the path name them.

        Raises (through the future):
            InvalidInput: the path needs a folder where a file is, or the other way round.
        """
        stored = StoredFile(self._path, self._writer.commit(), self._writer.size)
        return self._artifacts.publish(stored)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.__exit__(*exception)


class Artifacts:
    """The artifact root.

    Args:
        kernel: Gives the database, the objects and the clock.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._database = kernel.database
        self._objects = kernel.objects
        self._clock = kernel.clock
        self._cached_manifest = lru_cache(maxsize=MANIFESTS_CACHED_MAX)(self._read_manifest)

    def open_writer(self, path: str) -> ArtifactWriter:
        """Begin to replace or make the file of that parsed path.

        Raises:
            InvalidInput: the path is empty.
            Protected: the path lies in the frozen tree.
        """
        check_writable(path)
        return ArtifactWriter(self, path, self._objects.writer())

    def publish(self, file: StoredFile) -> Future[StoredFile]:
        """Let a path name an object that is durable already. Raises as `ArtifactWriter.commit`."""
        return self._database.write(lambda tx: self.name_file(tx, file))

    def name_file(self, tx: Connection, file: StoredFile) -> StoredFile:
        """`publish` as part of a larger write. Raises also Protected, for a path in the frozen tree."""
        check_writable(file.path)
        if other := store.taken_by_another_kind(tx, file.path):
            raise InvalidInput(
                f"Invalid path: '{file.path}' cannot be a file beside the file '{other}'"
            )
        store.put_artifact(tx, ArtifactRow(file.path, file.digest, file.size), now_ms=self._clock())
        return file

    def file(self, path: str) -> StoredFile:
        """The file of that parsed path.

        Raises:
            NotFound: there is none. InvalidInput: it is a folder.
        """
        frozen = _FROZEN_PATH.match(path)
        if frozen:
            found = self._database.read(
                lambda c: self._frozen_file(c, digest_of_hex(frozen[1]), frozen[2] or "")
            )
        else:
            found = self._database.peek(lambda c: _mutable_file(c, path))
        if found is not None:
            return found
        if self.list(path):
            raise InvalidInput(f"Invalid path: '{path}' is a directory, not a file")
        raise NotFound(f"Artifact '{path}' does not exist")

    def at_hand(self, path: str) -> tuple[StoredFile, bytes] | None:
        """The small file of that parsed path and its bytes, verified, if that takes no waiting; for an event loop.

        None says nothing: ask `file` and `read`, in a thread.
        """
        if _FROZEN_PATH.match(path):
            return None
        found = self._database.attempt(lambda c: _mutable_file(c, path), patience_s=LOOP_PATIENCE_S)
        if found is None or found.size > AT_HAND_SIZE_MAX:
            return None
        data = self._objects.at_hand(found.digest, size=found.size)
        return None if data is None else (found, data)

    def read(self, file: StoredFile, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The file's bytes in chunks, verified; or those from `start` up to, not including, `end`."""
        return self._objects.read(file.digest, start=start, end=end)

    def is_stored(self, file: StoredFile) -> bool:
        """Whether the object is there at all, so that its loss can be told before the first byte."""
        return self._objects.has(file.digest)

    def list(self, path: str) -> tuple[Listed, ...]:
        """What is in the folder, by name; nothing if there is no such folder."""
        if path == FROZEN:
            return ()  # whoever has a digest may read; the digests themselves are not listed here
        frozen = _FROZEN_PATH.match(path)
        if frozen:
            return self._database.read(
                lambda c: self._list_frozen(c, digest_of_hex(frozen[1]), frozen[2] or "")
            )
        return self._database.read(lambda c: _list_mutable(c, path))

    def delete(self, path: str) -> Future[int]:
        """Forget a file, or a folder with all in it; how many files. Objects stay until collected.

        Raises:
            InvalidInput: the path is the root.
            Protected: the path lies in the frozen tree.
        """
        check_writable(path)
        return self._database.write(lambda tx: store.remove_tree(tx, path))

    def freeze(self, connection: Connection, uri_or_path: str) -> tuple[FileEntry, ...]:
        """The files that a folder holds now, as a manifest lists them: relative to it, sorted by path.

        Args:
            connection: Reads and, in a write transaction, makes this part of a decision.
            uri_or_path: An ``mlflow-artifacts:`` URI, or a path under the artifact root. A single file counts
                as a folder with only it.

        Raises:
            NotFound: nothing is there.
            InvalidInput: the path is unsafe, or the URI names a place outside the store.
        """
        path = (
            folder_of_uri(uri_or_path) if ":" in uri_or_path else parse_artifact_path(uri_or_path)
        )
        if path is None:
            raise InvalidInput(f"'{uri_or_path}' lies outside the artifact store")
        frozen = _FROZEN_PATH.match(path)
        if frozen:
            entries = _inside(
                self._manifest(connection, digest_of_hex(frozen[1])).files, frozen[2] or ""
            )
        else:
            rows = store.artifacts_under(connection, path) if path else []
            entries = tuple(_entry(row, path) for row in rows)
            if not rows and (row := store.artifact_at(connection, path)):
                entries = (_entry(row, store.parent_of(path)),)
        if not entries:
            raise NotFound(
                f"No artifacts at '{uri_or_path}'", hint="log the model before registering it"
            )
        return entries

    def _manifest(self, connection: Connection, digest: Digest) -> Manifest:
        # Any object can be uploaded; only what a version refers to is shown as a version.
        if not store.is_registered(connection, digest):
            raise NotFound(f"No version has the digest {digest}")
        return self._cached_manifest(digest)

    def _read_manifest(self, digest: Digest) -> Manifest:
        return decode_manifest(
            self._objects.read_bytes(digest, size_max=MANIFEST_SIZE_MAX), digest=digest
        )

    def _frozen_file(self, connection: Connection, digest: Digest, inner: str) -> StoredFile | None:
        entry = self._manifest(connection, digest).file(inner)
        return StoredFile(f"{FROZEN}/{digest}/{inner}", entry.digest, entry.size) if entry else None

    def _list_frozen(
        self, connection: Connection, digest: Digest, inner: str
    ) -> tuple[Listed, ...]:
        try:
            files = self._manifest(connection, digest).files
        except NotFound:
            return ()
        prefix = f"{inner}/" if inner else ""
        listed: dict[str, Listed] = {}
        for entry in files:
            if entry.path.startswith(prefix):
                name, deeper, _ = entry.path[len(prefix) :].partition("/")
                listed[name] = (
                    Listed(name, is_folder=True)
                    if deeper
                    else Listed(name, is_folder=False, size=entry.size)
                )
        return tuple(sorted(listed.values(), key=lambda x: x.name))


def check_writable(path: str) -> None:
    """Refuse a parsed path at which nothing may be stored or deleted.

    Raises:
        InvalidInput: the path is the root. Protected: it lies in the frozen tree.
    """
    if not path:
        raise InvalidInput("Invalid path")
    if path == FROZEN or path.startswith(f"{FROZEN}/"):
        raise Protected(
            "The files of a registered version never change",
            hint="log a new model and register that",
        )


def _mutable_file(connection: Connection, path: str) -> StoredFile | None:
    row = store.artifact_at(connection, path)
    return StoredFile(row.path, parse_digest(row.digest), row.size) if row else None


def _list_mutable(connection: Connection, path: str) -> tuple[Listed, ...]:
    files = [
        Listed(r.path.rpartition("/")[2], is_folder=False, size=r.size)
        for r in store.artifacts_in(connection, path)
    ]
    folders = [Listed(name, is_folder=True) for name in store.folders_in(connection, path)]
    return tuple(sorted([*files, *folders], key=lambda x: x.name))


def _entry(row: ArtifactRow, folder: str) -> FileEntry:
    path = row.path.removeprefix(f"{folder}/") if folder else row.path
    return FileEntry(path=path, digest=parse_digest(row.digest), size=row.size)


def _inside(files: Sequence[FileEntry], folder: str) -> tuple[FileEntry, ...]:
    if not folder:
        return tuple(files)
    prefix = f"{folder}/"
    found = [f for f in files if f.path.startswith(prefix)]
    return tuple(FileEntry(path=f.path[len(prefix) :], digest=f.digest, size=f.size) for f in found)

"""Files that clients send in parts, and addresses at which they read them without us.

An upload is known by an id that cannot be guessed and belongs to one path. Its parts gather out of
sight; completing it puts them together, which gives the digest, and only then the path names the
file. An upload that is given up, or older than a day, leaves nothing.
"""

import logging
import secrets
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Lock

from lastgood.cas.port import Address, ObjectWriter, PartWriter
from lastgood.core.ids import parse_digest
from lastgood.engine.artifacts import Artifacts, StoredFile, check_writable
from lastgood.engine.kernel import Kernel
from lastgood.errors import InvalidInput, LastgoodError, NotFound, NotSupported
from lastgood.store.database import Connection
from lastgood.store.tracking import uploads as store
from lastgood.store.tracking.uploads import UploadRow

__all__ = ["Begun", "Part", "Uploads"]

PARTS_MAX = 10_000  # as many as S3 takes
UPLOAD_TTL_S = 24 * 3600.0  # to send all parts
DOWNLOAD_TTL_S = 300.0  # to begin a download
FORGET_AT_ONCE_MAX = 1_000  # expired uploads that one sweep removes
PROBE = "0" * 32

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload that waits for its parts; without addresses they are sent to us."""

    id: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part that was sent, with the tag that its receiver gave for it."""

    number: int
    tag: str


class Uploads:
    """The uploads of one store.

    Args:
        kernel: Gives the database, the objects, the clock and the settings.
        artifacts: Where complete files get their names.
    """

    def __init__(self, kernel: Kernel, artifacts: Artifacts) -> None:
        self._database = kernel.database
        self._objects = kernel.objects
        self._clock = kernel.clock
        self._direct = kernel.settings.objects.direct
        self._artifacts = artifacts
        self._completing: dict[str, Future[StoredFile]] = {}
        self._lock = Lock()

    def are_direct(self) -> bool:
        """Whether clients gain by sending parts and reading by address: the store itself talks to them."""
        if not self._direct:
            return False
        try:
            return bool(self._objects.parts.addresses(PROBE, count=1, ttl_s=1.0))
        except NotSupported:
            return False

    def begin(self, path: str, *, parts: int) -> Begun:
        """Begin to replace or make the file of that parsed path; returns when that is durable.

        Raises:
            InvalidInput: the path is empty, or the number of parts is out of range.
            Protected: the path lies in the frozen tree.
            NotSupported: the store takes no parts.
        """
        check_writable(path)
        if not 1 <= parts <= PARTS_MAX:
            raise InvalidInput(
                f"An upload may have 1 to {PARTS_MAX:,} parts, not {parts}",
                hint="use larger parts: MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE",
            )
        upload = secrets.token_hex(16)
        addresses = self._objects.parts.addresses(upload, count=parts, ttl_s=UPLOAD_TTL_S)
        if addresses and not self._direct:
            raise NotSupported("The settings do not let clients into the bucket")
        row = UploadRow(upload, path, parts, self._clock() + int(UPLOAD_TTL_S * 1000))
        self._database.write(lambda tx: store.add_upload(tx, row)).result()
        return Begun(upload, addresses)

    def part_writer(self, upload: str, number: int, *, path: str) -> PartWriter:
        """Begin a part that is sent through us.

        Raises:
            NotFound: no such upload of that path, or its time is over. InvalidInput: it has no such part.
        """
        row = self._open_upload(upload, path)
        if not 1 <= number <= row.parts:
            raise InvalidInput(f"The upload has the parts 1 to {row.parts}, not {number}")
        return self._objects.parts.writer(upload, number)

    def complete(self, upload: str, *, path: str, parts: Sequence[Part]) -> StoredFile:
        """Put the parts together; returns when the path durably names the file.

        Repeating it, even while it goes on, has the same outcome: clients do when an answer is late.

        Raises:
            NotFound: no such upload of that path, or a part was not received.
            InvalidInput: not all parts are named, or not in order.
            Conflict: a part is another than was sent.
        """
        with self._lock:
            running = self._completing.get(upload)
            mine = running is None
            if running is None:
                running = self._completing[upload] = Future()
        if not mine:
            running.result()
            return self._complete(upload, path, parts)  # checks the path, too
        try:
            stored = self._complete(upload, path, parts)
        except BaseException as error:
            running.set_exception(error)
            raise
        else:
            running.set_result(stored)
            return stored
        finally:
            with self._lock:
                del self._completing[upload]

    def _complete(self, upload: str, path: str, parts: Sequence[Part]) -> StoredFile:
        row = self._open_upload(upload, path)
        if row.digest is not None:  # the answer to the first time was lost
            return StoredFile(row.path, parse_digest(row.digest), row.size or 0)
        if [part.number for part in parts] != list(range(1, row.parts + 1)):
            raise InvalidInput(
                f"All parts from 1 to {row.parts} must be named, in this order",
                hint="send the parts that are missing, then complete the upload again",
            )
        with self._objects.writer() as writer:
            self._gather(writer, upload, parts)
            stored = StoredFile(path, writer.commit(), writer.size)
        self._database.write(lambda tx: self._name(tx, upload, stored)).result()
        self._drop(upload)
        return stored

    def _gather(self, writer: ObjectWriter, upload: str, parts: Sequence[Part]) -> None:
        for part in parts:
            for chunk in self._objects.parts.read(upload, part.number, tag=part.tag):
                writer.write(chunk)

    def _name(self, tx: Connection, upload: str, stored: StoredFile) -> None:
        if not store.complete_upload(tx, upload, digest=stored.digest, size=stored.size):
            raise _no_such_upload()
        self._artifacts.name_file(tx, stored)

    def abort(self, upload: str, *, path: str) -> None:
        """Give an upload up; nothing of it remains. A complete one stays.

        Raises:
            NotFound: no such upload of that path.
        """
        self._open_upload(upload, path)
        self._database.write(lambda tx: store.remove_upload(tx, upload)).result()
        self._objects.parts.drop(upload)

    def address(self, file: StoredFile, *, ttl_s: float = DOWNLOAD_TTL_S) -> Address:
        """Where a client can read the file without us.

        The bytes are verified now, not when they are read; who relies on that reads through us.

        Raises:
            NotSupported: the store has no such addresses, or the settings forbid it.
            NotFound: the object is lost. IntegrityFailure: it is damaged.
        """
        if not self._direct:
            raise NotSupported("The settings do not let clients into the bucket")
        return self._objects.address(file.digest, ttl_s=ttl_s)

    def sweep(self) -> int:
        """Remove what was given up or left by processes that died; how many uploads and files.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        now_ms = self._clock()
        old = self._database.read(
            lambda c: store.expired(c, now_ms=now_ms, limit=FORGET_AT_ONCE_MAX)
        )
        for upload in old:
            self._objects.parts.drop(upload)
            self._database.write(partial(store.remove_upload, upload=upload)).result()
        return len(old) + self._objects.sweep()

    def _open_upload(self, upload: str, path: str) -> UploadRow:
        row = self._database.peek(lambda c: store.upload_of(c, upload))
        if row is None or row.path != path or row.expires_ms < self._clock():
            raise _no_such_upload()
        return row

    def _drop(self, upload: str) -> None:
        try:
            self._objects.parts.drop(upload)
        except LastgoodError as error:  # the file is there; what remains of its parts is swept
            _log.warning("parts of upload %s remain for now: %s", upload, error.message)


def _no_such_upload() -> NotFound:
    return NotFound(
        "There is no such upload to this path, or its time is over", hint="begin it again"
    )

"""An object on its way into a bucket.

Its name is known only after its last byte. So a small one is held in memory and put in one request;
a larger one is uploaded by parts to ``incoming/<id>``, which nobody reads, and copied inside the store to
its name. Either way the name appears with all of its bytes or not at all.
"""

import hashlib
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore as Bucket

from lastgood.cas.remote_errors import translated
from lastgood.cas.remote_reading import Reader, path_of
from lastgood.core.ids import Digest, digest_of_hex
from lastgood.errors import IntegrityFailure, StoreUnavailable, TooLarge

if TYPE_CHECKING:  # it has no runtime counterpart
    from obstore import WritableFile

__all__ = ["COPY_SIZE_MAX", "RemoteWriter", "incoming_path"]

PART_SIZE = 8 * 2**20  # also the most that is held of a small object
PARTS_MAX = 10_000  # S3's limit for one upload
OBJECT_SIZE_MAX = PART_SIZE * PARTS_MAX
UPLOADS_MAX = 3  # parts under way at once; each is in memory
COPY_SIZE_MAX = 5 * 2**30  # S3 copies no more than this in one request


class RemoteWriter:
    """An object on its way into a bucket.

    Args:
        bucket: The bucket, with its prefix.
        name: Its URL, for messages.
        copy_size_max: Bytes that the store copies in one request; more is read and written again.
    """

    def __init__(self, bucket: Bucket, *, name: str, copy_size_max: int) -> None:
        self._bucket = bucket
        self._name = name
        self._copy_size_max = copy_size_max
        self._hasher = hashlib.sha256()
        self._held = bytearray()
        self._incoming = incoming_path()
        self._upload: WritableFile | None = None
        self.size = 0

    def write(self, chunk: bytes) -> None:
        if self.size + len(chunk) > OBJECT_SIZE_MAX:
            raise TooLarge(f"An object in {self._name} may have {OBJECT_SIZE_MAX:,} bytes")
        self._hasher.update(chunk)
        self.size += len(chunk)
        if self._upload is None and self.size <= PART_SIZE:
            self._held += chunk
            return
        with translated(self._name):
            if self._upload is None:
                self._upload = self._open(self._incoming)
                self._upload.write(self._held)
                self._held = bytearray()  # the old one is still being sent
            self._upload.write(chunk)

    def commit(self, *, expect: Digest | None = None) -> Digest:
        digest = digest_of_hex(self._hasher.hexdigest())
        if expect is not None and digest != expect:
            raise IntegrityFailure(
                f"The bytes sent have the digest {digest}, not {expect}", hint="send the file again"
            )
        with translated(self._name):
            if self._upload is None:
                obstore.put(self._bucket, path_of(digest), self._held, use_multipart=False)
            else:
                self._upload.close()
                self._publish(digest)
        self._discard()
        return digest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._discard()

    def _publish(self, digest: Digest) -> None:
        """Give the complete upload its final name."""
        target = path_of(digest)
        self._check_size(self._incoming)
        if self.size <= self._copy_size_max:
            obstore.copy(self._bucket, self._incoming, target)
        else:
            copy = self._open(target)
            for chunk in Reader(self._bucket, name=self._name).verified(self._incoming, digest):
                copy.write(chunk)
            copy.close()  # only if all were right; an upload that is not closed never appears
        self._check_size(target)

    def _open(self, path: str) -> "WritableFile":
        return obstore.open_writer(
            self._bucket, path, buffer_size=PART_SIZE, max_concurrency=UPLOADS_MAX
        )

    def _check_size(self, path: str) -> None:
        found = obstore.head(self._bucket, path)["size"]
        if found != self.size:
            raise StoreUnavailable(
                f"{self._name}: {self.size:,} bytes were sent, {found:,} arrived",
                hint="send them again",
            )

    def _discard(self) -> None:
        if self._upload is None:
            return
        # The store may refuse these too; what remains, a rule of the bucket removes, and the first error counts.
        with suppress(BaseError, OSError):
            if not self._upload.closed():
                self._upload.close()  # an upload cannot be given up, only finished and removed
        with suppress(BaseError, OSError):
            obstore.delete(self._bucket, self._incoming)
        self._upload = None


def incoming_path() -> str:
    """A name that nobody else uses, for bytes on their way in."""
    return f"incoming/{uuid.uuid4().hex}"

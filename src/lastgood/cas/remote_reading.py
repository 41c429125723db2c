"""Reading an object of a bucket, by requests each of which is short and bounded in memory."""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import obstore
from obstore.store import ObjectStore as Bucket

from lastgood.cas.local import damaged
from lastgood.cas.port import CHUNK_SIZE
from lastgood.cas.remote_errors import translated
from lastgood.core.ids import Digest, hex_of

if TYPE_CHECKING:  # it has no runtime counterpart
    from obstore import Bytes

__all__ = ["SEGMENT_SIZE", "Reader", "path_of", "slices"]

SEGMENT_SIZE = 8 * 2**20  # read by one request, so that a slow reader cannot outlast its timeout


class Reader:
    """Reads whole objects.

    Args:
        bucket: The bucket, with its prefix.
        name: Its URL, for messages.
    """

    def __init__(self, bucket: Bucket, *, name: str) -> None:
        self._bucket = bucket
        self._name = name

    def chunks(self, path: str, digest: Digest) -> Iterator[bytes]:
        """The bytes as they lie there, not verified. Raises NotFound, StoreUnavailable."""
        with translated(self._name, digest):
            whole = obstore.get(self._bucket, path)
            size = whole.meta["size"]
            data = whole.bytes() if size <= SEGMENT_SIZE else None
            del whole  # ends the request
        if data is not None:
            yield from slices(data)
            return
        for start in range(0, size, SEGMENT_SIZE):
            end = min(start + SEGMENT_SIZE, size)
            with translated(self._name, digest):
                data = obstore.get_range(self._bucket, path, start=start, end=end)
            yield from slices(data)

    def verified(self, path: str, digest: Digest) -> Iterator[bytes]:
        """The bytes; the last chunk comes only if all are right. Raises IntegrityFailure, as `chunks`."""
        # One chunk is held back: a reader who got every byte can rely on all of them being right.
        hasher = hashlib.sha256()
        held = b""
        for chunk in self.chunks(path, digest):
            hasher.update(chunk)
            if held:
                yield held
            held = chunk
        if hasher.hexdigest() != hex_of(digest):
            raise damaged(digest)
        yield held


def path_of(digest: Digest) -> str:
    """Where the object is under the prefix, or would be."""
    hex_digits = hex_of(digest)
    return f"sha256/{hex_digits[:2]}/{hex_digits[2:]}"


def slices(data: "Bytes") -> Iterator[bytes]:
    """The data in chunks."""
    view = memoryview(data)
    for start in range(0, len(view), CHUNK_SIZE):
        yield bytes(view[start : start + CHUNK_SIZE])

"""Objects in S3, Google Cloud Storage or Azure: ``sha256/ab/cdef…`` under a prefix of a bucket.

Nothing here relies on conditional writes, which not every implementation honours: whoever writes
to a name writes the same bytes.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import obstore
from obstore.store import ObjectStore as Bucket

from lastgood.cas.local import damaged
from lastgood.cas.port import CHUNK_SIZE, LEFTOVER_AGE_S, Address
from lastgood.cas.remote_errors import translated
from lastgood.cas.remote_parts import RemoteParts, signed
from lastgood.cas.remote_reading import SEGMENT_SIZE, Reader, path_of, slices
from lastgood.cas.remote_writer import COPY_SIZE_MAX, RemoteWriter, incoming_path
from lastgood.core.ids import Digest, digest_of_hex, hex_of
from lastgood.errors import NotFound, StoreUnavailable, TooLarge

if TYPE_CHECKING:  # it has no runtime counterpart
    from obstore import ObjectMeta

__all__ = ["RemoteObjects"]

SOUND_MAX = 65_536  # verified objects remembered
CHANGES_MAX = 3  # times that an object may be replaced while a part of it is read
CHECK_BYTES = b"lastgood can write here"


class Stamp(NamedTuple):
    """Tells one write of an object from the next."""

    tag: str
    size: int
    reliable: bool
    """False if the store gives no entity tag: two writes in one second look alike."""


class RemoteObjects:
    """Objects under a prefix of a bucket.

    Args:
        bucket: The bucket, with its prefix, credentials, timeouts and retries.
        name: Its URL, for messages.
        copy_size_max: Bytes that the store copies in one request; more is read and written again.
    """

    def __init__(self, bucket: Bucket, *, name: str, copy_size_max: int = COPY_SIZE_MAX) -> None:
        self._bucket = bucket
        self._name = name
        self._copy_size_max = copy_size_max
        self._reader = Reader(bucket, name=name)
        self.parts = RemoteParts(bucket, name=name)
        self._sound: dict[Digest, Stamp] = {}  # at most SOUND_MAX
        self._sound_lock = Lock()

    def check(self) -> None:
        """Write, read and remove a small file.

        Raises:
            StoreUnavailable: one of these is impossible; says which and why.
        """
        path = incoming_path()
        with translated(self._name):
            obstore.put(self._bucket, path, CHECK_BYTES, use_multipart=False)
            read = bytes(obstore.get(self._bucket, path).bytes())
            obstore.list_with_delimiter(self._bucket, "sha256")
            obstore.delete(self._bucket, path)
        if read != CHECK_BYTES:
            raise StoreUnavailable(
                f"{self._name}: what was written is read back otherwise",
                hint="use another object store",
            )

    def writer(self) -> RemoteWriter:
        return RemoteWriter(self._bucket, name=self._name, copy_size_max=self._copy_size_max)

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
        try:
            self._stamp(digest)
        except NotFound:
            return False
        return True

    def size(self, digest: Digest) -> int:
        return self._stamp(digest).size

    def read(self, digest: Digest, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        if start == 0 and end is None:
            return self._reader.verified(path_of(digest), digest)
        stamp = self._sound_stamp(digest)
        return self._read_part(
            digest, stamp, start, stamp.size if end is None else min(end, stamp.size)
        )

    def read_bytes(self, digest: Digest, *, size_max: int) -> bytes:
        with translated(self._name, digest):
            found = obstore.get(self._bucket, path_of(digest))
            if found.meta["size"] > size_max:
                raise TooLarge(f"Object {digest} is larger than {size_max:,} bytes")
            data = bytes(found.bytes())
        if hashlib.sha256(data).hexdigest() != hex_of(digest):
            raise damaged(digest)
        return data

    def at_hand(self, digest: Digest, *, size: int) -> None:
        return  # a network is between

    def verify(self, digest: Digest) -> int:
        hasher = hashlib.sha256()
        size = 0
        for chunk in self._reader.chunks(path_of(digest), digest):
            hasher.update(chunk)
            size += len(chunk)
        if hasher.hexdigest() != hex_of(digest):
            raise damaged(digest)
        return size

    def digests(self) -> Iterator[Digest]:
        with translated(self._name):
            folders = sorted(obstore.list_with_delimiter(self._bucket, "sha256")["common_prefixes"])
        # One folder at a time: the whole list may be long, and not every store sorts.
        for folder in folders:
            with translated(self._name):
                found = obstore.list(self._bucket, folder).collect()
            names = sorted(meta["path"].removeprefix("sha256/").replace("/", "") for meta in found)
            yield from (digest_of_hex(name) for name in names if _is_hex(name))

    def address(self, digest: Digest, *, ttl_s: float) -> Address:
        (address,) = signed(self._bucket, "GET", [path_of(digest)], name=self._name, ttl_s=ttl_s)
        self._sound_stamp(digest)
        return address

    def sweep(self) -> int:
        with translated(self._name):
            found = obstore.list(self._bucket, "incoming").collect()
            latest = datetime.now(UTC) - timedelta(seconds=LEFTOVER_AGE_S)
            old = [meta["path"] for meta in found if meta["last_modified"] < latest]
            if old:
                obstore.delete(self._bucket, old)
        return len(old)

    def _stamp(self, digest: Digest) -> Stamp:
        with translated(self._name, digest):
            return _stamp_of(obstore.head(self._bucket, path_of(digest)))

    def _sound_stamp(self, digest: Digest) -> Stamp:
        """The stamp of bytes that were verified: now, or when they were written as they still are."""
        stamp = self._stamp(digest)
        with self._sound_lock:
            known = self._sound.get(digest)
        if known == stamp and stamp.reliable:
            return stamp
        self.verify(digest)
        if self._stamp(digest) != stamp:
            raise _keeps_changing(digest)
        with self._sound_lock:
            self._sound[digest] = stamp
            if len(self._sound) > SOUND_MAX:
                self._sound.pop(next(iter(self._sound)))
        return stamp

    def _read_part(self, digest: Digest, stamp: Stamp, start: int, end: int) -> Iterator[bytes]:
        changes = 0
        while start < end:
            until = min(start + SEGMENT_SIZE, end)
            with translated(self._name, digest):
                found = obstore.get(
                    self._bucket, path_of(digest), options={"range": (start, until)}
                )
                data = found.bytes()
            if _stamp_of(found.meta) == stamp:
                yield from slices(data)
                start = until
                continue
            changes += 1  # somebody put the same bytes again, or other ones
            if changes > CHANGES_MAX:
                raise _keeps_changing(digest)
            stamp = self._sound_stamp(digest)


def _is_hex(name: str) -> bool:
    return len(name) == 64 and all(c in "0123456789abcdef" for c in name)


def _stamp_of(meta: "ObjectMeta") -> Stamp:
    tag = meta["e_tag"]
    return Stamp(tag or meta["last_modified"].isoformat(), meta["size"], reliable=bool(tag))


def _keeps_changing(digest: Digest) -> StoreUnavailable:
    return StoreUnavailable(
        f"Object {digest} is being replaced while it is read", hint="try again in a moment"
    )

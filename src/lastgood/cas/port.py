"""The port that every object store implements; tests/contract/test_objects.py runs over all of them."""

from collections.abc import Iterator
from typing import BinaryIO, Protocol, Self

from lastgood.core.ids import Digest

__all__ = ["CHUNK_SIZE", "ObjectStore", "ObjectWriter"]

CHUNK_SIZE = 1 << 20


class ObjectWriter(Protocol):
    """An object on its way in. Nothing is visible before `commit`; leaving without it leaves no trace.

    Use it as a context manager.
    """

    size: int
    """Bytes written so far."""

    def write(self, chunk: bytes) -> None:
        """Append bytes. Raises StoreFull."""
        ...

    def commit(self, *, expect: Digest | None = None) -> Digest:
        """Make the object durable and visible under its digest, and return that.

        Raises:
            IntegrityFailure: the bytes do not have the expected digest. StoreFull.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class ObjectStore(Protocol):
    """Write-once objects."""

    def writer(self) -> ObjectWriter:
        """Begin a new object."""
        ...

    def put(self, stream: BinaryIO, *, expect: Digest | None = None) -> Digest:
        """Store all bytes of a stream. Raises as `ObjectWriter.commit`."""
        ...

    def put_bytes(self, data: bytes) -> Digest:
        """Store these bytes."""
        ...

    def has(self, digest: Digest) -> bool:
        """Whether an object of that digest is stored (its bytes are not read)."""
        ...

    def size(self, digest: Digest) -> int:
        """Bytes of the object. Raises NotFound."""
        ...

    def read(self, digest: Digest, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes in chunks, always verified as a whole.

        A complete read hands out its last chunk only after all bytes proved right. A part
        (`start`, `end` exclusive) is verified before its first byte is handed out.

        Raises:
            NotFound: no such object. IntegrityFailure: the bytes are not what the digest says.
        """
        ...

    def read_bytes(self, digest: Digest, *, size_max: int) -> bytes:
        """The whole object, verified. Raises TooLarge, NotFound, IntegrityFailure."""
        ...

    def verify(self, digest: Digest) -> int:
        """Read and hash the object; its size in bytes. Raises NotFound, IntegrityFailure."""
        ...

    def digests(self) -> Iterator[Digest]:
        """All stored objects, in order of digest."""
        ...

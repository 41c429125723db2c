"""The port that every object store implements; tests/contract/test_objects.py runs over all of them."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol, Self

from lastgood.core.ids import Digest

__all__ = [
    "CHUNK_SIZE",
    "LEFTOVER_AGE_S",
    "Address",
    "ObjectStore",
    "ObjectWriter",
    "PartStore",
    "PartWriter",
]

CHUNK_SIZE = 512 << 10  # a download holds up to five of them; half of it costs a third more to send
LEFTOVER_AGE_S = (
    24 * 3600.0
)  # older bytes that never became an object belong to who died or gave up


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


class Address(NamedTuple):
    """Where a client may go itself, for a while."""

    url: str
    """Signed: whoever has it may do what it is for."""
    headers: dict[str, str]
    """To be sent along."""


class PartWriter(Protocol):
    """A part on its way in; as `ObjectWriter`."""

    size: int

    def write(self, chunk: bytes) -> None:
        """Append bytes. Raises StoreFull."""
        ...

    def commit(self) -> str:
        """Keep the part, in place of one that came before under its number; returns the tag of its bytes."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


class PartStore(Protocol):
    """Parts of objects, kept under an upload's id and a number until they are put together or dropped."""

    def addresses(self, upload: str, *, count: int, ttl_s: float) -> tuple[Address, ...]:
        """Where a client puts the parts 1 to `count` itself; none if it sends them to us.

        Raises:
            NotSupported: it can do neither.
        """
        ...

    def writer(self, upload: str, number: int) -> PartWriter:
        """Begin a part. Raises NotSupported where clients put the parts themselves."""
        ...

    def read(self, upload: str, number: int, *, tag: str) -> Iterator[bytes]:
        """The bytes of a part, for one who does nothing with them before the last has come without an error.

        Raises:
            NotFound: there is no such part. Conflict: it is another than was sent.
        """
        ...

    def drop(self, upload: str) -> None:
        """Remove all parts of the upload; those that are gone already are no error."""
        ...


class ObjectStore(Protocol):
    """Write-once objects."""

    @property
    def parts(self) -> PartStore:
        """Where objects that are sent in parts gather."""
        ...

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

    def at_hand(self, digest: Digest, *, size: int) -> bytes | None:
        """The whole small object, verified, if that takes no waiting; for an event loop.

        Args:
            digest: Of the object.
            size: Its size in bytes.

        Returns:
            None: it would have to be waited for, is not there, or is damaged; `read` tells which.
        """
        ...

    def verify(self, digest: Digest) -> int:
        """Read and hash the object; its size in bytes. Raises NotFound, IntegrityFailure."""
        ...

    def digests(self) -> Iterator[Digest]:
        """All stored objects, in order of digest."""
        ...

    def address(self, digest: Digest, *, ttl_s: float) -> Address:
        """Where a client can read the object itself; its bytes are verified now.

        Raises:
            NotSupported: the store has no such addresses. NotFound. IntegrityFailure.
        """
        ...

    def sweep(self) -> int:
        """Remove what was on its way in and left more than a day ago; how many files."""
        ...

"""Before a version goes live its bytes are read and hashed: a damaged one is refused, by file name."""

from collections.abc import Iterable

from lastgood.cas.port import ObjectStore
from lastgood.core.ids import Digest
from lastgood.core.manifest import FileEntry, Manifest, decode_manifest
from lastgood.errors import IntegrityFailure, NotFound

__all__ = ["MANIFEST_SIZE_MAX", "read_manifest", "verify_files"]

MANIFEST_SIZE_MAX = 64 * 2**20


def read_manifest(objects: ObjectStore, digest: Digest) -> Manifest:
    """The manifest with that digest, its bytes verified.

    Raises:
        NotFound: it is not stored. IntegrityFailure: it is damaged.
    """
    return decode_manifest(objects.read_bytes(digest, size_max=MANIFEST_SIZE_MAX), digest=digest)


def verify_files(objects: ObjectStore, files: Iterable[FileEntry], *, subject: str) -> None:
    """Read and hash every file.

    Raises:
        IntegrityFailure: one is missing, damaged, or of another size; the message names it.
    """
    for entry in files:
        try:
            size = objects.verify(entry.digest)
        except NotFound:
            raise IntegrityFailure(
                f"{subject}: the file {entry.path} is missing (object {entry.digest})",
                hint="restore the object from a backup, or register the model again",
            ) from None
        except IntegrityFailure:
            raise IntegrityFailure(
                f"{subject}: the file {entry.path} is damaged (object {entry.digest})",
                hint="restore the object from a backup, or register the model again",
            ) from None
        if size != entry.size:
            raise IntegrityFailure(
                f"{subject}: the file {entry.path} has {size} bytes, the manifest says {entry.size}"
            )

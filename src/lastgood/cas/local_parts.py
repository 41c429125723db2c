"""Parts of objects on local disk: ``incoming/<upload>.<number>``, sent through the server.

They are not synced: a part that a power cut took or tore no longer fits the tag that its sender
got, and then the object is not put together.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lastgood.cas.incoming import IncomingFile, translated
from lastgood.cas.port import CHUNK_SIZE, Address
from lastgood.errors import Conflict, NotFound

__all__ = ["LocalParts"]


class LocalParts:
    """Parts in one directory.

    Args:
        folder: Exists already.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def addresses(self, upload: str, *, count: int, ttl_s: float) -> tuple[Address, ...]:
        return ()

    def writer(self, upload: str, number: int) -> "LocalPartWriter":
        return LocalPartWriter(self._folder, self._path(upload, number))

    def read(self, upload: str, number: int, *, tag: str) -> Iterator[bytes]:
        hasher = hashlib.sha256()
        with translated(self._folder):
            try:
                file = self._path(upload, number).open("rb", buffering=0)
            except FileNotFoundError:
                raise NotFound(
                    f"Part {number} of the upload was not received", hint="send it again"
                ) from None
        with file:
            while chunk := file.read(CHUNK_SIZE):
                hasher.update(chunk)
                yield chunk
        if hasher.hexdigest() != tag:
            raise Conflict(
                f"Part {number} of the upload is another than was sent", hint="send it again"
            )

    def drop(self, upload: str) -> None:
        with translated(self._folder):
            for part in self._folder.glob(f"{upload}.*"):
                with suppress(FileNotFoundError):
                    part.unlink()

    def _path(self, upload: str, number: int) -> Path:
        return self._folder / f"{upload}.{number}"


class LocalPartWriter(IncomingFile):
    """A part on its way in.

    Args:
        folder: Where its bytes gather.
        target: What it is called when it is complete.
    """

    def __init__(self, folder: Path, target: Path) -> None:
        super().__init__(folder)
        self._target = target

    def commit(self) -> str:
        with translated(self._path):
            self._close()
            self._path.replace(self._target)
        self._named = True
        return self._hasher.hexdigest()

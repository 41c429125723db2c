"""Parts of objects in a bucket: ``incoming/<upload>/<number>``, put there by clients with signed addresses.

Who has such an address can put a part again while it is read. So what is hashed is what was read,
and an object gets the digest of the very bytes that are written under it.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store
from obstore.store import ObjectStore as Bucket

from lastgood.cas.port import Address, PartWriter
from lastgood.cas.remote_errors import translated
from lastgood.cas.remote_reading import SEGMENT_SIZE, slices
from lastgood.errors import Conflict, NotFound, NotSupported

if TYPE_CHECKING:  # it has no runtime counterpart
    from obstore import GetResult

__all__ = ["RemoteParts", "signed"]

Method = Literal["GET", "PUT"]
# Azure wants to know what kind of blob a PUT makes.
_AZURE_PUT = {"x-ms-blob-type": "BlockBlob"}


class RemoteParts:
    """Parts under a prefix of a bucket.

    Args:
        bucket: The bucket, with its prefix.
        name: Its URL, for messages.
    """

    def __init__(self, bucket: Bucket, *, name: str) -> None:
        self._bucket = bucket
        self._name = name

    def addresses(self, upload: str, *, count: int, ttl_s: float) -> tuple[Address, ...]:
        paths = [_path(upload, number) for number in range(1, count + 1)]
        return signed(self._bucket, "PUT", paths, name=self._name, ttl_s=ttl_s)

    def writer(self, upload: str, number: int) -> PartWriter:
        raise NotSupported("Parts are sent to the addresses that were given when the upload began")

    def read(self, upload: str, number: int, *, tag: str) -> Iterator[bytes]:
        start, size = 0, 1
        while start < size:
            found = self._get(upload, number, start)
            if (found.meta["e_tag"] or tag).strip('"') != tag.strip('"'):
                raise Conflict(
                    f"Part {number} of the upload is another than was sent", hint="send it again"
                )
            size = found.meta["size"]
            with translated(self._name):
                data = found.bytes()
            yield from slices(data)
            start += SEGMENT_SIZE

    def drop(self, upload: str) -> None:
        with translated(self._name):
            paths = [meta["path"] for meta in obstore.list(self._bucket, _folder(upload)).collect()]
            if paths:
                obstore.delete(self._bucket, paths)

    def _get(self, upload: str, number: int, start: int) -> "GetResult":
        path = _path(upload, number)
        with translated(self._name):
            try:
                if start == 0 and obstore.head(self._bucket, path)["size"] == 0:
                    return obstore.get(self._bucket, path)  # of nothing there is no part
                return obstore.get(
                    self._bucket, path, options={"range": (start, start + SEGMENT_SIZE)}
                )
            except FileNotFoundError:
                raise NotFound(
                    f"Part {number} of the upload was not received", hint="send it again"
                ) from None


def signed(
    bucket: Bucket, method: Method, paths: list[str], *, name: str, ttl_s: float
) -> tuple[Address, ...]:
    """Addresses at which a client can do that for so long.

    Raises:
        NotSupported: the store has none, or our credentials cannot sign.
    """
    if not isinstance(bucket, S3Store | GCSStore | AzureStore):
        raise NotSupported(f"{name} has no signed addresses")
    headers = _AZURE_PUT if method == "PUT" and isinstance(bucket, AzureStore) else {}
    try:
        urls = obstore.sign(bucket, method, paths, timedelta(seconds=ttl_s))
    except (BaseError, OSError):  # its text may hold what must not be shown
        raise NotSupported(
            f"{name}: the credentials cannot sign addresses", hint="use a key, or plain transfers"
        ) from None
    return tuple(Address(url, headers) for url in urls)


def _folder(upload: str) -> str:
    return f"incoming/{upload}"


def _path(upload: str, number: int) -> str:
    return f"{_folder(upload)}/{number}"

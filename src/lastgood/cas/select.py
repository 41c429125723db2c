"""Which object store a location means: a directory, or a URL."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lastgood.cas.local import LocalObjects
from lastgood.cas.port import ObjectStore
from lastgood.core.ids import printable
from lastgood.errors import InvalidInput, NotSupported

if TYPE_CHECKING:  # comes with an extra, and only a URL needs it
    from lastgood.cas.remote import RemoteObjects

__all__ = ["check_url", "open_objects"]

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 60.0  # for one part or segment, not for the whole object
RETRIES_MAX = 5
RETRY_TIMEOUT_S = 20.0  # since the first attempt; no more attempts begin after it
RETRY_PAUSE_MAX_S = 5.0
ALLOW_HTTP = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}

_URL = re.compile(r"(?:s3|gs|az)://([^\x00-\x20\x7f\x22\\]+)|file:///([^\x00-\x1f\x7f\x22\\]+)")
_REASON = re.compile(r"source: ([A-Z]\w{1,63})")


def open_objects(url_or_path: str | Path, *, check: bool = False) -> ObjectStore:
    """The object store at that location.

    Args:
        url_or_path: A directory as `Path`; or as `str` a URL ``s3://bucket/prefix``, ``gs://bucket/prefix``,
            ``az://container/prefix`` or ``file:///directory``. Endpoint, region and credentials of a
            bucket come from the environment.
        check: Also write and read there, once. A directory is always checked.

    Raises:
        InvalidInput: no such URL. NotSupported: the package for remote stores is not installed.
        StoreUnavailable: the place cannot be used.
    """
    if isinstance(url_or_path, Path):
        return LocalObjects(url_or_path, near=True)
    url = check_url(url_or_path)
    if url.startswith("file:"):
        return LocalObjects(Path(unquote(urlsplit(url).path)))
    objects = _open_bucket(url)
    if check:
        objects.check()
    return objects


def check_url(url: str) -> str:
    """The URL of an object store, without a slash at its end.

    Raises:
        InvalidInput: it is not one, or carries credentials or options.
    """
    if "@" in url or "?" in url or "#" in url:  # not shown: it may be a secret
        raise InvalidInput(
            "The URL of the objects holds more than a bucket and a prefix",
            hint="credentials and endpoint belong in the environment, see docs/how-to/configure.md",
        )
    found = _URL.fullmatch(url)
    if found is None or {".", "..", ""} & set((found[1] or found[2]).rstrip("/").split("/")):
        raise InvalidInput(
            f"{printable(url)} is not a place for objects",
            hint="use s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///directory",
        )
    return url.rstrip("/")


def _open_bucket(url: str) -> "RemoteObjects":
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        from lastgood.cas.remote import RemoteObjects
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "obstore":
            raise
        raise NotSupported(
            f"Objects at {url} need the package obstore", hint="pip install 'lastgood[remote]'"
        ) from None
    scheme = urlsplit(url).scheme
    try:
        bucket = from_url(
            url,
            # The bulk call gains nothing for one file, and some implementations answer it wrongly.
            config={"disable_bulk_delete": True} if scheme == "s3" else None,
            client_options={
                "allow_http": os.environ.get(ALLOW_HTTP[scheme], "").lower()
                in {"1", "true", "yes"},
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
                "timeout": timedelta(seconds=REQUEST_TIMEOUT_S),
            },
            retry_config={
                "max_retries": RETRIES_MAX,
                "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S),
                "backoff": {"max_backoff": timedelta(seconds=RETRY_PAUSE_MAX_S)},
            },
        )
    except (BaseError, ValueError) as error:
        # Its text may hold the value of a variable; the name of what is wrong is all that is taken.
        reason = _REASON.search(str(error))
        raise InvalidInput(
            f"{url} cannot be opened: a setting in the environment is missing or wrong"
            + (f" ({reason[1]})" if reason else ""),
            hint="docs/how-to/configure.md lists the variables for each kind of store",
        ) from None
    return RemoteObjects(bucket, name=url)

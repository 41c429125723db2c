"""What a remote object store answers, in our words.

The store's own message is never passed on: it holds request headers, signed addresses or tokens,
depending on the provider. What helps is taken from it: the HTTP status and the error code.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from lastgood.core.ids import Digest
from lastgood.errors import LastgoodError, NotFound, StoreFull, StoreUnavailable

__all__ = ["translated"]

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_FULL = re.compile(
    r"status code: 507|<Code>\w*(?:StorageFull|QuotaExceeded|InsufficientStorage)|os error (?:28|122)\b"
)
_NO_BUCKET = frozenset({"NoSuchBucket", "ContainerNotFound"})
_NO_ANSWER = (
    (
        "BadScheme",
        "plain http is not allowed",
        "set AWS_ALLOW_HTTP (or GOOGLE_…, AZURE_…) to true if the network is trusted",
    ),
    ("dns error", "its address is unknown", "check the bucket's name, region and endpoint"),
    ("TimedOut", "it did not answer in time", "check the network, then try again"),
    ("onnect", "it cannot be reached", "check the network and the endpoint, then try again"),
)


@contextmanager
def translated(name: str, digest: Digest | None = None) -> Iterator[None]:
    """Say in our words what the object store says in its own.

    Args:
        name: The store's URL, for messages.
        digest: The object that is read; its absence is NotFound.

    Raises:
        NotFound: the object is not stored. StoreFull: quota or space is used up.
        StoreUnavailable: no answer, no such bucket, or access denied.
    """
    try:
        yield
    except (BaseError, OSError) as error:
        # Without the cause: tracebacks go to logs, and its text may hold what must not be there.
        raise _in_our_words(error, name, digest) from None


def _in_our_words(error: Exception, name: str, digest: Digest | None) -> LastgoodError:
    text = str(error)
    if _FULL.search(text):
        return StoreFull(
            f"No space left in {name}; nothing was stored", hint="raise the quota and try again"
        )
    if isinstance(error, FileNotFoundError):
        return _absent(_CODE.search(text), name, digest)
    return _refused(error, name) or _silent(error, name)


def _absent(code: re.Match[str] | None, name: str, digest: Digest | None) -> LastgoodError:
    if digest is not None and (code is None or code[1] not in _NO_BUCKET):
        return NotFound(f"Object {digest} is not stored", hint="run: lastgood fsck")
    return StoreUnavailable(
        f"{name}: the bucket does not exist, or an upload in it is gone",
        hint="check that the bucket exists and that no rule of it removes uploads that go on",
    )


def _refused(error: Exception, name: str) -> LastgoodError | None:
    """The error for what the store said; None if it said nothing."""
    said = (_STATUS.search(str(error)), _CODE.search(str(error)))
    answer = " ".join(found[1] for found in said if found)
    denied = isinstance(error, PermissionDeniedError | UnauthenticatedError)
    if denied or answer.startswith(("401", "403")):
        return StoreUnavailable(
            f"{name}: access denied ({answer or type(error).__name__})",
            hint="check the credentials in the environment; they must allow to read, write, list and delete",
        )
    if not answer:
        return None
    return StoreUnavailable(
        f"{name}: the object store answered {answer}", hint="try again; then ask its operator"
    )


def _silent(error: Exception, name: str) -> LastgoodError:
    for sign, what, hint in _NO_ANSWER:
        if sign in str(error):
            return StoreUnavailable(f"{name}: {what}", hint=hint)
    return StoreUnavailable(
        f"{name}: the object store failed ({type(error).__name__})",
        hint="check its settings in the environment",
    )

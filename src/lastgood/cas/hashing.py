"""The digest of many bytes, worked out beside whatever else is done with them."""

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["SideHasher"]

ASIDE_SIZE_MIN = 128 << 10  # bytes; less is hashed before another thread has woken up


class SideHasher:
    """SHA-256 of bytes that come in pieces; large ones are hashed by a thread of its own.

    Hashing and writing take about as long as each other, so that together they take half of their sum where
    there is a core for each. It holds one piece. Call `close` in the end, however that comes.
    """

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()
        self._thread: ThreadPoolExecutor | None = None
        self._hashing: Future[None] | None = None

    def update(self, piece: bytes) -> None:
        """Append bytes; returns once all before them are hashed."""
        self._settle()
        if len(piece) < ASIDE_SIZE_MIN:
            self._hasher.update(piece)
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="lastgood-hash")
        self._hashing = self._thread.submit(self._hasher.update, piece)

    def hexdigest(self) -> str:
        """Of all bytes so far."""
        self._settle()
        return self._hasher.hexdigest()

    def close(self) -> None:
        """Let the thread go."""
        if self._thread is not None:
            self._thread.shutdown()

    def _settle(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

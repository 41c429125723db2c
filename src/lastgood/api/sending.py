"""Bytes on their way from a store to a client: a thread reads and hashes while the event loop sends."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from starlette.concurrency import run_in_threadpool

__all__ = ["read_ahead"]


async def read_ahead(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The chunks, each of which is read while the one before it is sent.

    Two are in memory at a time, beside what the iterator itself holds.

    Args:
        chunks: Asked in a thread, for one after the other.

    Raises:
        Whatever the iterator raises, in the place of the chunk that it could not give.
    """
    reading = _begin_to_read(chunks)
    try:
        while (chunk := await reading) is not None:
            reading = _begin_to_read(chunks)
            yield chunk
    finally:  # a client that went away learns of no error any more
        reading.add_done_callback(_notice)


def _begin_to_read(chunks: Iterator[bytes]) -> "asyncio.Task[bytes | None]":
    return asyncio.ensure_future(run_in_threadpool(next, chunks, None))


def _notice(reading: "asyncio.Task[bytes | None]") -> None:
    if not reading.cancelled():
        reading.exception()

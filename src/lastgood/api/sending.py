"""Bytes on their way from a store to a client: threads read and hash, the event loop sends."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import aclosing
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Send

__all__ = ["Download", "read_in_threads"]


class Download(StreamingResponse):
    """An answer whose body is read in threads; what it is read from is let go with the answer, however that ends.

    Left to the garbage collector, a file and megabytes of it stayed for as long as an idle server has no
    reason to collect: a client that goes away leaves exceptions that refer to the frames they came through.

    Args:
        chunks: The body, as for `read_in_threads`.
        status_code: Of the answer.
        headers: Of the answer.
        media_type: Of the answer, if no header says it.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        *,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self._body = read_in_threads(chunks)
        super().__init__(
            self._body, status_code=status_code, headers=headers, media_type=media_type
        )

    async def stream_response(self, send: Send) -> None:
        """Send it."""
        async with aclosing(self._body):
            await super().stream_response(send)


async def read_in_threads(chunks: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The chunks, each of which is read once the one before it was sent.

    Reading ahead was no quicker: what sends works beside it anyway.

    Args:
        chunks: Asked in a thread, for one after the other. A generator is closed in the end.

    Raises:
        Whatever the iterator raises, in the place of the chunk that it could not give.
    """
    source = _closable(chunks)
    reading = _begin_to_read(source)
    try:
        # Shielded: a thread cannot be cancelled, and the source is closed only when none works with it any more.
        while (chunk := await asyncio.shield(reading)) is not None:
            yield chunk
            reading = _begin_to_read(source)
    finally:
        reading.add_done_callback(partial(_let_go, source))


def _closable(chunks: Iterator[bytes]) -> Generator[bytes, None, None]:
    yield from chunks


def _begin_to_read(source: Iterator[bytes]) -> "asyncio.Task[bytes | None]":
    return asyncio.ensure_future(run_in_threadpool(next, source, None))


def _let_go(source: Generator[bytes, None, None], reading: "asyncio.Task[bytes | None]") -> None:
    if not reading.cancelled():
        reading.exception()  # told already; or the client has gone, and nobody wants to know
        source.close()

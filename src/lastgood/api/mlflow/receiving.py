"""A request's body on its way to a store, in bounded memory.

The event loop collects what arrives while a thread writes and hashes what arrived before. A body
that fits into one batch costs a single visit to a thread, and nothing is begun before all of it
is there.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from starlette.concurrency import run_in_threadpool

from lastgood.api.mlflow.wire import MlflowRequest
from lastgood.errors import InvalidInput, TooLarge

__all__ = ["Sink", "receive"]

# Bytes, and up to a chunk more. An upload holds two batches and a chunk in memory.
BATCH_SIZE = 1 << 19


class Sink(Protocol):
    """Takes bytes; left without having been finished, it leaves no trace."""

    def write(self, chunk: bytes) -> None:
        """Append bytes."""
        ...

    def __exit__(self, *exception: object) -> None: ...


S = TypeVar("S", bound=Sink)
T = TypeVar("T")


async def receive(
    request: MlflowRequest,
    *,
    begin: Callable[[], S],
    finish: Callable[[S], T],
    size_max: int,
) -> T:
    """Write the body into a sink, and finish it once everything has come.

    Args:
        request: Its body has not been read.
        begin: Makes the sink; called in a thread, as all of its methods.
        finish: Makes what was written count.
        size_max: Bytes that the body may have.

    Raises:
        ClientDisconnect: the client went away.
        TooSlow: the body stalled. InvalidInput: it is not as long as was announced.
        TooLarge: it is longer than `size_max`.
        Whatever `begin`, `write` and `finish` raise. In each case the sink was left.
    """
    body = _Body(request, size_max=size_max)
    batch = await body.batch()
    if body.is_over():
        return await run_in_threadpool(_store_whole, begin, batch, finish)
    sink = await run_in_threadpool(begin)
    writing = asyncio.ensure_future(run_in_threadpool(_write, sink, batch))
    try:
        while not body.is_over():
            batch = await body.batch()
            await writing
            writing = asyncio.ensure_future(run_in_threadpool(_write, sink, batch))
        await writing
        return await run_in_threadpool(finish, sink)
    finally:  # also when cancelled; the sink is left only when no thread works with it any more
        await asyncio.shield(_leave(sink, writing))


async def _leave(sink: Sink, writing: "asyncio.Future[None]") -> None:
    await asyncio.wait({writing})
    if not writing.cancelled():
        writing.exception()  # told already, or outdone by what came first
    await run_in_threadpool(sink.__exit__, None, None, None)


def _store_whole(begin: Callable[[], S], batch: Sequence[bytes], finish: Callable[[S], T]) -> T:
    sink = begin()
    try:
        _write(sink, batch)
        return finish(sink)
    finally:
        sink.__exit__(None, None, None)


def _write(sink: Sink, batch: Sequence[bytes]) -> None:
    for chunk in batch:
        sink.write(chunk)


class _Body:
    """The body in batches, checked against what was announced."""

    def __init__(self, request: MlflowRequest, *, size_max: int) -> None:
        self._over = False
        length = request.header(b"content-length")
        self._expected = int(length) if length.isdecimal() else None
        self._chunks = request.stream()
        self._received = 0
        self._size_max = size_max
        if self._expected is not None and self._expected > size_max:
            raise self._too_large()

    def is_over(self) -> bool:
        """Whether all of it was handed out."""
        return self._over

    async def batch(self) -> Sequence[bytes]:
        """The next bytes; they are the last if the body `is_over` then."""
        chunks: list[bytes] = []
        size = 0
        while size < BATCH_SIZE:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                self._end()
                break
            chunks.append(chunk)
            size += len(chunk)
            self._received += len(chunk)
            if self._received > self._size_max:
                raise self._too_large()
        return chunks

    def _end(self) -> None:
        self._over = True
        if self._expected is not None and self._received != self._expected:
            raise InvalidInput(
                f"The upload ended after {self._received} of {self._expected} bytes; nothing was stored"
            )

    def _too_large(self) -> TooLarge:
        return TooLarge(f"An upload may have {self._size_max:,} bytes; nothing was stored")

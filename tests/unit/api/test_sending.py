"""How chunks get from a thread to the event loop: in order, and no longer than somebody listens."""

import asyncio
import threading

import pytest

from lastgood.api.sending import read_in_threads
from lastgood.errors import IntegrityFailure


class Chunks:
    """An iterator that says how often it was asked, and fails in the end if it is told to; a slow one waits with the second."""

    def __init__(self, count, error=None, *, slow=False):
        self.asked = 0
        self.second, self.let_go = threading.Event(), threading.Event()
        if not slow:
            self.let_go.set()
        self._count, self._error = count, error

    def __iter__(self):
        return self

    def __next__(self):
        self.asked += 1
        if self.asked == 2:
            self.second.set()
            assert self.let_go.wait(5.0)
        if self.asked <= self._count:
            return b"%d" % self.asked
        if self._error is not None:
            raise self._error
        raise StopIteration


def test_chunks_come_in_order():
    async def gather():
        return [chunk async for chunk in read_in_threads(Chunks(5))]

    assert asyncio.run(gather()) == [b"1", b"2", b"3", b"4", b"5"]


def test_nothing_is_read_before_it_is_wanted():
    async def look():
        chunks = Chunks(5)
        sending = read_in_threads(chunks)
        assert await anext(sending) == b"1"
        await asyncio.sleep(0.02)
        assert chunks.asked == 1
        await sending.aclose()

    asyncio.run(look())


def test_an_error_comes_in_the_place_of_its_chunk():
    async def gather(found):
        async for chunk in read_in_threads(Chunks(2, IntegrityFailure("damaged"))):
            found.append(chunk)

    found = []
    with pytest.raises(IntegrityFailure):
        asyncio.run(gather(found))
    assert found == [b"1", b"2"]


def test_nobody_hears_of_an_error_after_the_client_has_gone(caplog):
    async def look():
        chunks = Chunks(1, IntegrityFailure("damaged"), slow=True)
        sending = read_in_threads(chunks)
        assert await anext(sending) == b"1"
        waiting = asyncio.ensure_future(anext(sending))
        assert await asyncio.to_thread(chunks.second.wait, 5.0)
        waiting.cancel()
        await asyncio.wait({waiting})
        chunks.let_go.set()  # and it fails
        await sending.aclose()
        await asyncio.sleep(0.02)

    asyncio.run(look())
    assert caplog.records == []


def test_the_source_is_closed_when_the_client_goes_away_in_the_middle():
    async def look():
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def chunks():
            try:
                yield from (b"1", b"2", b"3")
            finally:
                loop.call_soon_threadsafe(closed.set)

        sending = read_in_threads(chunks())
        assert await anext(sending) == b"1"
        assert not closed.is_set()
        await sending.aclose()
        async with asyncio.timeout(5):
            await closed.wait()

    asyncio.run(look())

"""Bodies that break off or are not as announced: nothing remains of them."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect

from lastgood.api.admission import Admission, BodyRoom
from lastgood.api.mlflow.receiving import BATCH_SIZE, receive
from lastgood.api.mlflow.wire import MlflowRequest
from lastgood.errors import InvalidInput, StoreFull, TooLarge

SIZE_MAX = 10 * BATCH_SIZE


class Sink:
    """Notes what happens to it."""

    def __init__(self, *, full_after=None):
        self.written = 0
        self.left = False
        self._full_after = full_after

    def write(self, chunk):
        assert not self.left
        self.written += len(chunk)
        if self._full_after is not None and self.written > self._full_after:
            raise StoreFull("no space")

    def __exit__(self, *exception):
        self.left = True


def upload(sink, chunks, *, length=None, end="more"):
    """What `receive` says about these chunks, which end or break off."""
    messages = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    endings = {
        "more": {"type": "http.request", "body": b"", "more_body": False},
        "gone": {"type": "http.disconnect"},
    }

    async def receiver():
        if messages:
            return messages.pop(0)
        return endings[end]

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    return asyncio.run(_received(sink, receiver, headers))


async def _received(sink, receiver, headers=()):
    scope = {"method": "PUT", "headers": headers}
    request = MlflowRequest(None, scope, receiver, dict(headers), BodyRoom(Admission()))
    return await receive(request, begin=lambda: sink, finish=lambda s: s.written, size_max=SIZE_MAX)


SMALL = [b"x" * 10]
LARGE = [b"x" * (BATCH_SIZE // 3)] * 10


@pytest.mark.parametrize("chunks", [[], SMALL, LARGE])
def test_a_body_is_written_and_finished(chunks):
    sink = Sink()
    assert upload(sink, chunks) == sum(map(len, chunks))
    assert sink.left


@pytest.mark.parametrize("chunks", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("end", "length", "error"),
    [
        ("gone", None, ClientDisconnect),
        ("more", 7, InvalidInput),
        ("more", SIZE_MAX + 1, TooLarge),
    ],
)
def test_what_is_not_whole_is_left_and_never_finished(chunks, end, length, error):
    sink = Sink()
    with pytest.raises(error):
        upload(sink, chunks, end=end, length=length)
    # What fits in memory or is refused by its length never got as far as a sink.
    begun = chunks is LARGE and error is not TooLarge
    assert (sink.written > 0, sink.left) == (begun, begun)


def test_more_than_the_limit_is_cut_off():
    sink = Sink()
    with pytest.raises(TooLarge):
        upload(sink, [b"x" * BATCH_SIZE] * 11)
    assert sink.left
    assert sink.written <= SIZE_MAX


def test_a_full_disk_ends_the_upload():
    sink = Sink(full_after=2 * BATCH_SIZE)
    with pytest.raises(StoreFull):
        upload(sink, [b"x" * BATCH_SIZE] * 5)
    assert sink.left


def test_a_cancelled_upload_is_left():
    sink = Sink()
    chunks = [b"x" * BATCH_SIZE]
    waiting = asyncio.Event()

    async def receiver():
        if not chunks:
            waiting.set()
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunks.pop(), "more_body": True}

    async def main():
        task = asyncio.ensure_future(_received(sink, receiver))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(500):
            if sink.left:
                break
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert sink.written == BATCH_SIZE
    assert sink.left

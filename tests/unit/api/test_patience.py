"""One timer for many waits."""

import asyncio

import pytest

from lastgood.api import patience
from lastgood.api.patience import Patience


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(patience, "LOOK_EVERY_S", 0.01)


async def never():
    await asyncio.Event().wait()


async def soon():
    await asyncio.sleep(0)
    return "here"


def test_what_comes_in_time_is_handed_on():
    async def story():
        waiting = Patience(30)
        return await asyncio.gather(*(waiting.wait(soon()) for _ in range(100)))

    assert asyncio.run(story()) == ["here"] * 100


def test_who_waits_too_long_is_told_and_the_others_are_not():
    async def story():
        waiting = Patience(0.05)
        late = [asyncio.create_task(waiting.wait(never())) for _ in range(3)]
        assert await waiting.wait(soon()) == "here"
        outcomes = await asyncio.gather(*late, return_exceptions=True)
        # The timer starts again for those who come later.
        with pytest.raises(TimeoutError):
            await waiting.wait(never())
        return outcomes

    assert [type(outcome) for outcome in asyncio.run(story())] == [TimeoutError] * 3


def test_a_task_that_somebody_else_cancels_is_cancelled():
    async def story():
        waiting = Patience(30)
        task = asyncio.create_task(waiting.wait(never()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())


def test_an_error_of_what_was_waited_for_passes():
    async def fails():
        raise ValueError("no")

    async def story():
        with pytest.raises(ValueError, match="no"):
            await Patience(30).wait(fails())

    asyncio.run(story())

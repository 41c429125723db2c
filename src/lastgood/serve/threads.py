"""Blocking work beside the event loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(work: Callable[[], T], *, name: str) -> T:
    """The result of blocking work, done in a daemon thread of its own.

    Not the loop's pool: its threads keep the process alive at exit, and a registry that does not
    answer would hold them for as long as it likes. Cancelling leaves the thread to finish alone.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(act: Callable[[Any], None], outcome: Any) -> None:
        if not future.done():
            act(outcome)

    def run() -> None:
        act: Callable[[Any], None] = future.set_result
        outcome: Any
        try:
            outcome = work()
        except BaseException as error:  # handed to the waiter, whatever it is
            act, outcome = future.set_exception, error
        with suppress(RuntimeError):  # the loop may have ended meanwhile: then nobody waits
            loop.call_soon_threadsafe(settle, act, outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future

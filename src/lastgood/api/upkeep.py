"""What a server does on its own from time to time.

It removes what uploads left behind, and merges what runs logged into their histories.
"""

import asyncio
import logging
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from lastgood.engine.tracking.folding import Folding
from lastgood.engine.uploads import Uploads
from lastgood.errors import LastgoodError

__all__ = ["keep_folded", "keep_tidy"]

SWEEP_INTERVAL_S = 3600.0
# Readers go through what waits each time; merging costs the less for a point the more wait.
FOLD_INTERVAL_S = 5.0

_log = logging.getLogger(__name__)


async def keep_tidy(uploads: Uploads) -> None:
    """Sweep now and every hour, until cancelled. A sweep that fails is noted, and tried again the next time."""
    while True:
        try:
            removed = await run_in_threadpool(uploads.sweep)
        except LastgoodError as error:
            _log.warning("sweeping failed: %s", error.message)
        else:
            if removed:
                _log.info("removed %d leftovers of uploads that never ended", removed)
        await asyncio.sleep(SWEEP_INTERVAL_S)


async def keep_folded(folding: Folding) -> None:
    """Merge what waits every few seconds or when it is much, until cancelled. Where it fails it is noted, and tried again."""
    loop, much = asyncio.get_running_loop(), asyncio.Event()

    def alarm() -> None:
        with suppress(RuntimeError):  # the server stops: the loop is closed
            loop.call_soon_threadsafe(much.set)

    folding.when_much_waits(alarm)
    try:
        while True:
            try:
                await run_in_threadpool(folding.of_all)
            except LastgoodError as error:
                _log.warning("merging metrics failed: %s", error.message)
            much.clear()  # whoever logged meanwhile counted what is merged now
            with suppress(TimeoutError):
                await asyncio.wait_for(much.wait(), FOLD_INTERVAL_S)
    finally:
        folding.when_much_waits(None)

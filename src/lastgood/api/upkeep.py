"""What a server does on its own from time to time: it removes what uploads left behind."""

import asyncio
import logging

from starlette.concurrency import run_in_threadpool

from lastgood.engine.uploads import Uploads
from lastgood.errors import LastgoodError

__all__ = ["keep_tidy"]

SWEEP_INTERVAL_S = 3600.0

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

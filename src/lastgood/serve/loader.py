"""From a digest to a worker that answers: fetch, verify, load, warm up."""

import asyncio
import logging
import threading

from lastgood.core.ids import Digest
from lastgood.serve.bundle import Bundle, BundleCache
from lastgood.serve.environment import differences, pinned
from lastgood.serve.options import ServeOptions
from lastgood.serve.slot import LoadedWorker
from lastgood.serve.spares import SpareWorkers
from lastgood.serve.threads import in_thread

__all__ = ["Loader"]

_log = logging.getLogger(__name__)


class Loader:
    """Brings versions up, for the first time and again after a crash."""

    def __init__(self, options: ServeOptions, *, cache: BundleCache, spares: SpareWorkers) -> None:
        self._options = options
        self._cache = cache
        self._spares = spares

    async def load(self, digest: Digest) -> LoadedWorker:
        """A worker that answered the version's warm-up; all its bytes were verified just before.

        Cancel to give up: the worker is ended and the download stops at its next chunk.

        Raises:
            LastgoodError: the bundle cannot be had, or a file is damaged; the message names it.
            WorkerFailed: the model cannot be loaded or does not answer its input example.
        """
        # The verified bytes are read while a spare, if there is none yet, starts beside it.
        self._spares.refill()
        bundle = await self._prepare(digest)
        worker = await self._spares.take()
        recorded = pinned(bundle.manifest.environment.packages)
        try:
            loaded = await worker.load(
                bundle.path, packages=sorted(recorded), timeout_s=self._options.load_timeout_s
            )
        except BaseException:  # a failure or a cancellation: either way the process must not stay
            await worker.stop()
            raise
        self._spares.modules = loaded.modules or self._spares.modules
        self._spares.refill()
        differing = differences(recorded, loaded.packages)
        if differing:
            _log.warning(
                "packages differ from those recorded with %s: %s", digest, "; ".join(differing)
            )
        return LoadedWorker(worker=worker, loaded=loaded, differing=differing)

    async def _prepare(self, digest: Digest) -> Bundle:
        given_up = threading.Event()
        try:
            return await in_thread(
                lambda: self._cache.prepare(digest, cancelled=given_up.is_set), name="bundle"
            )
        except asyncio.CancelledError:
            given_up.set()
            raise

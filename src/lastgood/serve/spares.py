"""Worker processes started ahead of need."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from lastgood.serve.options import ServeOptions
from lastgood.serve.worker import Worker, WorkerFailed

__all__ = ["SpareWorkers"]


class SpareWorkers:
    """Keeps one process that has imported mlflow and waits for its order.

    Importing mlflow takes seconds, loading most models does not: with a spare at hand a crashed
    worker is replaced within a second or two and the first load of a version is quick.
    """

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._spare: asyncio.Task[Worker] | None = None
        self.mlflow = ""
        """The version of mlflow in the workers' interpreter; empty until one has imported it."""
        self.python = ""
        self.modules: Sequence[str] = ()
        """What the version loaded last imported: the next spares import it too."""

    @property
    def pid(self) -> int | None:
        """The spare's process id, None while there is none or it still starts."""
        task = self._spare
        ready = (
            task is not None and task.done() and not task.cancelled() and task.exception() is None
        )
        return task.result().pid if task is not None and ready else None

    def refill(self) -> None:
        """Start a spare in the background unless there is one."""
        if self._spare is None:
            self._spare = asyncio.create_task(self._start(), name="spare-worker")

    async def take(self) -> Worker:
        """A worker ready for its order: the spare, else a new one.

        Raises:
            WorkerFailed: a new one could not be started.
        """
        task, self._spare = self._spare, None
        if task is not None:
            try:
                worker = await task
            except WorkerFailed:
                pass  # it had its chance; a fresh one gives the reason of now
            except asyncio.CancelledError:
                await _discard(task)
                raise
            else:
                if not worker.gone:
                    return worker
                await worker.stop()
        return await self._start()

    async def close(self) -> None:
        """Stop the spare."""
        task, self._spare = self._spare, None
        if task is not None:
            await _discard(task)

    async def _start(self) -> Worker:
        worker = await Worker.start(
            python=self._options.python, threads=self._options.worker_threads
        )
        try:
            await worker.imported(timeout_s=self._options.import_timeout_s)
        except BaseException:  # a failure or a cancellation: either way the process must not stay
            await worker.stop()
            raise
        self.mlflow, self.python = worker.mlflow, worker.python
        if self.modules:
            worker.preload(self.modules)
        return worker


async def _discard(task: "asyncio.Task[Worker]") -> None:
    task.cancel()
    with suppress(WorkerFailed, asyncio.CancelledError):
        worker = await task
        await worker.stop()

"""Wires one gateway process together and runs it until it is told to stop."""

import asyncio
import fcntl
import logging
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import uvloop

from lastgood.core.ids import GatewayId
from lastgood.core.observations import SlotEvent
from lastgood.core.ports import RegistryFeed
from lastgood.errors import LastgoodError, StoreUnavailable
from lastgood.serve.bundle import BundleCache, write_durably
from lastgood.serve.follower import PLAN_FILE, Follower
from lastgood.serve.gateway import Gateway
from lastgood.serve.loader import Loader
from lastgood.serve.options import ServeOptions, check_host
from lastgood.serve.plan import read_plan
from lastgood.serve.reporter import Reporter, now_ms
from lastgood.serve.spares import SpareWorkers
from lastgood.serve.status import describe
from lastgood.serve.table import Router
from lastgood.serve.threads import in_thread
from lastgood.serve.watch import Watch
from lastgood.web.server import BACKLOG, HttpServer, Limits, connections_max

__all__ = ["ServeOptions", "run"]

CONNECTIONS_MAX = 4096
FILES_OF_OUR_OWN = 256  # of workers, the cache and the registry

_log = logging.getLogger(__name__)


def run(options: ServeOptions, feed: RegistryFeed) -> int:
    """Serve what the ref points to until SIGTERM or SIGINT. Call it on the main thread.

    Args:
        options: What to follow, where to listen.
        feed: The registry; called from threads, may be away at any time.

    Returns:
        The exit code: 0 after an orderly end.

    Raises:
        LastgoodError: the address is not a loopback address, or taken.
        StoreUnavailable: the cache directory is used by another gateway, or cannot be written.
    """
    check_host(options.host)
    with (
        _locked(options.cache_dir),
        _listening(options.host, options.port) as listener,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        if options.ready_file is not None:
            options.ready_file.unlink(missing_ok=True)  # left by a gateway that was killed
        runner.run(_Process(options, feed, listener).serve())
    return 0


class _Process:
    """Everything that lives as long as the gateway does."""

    def __init__(self, options: ServeOptions, feed: RegistryFeed, listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        self._options = options
        self._listener = listener
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._gateway_id = _gateway_id(options.cache_dir)
        self._spares = SpareWorkers(options)
        self._router = Router()
        self._reporter = Reporter(feed, gateway=self._gateway_id, url=self._url)
        self._cache = BundleCache(options.cache_dir, feed)
        self._feed = feed

    async def serve(self) -> None:
        """Start, run until a signal, stop in order."""
        options = self._options
        plan = read_plan(options.cache_dir / PLAN_FILE, model=options.model, ref=options.ref)
        loader = Loader(options, cache=self._cache, spares=self._spares)
        follower = Follower(
            options,
            router=self._router,
            loader=loader,
            cache=self._cache,
            reporter=self._reporter,
            plan=plan,
        )
        loop = asyncio.get_running_loop()
        watch = Watch(self._feed, options, loop=loop, on_target=follower.order)
        gateway = Gateway(
            options,
            router=self._router,
            reporter=self._reporter,
            status=lambda: self._status(follower, watch, gateway),
            mlflow_version=lambda: self._spares.mlflow,
        )
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._spares.refill()
        self._reporter.start()
        watch.start()
        limits = Limits(
            connections=connections_max(CONNECTIONS_MAX, other_files=FILES_OF_OUR_OWN),
            drain_s=options.shutdown_timeout_s,
        )
        server = HttpServer(gateway, self._listener, limits=limits, lifespan=False)
        serving = asyncio.create_task(server.run_until_stopped(), name="http")
        following = asyncio.create_task(_follow(follower, watch, options), name="follow")
        self._announce()
        await asyncio.wait(
            {serving, following, asyncio.create_task(stop.wait(), name="signal")},
            return_when=asyncio.FIRST_COMPLETED,
        )
        await self._stop(server, serving, following, follower, watch)

    def _announce(self) -> None:
        _log.info("serving %s@%s at %s", self._options.model, self._options.ref, self._url)
        if self._options.ready_file is not None:
            write_durably(
                self._options.ready_file,
                msgspec.json.encode({"url": self._url, "pid": os.getpid()}),
            )

    async def _stop(
        self,
        server: HttpServer,
        serving: "asyncio.Task[None]",
        following: "asyncio.Task[None]",
        follower: Follower,
        watch: Watch,
    ) -> None:
        """No new connections, finish what runs, end the workers, send what is left."""
        _log.info("stopping")
        if self._options.ready_file is not None:
            self._options.ready_file.unlink(missing_ok=True)
        watch.stop()
        following.cancel()
        server.stop()
        await asyncio.wait({serving, following}, timeout=self._options.shutdown_timeout_s)
        await follower.stop()
        await self._spares.close()
        self._reporter.event(
            SlotEvent(
                at_ms=now_ms(), kind="stopped", model=self._options.model, ref=self._options.ref
            )
        )
        await in_thread(self._reporter.stop, name="flush")
        for task in (serving, following):
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def _status(self, follower: Follower, watch: Watch, gateway: Gateway) -> dict[str, Any]:
        return describe(
            options=self._options,
            gateway_id=self._gateway_id,
            router=self._router,
            follower=follower,
            watch=watch,
            reporter=self._reporter,
            spares=self._spares,
            counters=gateway.counters,
        )


async def _follow(follower: Follower, watch: Watch, options: ServeOptions) -> None:
    """Give the registry a moment to answer; what was served before must not wait for longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(options.registry_grace_s):
            await watch.first_answer.wait()
    await follower.run()


@contextmanager
def _locked(cache_dir: Path) -> Iterator[None]:
    """Hold the cache directory for this process; the kernel lets go of it however the process ends."""
    try:
        cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (cache_dir / "lock").open("a+")
    except OSError as error:
        raise StoreUnavailable(
            f"The cache directory {cache_dir} cannot be used: {error.strerror}",
            hint="choose one that can be written: --cache-dir DIR",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreUnavailable(
                f"The cache directory {cache_dir} is used by another gateway",
                hint="stop that gateway, or give this one a directory of its own with --cache",
            ) from None
        shutil.rmtree(
            cache_dir / "tmp", ignore_errors=True
        )  # what a killed gateway was downloading
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            raise LastgoodError(
                f"Cannot listen on {host}:{port}: {error.strerror}",
                hint="stop what listens there, or choose another port with --port (0 takes a free one)",
            ) from error
        listener.setblocking(False)
        yield listener


def _gateway_id(cache_dir: Path) -> GatewayId:
    """The identity of the gateway that owns this cache; made on its first start."""
    path = cache_dir / "gateway-id"
    with suppress(FileNotFoundError):
        text = path.read_text(errors="replace").strip()
        if text.startswith("gw-") and text.isascii() and text.isprintable():
            return GatewayId(text[:64])
    fresh = f"gw-{uuid4().hex[:12]}"
    write_durably(path, fresh.encode())
    return GatewayId(fresh)

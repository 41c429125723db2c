"""A registry served from a thread of a command's own process, for that command alone."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from lastgood.api.app import create_app
from lastgood.api.process import DRAIN_TIMEOUT_S, services_of
from lastgood.engine.open import open_engine
from lastgood.web.server import BACKLOG, HttpServer, Limits

__all__ = ["serving_privately"]

CONNECTIONS_MAX = 512  # of scripts with many threads; the file limit stays as the command found it


@contextmanager
def serving_privately(data: Path, *, store_url: str = "") -> Iterator[str]:
    """Serve an existing data directory meanwhile; yields the address, on a free loopback port.

    For commands that need a registry's address while they run. It takes no `ServerLock`: it is not the
    server of the directory, one of which may run beside it.

    Raises:
        NotFound: there is no data directory. StoreUnavailable: it cannot be used.
    """
    with (
        socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener,
        open_engine(data, store_url=store_url) as engine,
    ):
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        loop = runner.get_loop()
        limits = Limits(connections=CONNECTIONS_MAX, drain_s=DRAIN_TIMEOUT_S)
        app = create_app(services_of(engine))
        server = HttpServer(app, listener, limits=limits, lifespan=True)
        thread = threading.Thread(
            target=loop.run_until_complete,
            args=(server.run_until_stopped(),),
            name="lastgood-private-server",
            daemon=True,
        )
        thread.start()
        try:
            yield url
        finally:
            loop.call_soon_threadsafe(server.stop)
            thread.join(DRAIN_TIMEOUT_S)
            if not thread.is_alive():
                runner.close()

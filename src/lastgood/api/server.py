"""Wires one registry server process together and runs it until it is told to stop."""

import asyncio
import ipaddress
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from granian._granian import SocketHolder
from granian.http import HTTP1Settings
from granian.server.embed import Server

from lastgood.api.app import App, create_app
from lastgood.api.pace import STALL_TIMEOUT_S
from lastgood.api.services import Services
from lastgood.api.upkeep import keep_tidy
from lastgood.api.webhooks.courier import Courier
from lastgood.api.webhooks.sender import Sender
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.catalogue import Catalogue
from lastgood.engine.open import Engine, ServerLock, init_data_directory, open_engine
from lastgood.engine.tracking import Tracking
from lastgood.engine.uploads import Uploads
from lastgood.engine.webhook_secrets import KEY_NAME, WebhookSecrets
from lastgood.engine.webhooks import Webhooks
from lastgood.errors import LastgoodError, Refused, StoreUnavailable

__all__ = ["serve_registry", "services_of"]

BACKLOG = 1024
# Connections, most of them idle; more wait in the socket. What runs at once is for `admission` to say.
CONNECTIONS_MAX = 4096
FILES_OF_OUR_OWN = (
    512  # descriptors that the database, objects and threads may need beside the connections
)
HEADER_TIMEOUT_MS = 30_000  # for the head of a request; also how long a connection may stay idle
# An answer that its client does not read: the kernel hangs up after this, which frees what HTTP has buffered for it.
UNREAD_TIMEOUT_S = STALL_TIMEOUT_S
DRAIN_TIMEOUT_S = 5.0  # for running requests when the server stops

_log = logging.getLogger(__name__)


def serve_registry(
    *,
    data: Path,
    host: str,
    port: int,
    ready_file: Path | None,
    objects_url: str = "",
    store_url: str = "",
) -> int:
    """Serve a data directory until SIGTERM or SIGINT. Call it on the main thread.

    Args:
        data: The data directory; made if there is none.
        host: A loopback address.
        port: 0 takes a free one.
        ready_file: Written as JSON ``{"url", "pid"}`` once the server listens, removed when it stops.
        objects_url: Where a new data directory keeps its objects; empty: in itself.
        store_url: Where it keeps everything else; for an existing one the same URL, with a password.

    Returns:
        The exit code: 0 after an orderly end.

    Raises:
        Refused: the address is not a loopback address. LastgoodError: it is taken.
        StoreUnavailable: another server uses the directory, or it, its database or its objects cannot be used.
        InvalidInput: the directory's objects or its database are elsewhere already.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _check_host(host)
    with _listening(host, port) as listener:
        init_data_directory(data, objects_url=objects_url, store_url=store_url)
        lock = ServerLock(data)
        try:
            url = _url_of(listener)
            lock.announce(url)
            with open_engine(data, store_url=store_url) as engine:
                services = services_of(engine)
                app = create_app(services)
                with (
                    _courier(services, lock.server_name),
                    asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
                ):
                    serving = _serve(app, listener, url=url, ready_file=ready_file)
                    runner.run(_tidily(services, serving))
        finally:
            lock.close()
    return 0


def services_of(engine: Engine) -> Services:
    """Everything the HTTP layer works with, over one engine."""
    artifacts = Artifacts(engine.kernel)
    return Services(
        kernel=engine.kernel,
        registry=engine.registry,
        tracking=Tracking(engine.kernel),
        artifacts=artifacts,
        uploads=Uploads(engine.kernel, artifacts),
        catalogue=Catalogue(engine.kernel, artifacts),
        webhooks=Webhooks(engine.kernel, WebhookSecrets(engine.data / KEY_NAME)),
        sender=Sender(engine.kernel.settings.webhooks.reach),
    )


def _courier(services: Services, owner: str) -> Courier:
    return Courier(services.kernel, services.webhooks, services.sender, owner=owner)


class _RegistryServer(Server):  # type: ignore[misc]  # granian's types are skipped, see pyproject
    """Granian on a socket that we bound ourselves.

    Granian binds with SO_REUSEPORT: a second server on the same port would not be refused but get
    half of the connections. It takes a ready socket where the platform has no such option.
    """

    def __init__(self, app: App, listener: socket.socket, *, connections_max: int) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(
            app,
            address=host,
            port=port,
            interface="asgi",
            http="1",
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
            backlog=BACKLOG,
            backpressure=connections_max,
            websockets=False,
            log_enabled=False,
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        # Its type stub knows none of the arguments.
        holder: Any = SocketHolder
        self._shd = holder(self._listener.detach(), False, BACKLOG)  # granian closes it
        self._ssp = None


async def _tidily(services: Services, serving: Coroutine[Any, Any, None]) -> None:
    tidying = asyncio.create_task(keep_tidy(services.uploads), name="tidying")
    try:
        await serving
    finally:
        tidying.cancel()


async def _serve(app: App, listener: socket.socket, *, url: str, ready_file: Path | None) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = _RegistryServer(app, listener, connections_max=_connections_max())
    serving = asyncio.create_task(server.serve(), name="http")
    stopped = asyncio.create_task(stop.wait(), name="signal")
    _log.info("lastgood server at %s", url)
    _announce(ready_file, url)
    try:
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        _withdraw(ready_file)
    _log.info("stopping")
    stopped.cancel()
    if not serving.done():
        app.release_watches()
        server.stop()
        await asyncio.wait({serving}, timeout=DRAIN_TIMEOUT_S)
    if not serving.done():
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    elif (error := serving.exception()) is not None:
        raise error


def _connections_max() -> int:
    """As many as wanted, or as the system allows; the usual soft limit of 1024 files is raised for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + FILES_OF_OUR_OWN
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - FILES_OF_OUR_OWN, soft // 2)
    return CONNECTIONS_MAX


def _announce(ready_file: Path | None, url: str) -> None:
    """Write the file in one step: whoever sees it can read all of it."""
    if ready_file is None:
        return
    try:
        descriptor, name = tempfile.mkstemp(dir=ready_file.parent, prefix=ready_file.name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode({"url": url, "pid": os.getpid()}))
        Path(name).replace(ready_file)
    except OSError as error:
        raise StoreUnavailable(f"{ready_file} cannot be written: {error.strerror}") from error


def _withdraw(ready_file: Path | None) -> None:
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)


def _check_host(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise Refused(
            f"Refusing to listen on {host}: access control does not exist yet, so anybody who reaches "
            "the server could change what is in production",
            hint="use --host 127.0.0.1 and put a proxy with authentication in front of it",
        )


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":  # accepted connections inherit it
            milliseconds = int(UNREAD_TIMEOUT_S * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
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


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""One process that answers: an engine, the application over it, and an HTTP server, on a socket that is bound already."""

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import uvloop

from lastgood.api.app import App, create_app
from lastgood.api.mlflow.shapes import run_document
from lastgood.api.services import Services
from lastgood.api.upkeep import keep_folded, keep_tidy
from lastgood.api.webhooks.courier import Courier
from lastgood.api.webhooks.sender import Sender
from lastgood.engine.artifacts import Artifacts
from lastgood.engine.catalogue import Catalogue
from lastgood.engine.importing import Importing
from lastgood.engine.open import Engine, open_engine
from lastgood.engine.tracking import Tracking
from lastgood.engine.tracking.searches import RunDocuments
from lastgood.engine.uploads import Uploads
from lastgood.engine.webhook_secrets import KEY_NAME, WebhookSecrets
from lastgood.engine.webhooks import Webhooks
from lastgood.web.server import HttpServer, Limits, connections_max

__all__ = ["DRAIN_TIMEOUT_S", "Duty", "answer", "services_of"]

# Connections, most of them idle; more are refused. What runs at once is for `admission` to say.
CONNECTIONS_MAX = 4096
FILES_OF_OUR_OWN = (
    512  # descriptors that the database, objects and threads may need beside the connections
)
DRAIN_TIMEOUT_S = 5.0  # for running requests when the server stops
# Python looks for garbage in circles after so many new objects. An answer has thousands and makes no circles; with
# the usual 700, a quarter of the time of a search went into looking.
OBJECTS_BETWEEN_LOOKS = 10_000

_log = logging.getLogger(__name__)


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """What a process is to do."""

    data: str
    store_url: str = ""
    owner: str = ""
    """The name under which it delivers webhooks and sweeps; empty: another process of the server does."""


def answer(
    listener: socket.socket,
    duty: Duty,
    *,
    on_ready: Callable[[], None],
    lifeline: int | None = None,
) -> None:
    """Answer requests until SIGTERM or SIGINT. Call it on the main thread.

    Args:
        listener: The listening socket; closed in the end.
        duty: What to do.
        on_ready: Called once requests are answered.
        lifeline: A pipe; it stops when the pipe's other end is closed.

    Raises:
        StoreUnavailable: the data directory, its database or its objects cannot be used.
    """
    with open_engine(Path(duty.data), store_url=duty.store_url) as engine:
        services = services_of(engine)
        app = create_app(services)
        gc.collect()
        gc.freeze()  # what is there now stays until the end, and is not looked at again
        gc.set_threshold(OBJECTS_BETWEEN_LOOKS, *gc.get_threshold()[1:])
        with (
            _upkeep(services, duty.owner),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(
                _serve(
                    app,
                    listener,
                    kept=services if duty.owner else None,
                    on_ready=on_ready,
                    lifeline=lifeline,
                )
            )


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
        importing=Importing(engine.kernel, artifacts),
        run_documents=RunDocuments(run_document),
    )


@contextmanager
def _upkeep(services: Services, owner: str) -> Iterator[None]:
    """Deliver webhooks meanwhile, if this process is the one to do so."""
    if not owner:
        yield
        return
    with Courier(services.kernel, services.webhooks, services.sender, owner=owner):
        yield


async def _serve(
    app: App,
    listener: socket.socket,
    *,
    kept: Services | None,
    on_ready: Callable[[], None],
    lifeline: int | None,
) -> None:
    stop = _stop_event(lifeline)
    limits = Limits(
        connections=connections_max(CONNECTIONS_MAX, other_files=FILES_OF_OUR_OWN),
        drain_s=DRAIN_TIMEOUT_S,
    )
    server = HttpServer(app, listener, limits=limits, lifespan=True)
    serving = asyncio.create_task(server.run_until_stopped(), name="http")
    stopped = asyncio.create_task(stop.wait(), name="signal")
    upkeep = _upkeep_tasks(kept) if kept else []
    on_ready()
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    _log.info("stopping")
    stopped.cancel()
    for task in upkeep:
        task.cancel()
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


def _upkeep_tasks(services: Services) -> "list[asyncio.Task[None]]":
    return [
        asyncio.create_task(keep_tidy(services.uploads), name="tidying"),
        asyncio.create_task(keep_folded(services.tracking.folding), name="folding"),
    ]


def _stop_event(lifeline: int | None) -> asyncio.Event:
    """Set by a signal, or by the end of the process that holds the lifeline."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def pulled() -> None:
        if lifeline is not None and not os.read(lifeline, 1):
            loop.remove_reader(lifeline)
            stop.set()

    if lifeline is not None:
        loop.add_reader(lifeline, pulled)
    return stop

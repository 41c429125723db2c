"""Starts a registry server: takes the address and the data directory, then answers until told to stop."""

import ipaddress
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lastgood.api.pace import STALL_TIMEOUT_S
from lastgood.api.process import Duty, answer
from lastgood.api.workers import WORKERS_MAX, supervise
from lastgood.engine.open import ServerLock, init_data_directory
from lastgood.errors import InvalidInput, LastgoodError, Refused, StoreUnavailable
from lastgood.web.server import BACKLOG

__all__ = ["serve_registry"]

# An answer that its client does not read: the kernel hangs up after this, which frees what HTTP has buffered for it.
UNREAD_TIMEOUT_S = STALL_TIMEOUT_S

_log = logging.getLogger(__name__)


def serve_registry(
    *,
    data: Path,
    host: str,
    port: int,
    ready_file: Path | None,
    objects_url: str = "",
    store_url: str = "",
    workers: int = 1,
) -> int:
    """Serve a data directory until SIGTERM or SIGINT. Call it on the main thread.

    Args:
        data: The data directory; made if there is none.
        host: A loopback address.
        port: 0 takes a free one.
        ready_file: Written as JSON ``{"url", "pid"}`` once the server listens, removed when it stops.
        objects_url: Where a new data directory keeps its objects; empty: in itself.
        store_url: Where it keeps everything else; for an existing one the same URL, with a password.
        workers: How many processes answer.

    Returns:
        The exit code: 0 after an orderly end.

    Raises:
        Refused: the address is not a loopback address. LastgoodError: it is taken.
        StoreUnavailable: another server uses the directory, or it, its database or its objects cannot be used.
        InvalidInput: the directory's objects or its database are elsewhere already, or the number of workers is out of range.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    _check_host(host)
    if not 1 <= workers <= WORKERS_MAX:
        raise InvalidInput(f"A server has 1 to {WORKERS_MAX} workers, not {workers}")
    with _listening(host, port) as listener:
        init_data_directory(data, objects_url=objects_url, store_url=store_url)
        lock = ServerLock(data)
        url = _url_of(listener)
        duty = Duty(data=str(data), store_url=store_url, owner=lock.server_name)

        def ready() -> None:
            _log.info("lastgood server at %s", url)
            _announce(ready_file, url)

        try:
            lock.announce(url)
            if workers == 1:
                answer(listener, duty, on_ready=ready)
            else:
                supervise(listener, duty, count=workers, on_ready=ready)
        finally:
            _withdraw(ready_file)
            lock.close()
    return 0


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

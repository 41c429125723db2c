"""What the HTTP server bounds before any application is asked."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from lastgood.web.server import ADDRESS_MAX, HEAD_MAX, HEADERS_MAX, HttpServer, Limits

PATIENCE_S = 10.0
HEAD_S = 0.4
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Answering:
    """An application that says which path it was asked for; `/slow` waits to be let go."""

    def __init__(self) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()

    async def __call__(self, scope, receive, send):
        await receive()
        if scope["path"] == "/slow":
            self.began.set()
            await asyncio.to_thread(self.go_on.wait, PATIENCE_S)
        body = scope["path"].encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def in_thread(server: uvicorn.Server, serving) -> Iterator[None]:
    thread = threading.Thread(target=asyncio.run, args=(serving,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@contextmanager
def served(app, *, connections: int = 100, head_s: float = HEAD_S) -> Iterator[tuple]:
    limits = Limits(connections=connections, head_s=head_s, drain_s=PATIENCE_S)
    with listening() as listener:
        address = listener.getsockname()
        server = HttpServer(app, listener, limits=limits, lifespan=False)
        with in_thread(server, server.run_until_stopped()):
            yield address


def connected(address) -> socket.socket:
    return socket.create_connection(address, timeout=PATIENCE_S)


def read_all(connection: socket.socket) -> bytes:
    """Until the server hangs up."""
    found = b""
    try:
        while chunk := connection.recv(65_536):
            found += chunk
    except ConnectionResetError:  # it hung up on what was still on its way
        pass
    return found


def read_answer(connection: socket.socket, ending: bytes) -> bytes:
    found = b""
    while not found.endswith(ending):
        chunk = connection.recv(65_536)
        assert chunk, found
        found += chunk
    return found


def refuses_soon(address) -> bool:
    """Whether nobody listens any more, before long."""
    for _ in range(100):
        try:
            connected(address).close()
        except OSError:
            return True
        threading.Event().wait(0.05)
    return False


def trickle(connection: socket.socket, stop: threading.Event) -> None:
    """Send a head that never ends, a byte at a time."""
    with connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
        while not stop.wait(0.05):
            try:
                connection.sendall(b"x")
            except OSError:
                return


def is_hung_up(address, *, after_s: float) -> bool:
    """Whether the server hangs up on somebody who trickles."""
    stop = threading.Event()
    connection = connected(address)
    thread = threading.Thread(target=trickle, args=(connection, stop))
    thread.start()
    thread.join(after_s)
    hung_up = not thread.is_alive()
    stop.set()
    thread.join()
    return hung_up


def test_a_head_that_trickles_in_does_not_hold_its_connection():
    with served(Answering()) as address:
        assert is_hung_up(address, after_s=PATIENCE_S)


def test_control_uvicorn_alone_lets_a_head_trickle_in():
    with listening() as listener:
        config = uvicorn.Config(
            Answering(), http="httptools", ws="none", lifespan="off", log_config=None,
            timeout_keep_alive=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        server.capture_signals = contextmanager(lambda: iter([None]))
        with in_thread(server, server.serve(sockets=[listener])):
            assert not is_hung_up(listener.getsockname(), after_s=2.5)


def test_an_idle_connection_is_closed_and_a_used_one_is_not():
    with served(Answering(), head_s=1.0) as address, connected(address) as connection:
        for _ in range(15):  # longer in all than it may be idle
            connection.sendall(GET)
            read_answer(connection, b"\r\n\r\n/")
            threading.Event().wait(0.1)
        assert read_all(connection) == b""


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"x" * (2 * HEAD_MAX), b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * (HEADERS_MAX + 2), b"431"),
        (b"GET /" + b"x" * (ADDRESS_MAX + 1), b"414"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
        (b"GET http://%ff/\xff HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01 not HTTP", b"400"),
    ],
)
def test_a_head_that_cannot_be_right_is_refused_and_ends_its_connection(head, status):
    with served(Answering(), head_s=PATIENCE_S) as address, connected(address) as connection:
        for begin in range(0, len(head), 50_000):
            try:
                connection.sendall(head[begin : begin + 50_000])
            except OSError:  # refused meanwhile
                break
        assert read_all(connection).startswith(b"HTTP/1.1 " + status)


def test_an_endless_head_behind_a_request_in_work_is_refused_as_well():
    app = Answering()
    with served(app, head_s=PATIENCE_S) as address, connected(address) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.began.wait(PATIENCE_S)
        with pytest.raises(OSError, match=r"reset|pipe"):  # which of them depends on the moment
            connection.sendall(b"X" * 50_000_000)
        app.go_on.set()


@pytest.mark.parametrize("body", [b"", b"abc"])
def test_an_offer_of_http_2_is_passed_over_and_the_connection_goes_on(body):
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    with served(Answering()) as address, connected(address) as connection:
        for path in (b"/1", b"/2"):
            length = b"Content-Length: %d\r\n" % len(body)
            connection.sendall(b"POST %s HTTP/1.1\r\n%s%s\r\n%s" % (path, length, offer, body))
            assert read_answer(connection, path).startswith(b"HTTP/1.1 200")


def test_requests_sent_together_are_answered_in_their_order():
    with served(Answering()) as address, connected(address) as connection:
        connection.sendall(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        answers = read_answer(connection, b"/2")
        assert answers.index(b"/1") < answers.index(b"/2")


def test_one_connection_too_many_is_told_to_come_back_and_the_others_go_on():
    with (
        served(Answering(), connections=2, head_s=PATIENCE_S) as address,
        connected(address) as first,
        connected(address) as second,
    ):
        for connection in (first, second):
            connection.sendall(GET)
            read_answer(connection, b"\r\n\r\n/")
        with connected(address) as third:
            refused = read_all(third)
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1\r\n" in refused
        first.sendall(GET)
        assert read_answer(first, b"\r\n\r\n/").startswith(b"HTTP/1.1 200")
        second.close()
        with connected(address) as fourth:
            fourth.sendall(GET)
            assert read_answer(fourth, b"\r\n\r\n/").startswith(b"HTTP/1.1 200")


def test_a_request_in_work_is_answered_before_the_server_ends():
    app = Answering()
    with listening() as listener:
        limits = Limits(connections=10, drain_s=PATIENCE_S)
        server = HttpServer(app, listener, limits=limits, lifespan=False)
        address = listener.getsockname()
        with in_thread(server, server.run_until_stopped()):
            connection = connected(address)
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert app.began.wait(PATIENCE_S)
            server.stop()
            assert refuses_soon(address)
            app.go_on.set()
            with connection:
                assert read_all(connection).endswith(b"/slow")

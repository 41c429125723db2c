"""The client against real sockets that behave badly; the good cases are in tests/contract."""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lastgood.core.commands import Promote
from lastgood.errors import (
    IntegrityFailure,
    InvalidInput,
    NotFound,
    Overloaded,
    ServerUnreachable,
    StoreUnavailable,
    TooLarge,
)
from lastgood.sdk import RemoteRegistry

OUTCOME = {
    "operation": "op-1",
    "seq": 1,
    "at_ms": 1,
    "model": "m",
    "version": 1,
    "digest": None,
    "summary": "s",
}
PROMOTE = Promote(reference="m/1", to="production")


@contextmanager
def answering(*answers):
    """A server that gives these answers in turn: (status, body, headers), or None to hang up."""
    seen, left = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append((self.path, dict(self.headers.items())))
            answer = left.pop(0)
            if answer is None:
                self.close_connection = True
                return
            body = answer[1] if isinstance(answer[1], bytes) else json.dumps(answer[1]).encode()
            self.send_response(answer[0])
            for name, value in (answer[2] if len(answer) > 2 else {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, *arguments):
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def error(kind, message="m", hint="h"):
    return {"error": {"kind": kind, "message": message, "hint": hint, "exit_code": 4}}


def client(url, **options):
    return RemoteRegistry(url, actor="zoë", retry_delays_s=(0.0, 0.0), **options)


def test_a_lost_connection_is_retried_with_the_same_key():
    with (
        answering(None, (503, error("StoreUnavailable")), (200, OUTCOME)) as (url, seen),
        client(url) as registry,
    ):
        assert registry.promote(PROMOTE, caller=registry.caller()).operation == "op-1"
    keys = {headers["idempotency-key"] for _, headers in seen}
    assert len(seen) == 3
    assert len(keys) == 1
    assert seen[0][1]["x-lastgood-actor"] == "zo%C3%AB"


def test_two_acts_have_two_keys_and_a_given_key_is_kept():
    with (
        answering((200, OUTCOME), (200, OUTCOME), (200, OUTCOME)) as (url, seen),
        client(url) as registry,
    ):
        registry.promote(PROMOTE, caller=registry.caller())
        registry.promote(PROMOTE, caller=registry.caller())
        registry.promote(PROMOTE, caller=registry.caller(idempotency_key="mine"))
    keys = [headers["idempotency-key"] for _, headers in seen]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_a_busy_server_is_asked_again_when_it_says():
    busy = (503, error("Overloaded"), {"retry-after": "0"})
    with answering(busy, busy, (200, OUTCOME)) as (url, seen), client(url) as registry:
        assert registry.promote(PROMOTE, caller=registry.caller()).operation == "op-1"
    assert len(seen) == 3


@pytest.mark.parametrize(("told", "kept"), [("3", 3), ("86400", 10), ("-1", 1), ("soon", 1)])
def test_how_long_a_busy_server_may_make_one_wait_is_bounded(told, kept):
    with answering((503, error("Overloaded"), {"retry-after": told})) as (url, _):
        with RemoteRegistry(url, retry_delays_s=()) as registry, pytest.raises(Overloaded) as busy:
            registry.models()
        assert busy.value.retry_after_s == kept


def test_retries_end():
    with answering(*[(503, error("StoreUnavailable"))] * 9) as (url, seen), client(url) as registry:
        with pytest.raises(StoreUnavailable):
            registry.models()
        assert len(seen) == 3


def test_what_the_registry_refused_is_not_retried_and_raised_as_it_was():
    with (
        answering((404, error("NotFound", "no such", "look"))) as (url, seen),
        client(url) as registry,
    ):
        with pytest.raises(NotFound) as caught:
            registry.show("m/1")
        assert (caught.value.message, caught.value.hint) == ("no such", "look")
        assert len(seen) == 1


def test_nobody_there():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with client(f"http://127.0.0.1:{port}") as registry, pytest.raises(ServerUnreachable) as caught:
        registry.models()
    assert str(port) in caught.value.message
    assert "lastgood server" in caught.value.hint


@pytest.mark.parametrize(
    "answer", [(200, b"<html>"), (404, b"<html>"), (200, {"x": 1}), (502, b"")]
)
def test_something_else_answers(answer):
    with (
        answering(answer, answer, answer) as (url, _),
        client(url) as registry,
        pytest.raises(ServerUnreachable),
    ):
        registry.show("m/1")


def test_a_limit_of_the_server_is_said_so():
    with (
        answering((413, {"error_code": "X"})) as (url, _),
        client(url) as registry,
        pytest.raises(TooLarge),
    ):
        registry.models()


@pytest.mark.parametrize("url", ["", "127.0.0.1:5000", "ftp://x", "http://", "file:///etc"])
def test_addresses_that_are_none(url):
    with pytest.raises(InvalidInput):
        RemoteRegistry(url)


def test_bytes_with_another_digest_are_never_handed_out_complete():
    digest = "sha256:" + "0" * 64
    with answering((200, b"x" * 100), (200, b"{}")) as (url, _), client(url) as registry:
        got = []
        with pytest.raises(IntegrityFailure, match="arrived damaged"):
            got.extend(registry.read_object(digest))
        assert not got
        with pytest.raises(IntegrityFailure, match="arrived damaged"):
            registry.manifest(digest)

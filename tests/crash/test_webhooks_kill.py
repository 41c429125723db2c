"""kill -9 of a server that has events to tell: afterwards each has been told, in order."""

import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from test_server_kill import Server

MODELS = 15
KILLS = 3
TOLD_S = 60.0


@pytest.fixture
def told():
    """What a receiver got, as pairs of delivery id and model; every fourth request it answers with 503."""
    got, asked = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append(body)
            refuse = len(asked) % 4 == 0
            if not refuse:
                got.append((self.headers["X-MLflow-Delivery-Id"], body["data"]["name"]))
            self.send_response(503 if refuse else 200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_every_event_is_told_in_order_through_kills(tmp_path, told):
    url, got = told
    chance = random.Random(7)
    server = Server(tmp_path / "data", tmp_path / "ready.json")
    try:
        events = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]
        call(server, "webhooks", {"name": "hook", "url": url, "events": events, "secret": "s"})
        made = []
        for number in range(MODELS):
            call(server, "registered-models/create", {"name": f"model-{number}"})
            made.append(f"model-{number}")
            if number % (MODELS // KILLS) == 0:
                time.sleep(chance.random() / 2)
                server.kill()
                server = Server(tmp_path / "data", tmp_path / "ready.json")
        deadline = time.monotonic() + TOLD_S
        while len({name for _, name in got}) < MODELS:
            assert time.monotonic() < deadline, got
            time.sleep(0.05)
    finally:
        server.kill()
    # Told again is allowed where a kill came between arrival and note, but only as the same delivery.
    assert list(dict.fromkeys(name for _, name in got)) == made
    assert len(set(got)) == MODELS
    assert len(got) <= MODELS + KILLS


def call(server, path, body):
    httpx.post(f"{server.url}/api/2.0/mlflow/{path}", json=body, timeout=30).raise_for_status()

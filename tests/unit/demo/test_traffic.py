"""The stream of requests, against a real HTTP server that misbehaves on request."""

import http.server
import json
import threading
import time

import pytest

from lastgood.demo.customers import request_bodies
from lastgood.demo.episode import failures
from lastgood.demo.traffic import Traffic

ENOUGH = 40
PATIENCE_S = 30.0


class _Gateway(http.server.ThreadingHTTPServer):
    daemon_threads = True
    mood = "well"
    connections = 0

    def process_request(self, request, client_address):
        self.connections += 1
        super().process_request(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.mood == "hangs up":
            self.close_connection = True
            return
        well = self.server.mood == "well"
        months = asked["dataframe_split"]["data"][0][
            asked["dataframe_split"]["columns"].index("tenure")
        ]
        body = json.dumps(
            {"predictions": [int(months < 12)]} if well else {"error": "busy"}
        ).encode()
        self.send_response(200 if well else 503)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Lastgood-Version", "7" if well else "none")
        self.send_header("X-Lastgood-Request-Id", "an-id")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(name="gateway")
def _gateway():
    with _Gateway(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _send(gateway, *, per_second=200.0):
    traffic = Traffic(
        f"http://127.0.0.1:{gateway.server_port}",
        request_bodies(),
        per_second=per_second,
        connections=4,
    )
    traffic.start()
    end = time.monotonic() + PATIENCE_S
    while len(traffic.answers()) < ENOUGH and time.monotonic() < end:
        time.sleep(0.01)
    traffic.stop()
    return traffic


def test_every_answer_is_remembered_with_version_id_and_prediction(gateway):
    answers = _send(gateway).answers()
    assert len(answers) >= ENOUGH
    assert failures(answers) == 0
    assert {(a.version, a.request_id, a.status) for a in answers} == {(7, "an-id", 200)}
    assert {a.churner for a in answers} == {True, False}
    assert all(a.sent_ms <= a.answered_ms for a in answers)


def test_connections_stay_open(gateway):
    _send(gateway)
    assert gateway.connections == 4


def test_after_stop_nothing_more_is_sent(gateway):
    traffic = _send(gateway)
    before = len(traffic.answers())
    time.sleep(0.1)
    assert len(traffic.answers()) == before


@pytest.mark.parametrize(("mood", "status"), [("busy", 503), ("hangs up", 0)])
def test_what_an_application_would_see_as_failed_counts_as_failed(gateway, mood, status):
    gateway.mood = mood
    answers = _send(gateway).answers()
    assert failures(answers) == len(answers)
    assert {a.status for a in answers} == {status}
    assert all(a.error for a in answers)


def test_a_stream_that_was_never_started_can_be_stopped():
    Traffic("http://127.0.0.1:9", (b"{}",)).stop()


def test_requests_carry_one_customer_each_and_all_customers_come():
    bodies = request_bodies()
    asked = [json.loads(body)["dataframe_split"] for body in bodies]
    assert len(bodies) == 7043
    assert all(len(one["data"]) == 1 for one in asked)
    assert all("churn" not in one["columns"] for one in asked)

"""Webhooks: MLflow's calls on them, and their delivery to a receiver on this machine."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lastgood.api.process import services_of
from lastgood.api.webhooks.courier import Courier
from lastgood.api.webhooks.sender import Sender
from lastgood.engine.webhook_secrets import KEY_NAME, KEY_VARIABLE, WebhookSecrets
from lastgood.engine.webhooks import Cursor, Webhooks

WAIT_S = 30.0
CREATED = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
EVERYTHING = [
    CREATED,
    *(
        {"entity": entity, "action": action}
        for entity, actions in {
            "MODEL_VERSION": ["CREATED"],
            "MODEL_VERSION_TAG": ["SET", "DELETED"],
            "MODEL_VERSION_ALIAS": ["CREATED", "DELETED"],
            "PROMPT": ["CREATED"],
            "PROMPT_VERSION": ["CREATED"],
            "PROMPT_TAG": ["SET", "DELETED"],
            "PROMPT_VERSION_TAG": ["SET", "DELETED"],
            "PROMPT_ALIAS": ["CREATED", "DELETED"],
        }.items()
        for action in actions
    ),
]


class Receiver:
    """An endpoint that keeps what it gets and answers with the next of `answers`, then with 200."""

    def __init__(self):
        self.got = []
        self.answers = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append((dict(self.headers), body))
                status, headers, text = outer.answers.pop(0) if outer.answers else (200, {}, b"ok")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def ids(self):
        return [headers["X-MLflow-Delivery-Id"] for headers, _ in self.got]

    @property
    def told(self):
        bodies = [json.loads(body) for _, body in self.got]
        return [(f"{b['entity']}.{b['action']}", b["data"]) for b in bodies]

    def wait_for(self, count):
        until(lambda: len(self.got) >= count)
        return self.told


def until(condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@contextmanager
def delivering(api, *, webhooks=None, owner="server", reach="loopback"):
    services = services_of(api.engine)
    with Courier(
        services.kernel, webhooks or services.webhooks, Sender(reach), owner=owner
    ) as courier:
        yield courier


def hook(api, url, **fields):
    sent = {"name": "hook", "url": url, "events": [CREATED], **fields}
    return api.call("POST", "/webhooks", sent)["webhook"]


def refused(api, **fields):
    sent = {"name": "hook", "url": "http://127.0.0.1:9/x", "events": [CREATED], **fields}
    return api.refused("POST", "/webhooks", sent)


# --- the calls ------------------------------------------------------------------------------------


def test_a_webhook_is_made_shown_changed_and_deleted(api):
    made = hook(api, "http://127.0.0.1:9/x", description="for tests", secret="s3cret")
    assert made == {
        "webhook_id": made["webhook_id"],
        "name": "hook",
        "url": "http://127.0.0.1:9/x",
        "events": [CREATED],
        "status": "ACTIVE",
        "creation_timestamp": made["creation_timestamp"],
        "last_updated_timestamp": made["creation_timestamp"],
        "description": "for tests",
    }
    path = f"/webhooks/{made['webhook_id']}"
    assert api.call("GET", path) == {"webhook": made}
    events = [
        {"entity": 3, "action": "SET"},
        {"entity": "MODEL_VERSION_TAG", "action": 4},
        {"entity": "MODEL_VERSION", "action": "CREATED"},
    ]
    sent = {"status": "DISABLED", "events": events, "name": "", "description": ""}
    changed = api.call("PATCH", path, sent)["webhook"]
    assert changed["events"] == [
        {"entity": "MODEL_VERSION", "action": "CREATED"},
        {"entity": "MODEL_VERSION_TAG", "action": "SET"},
    ]
    assert (changed["status"], changed["name"], "description" in changed) == (
        *("DISABLED", "hook"),
        False,
    )
    assert api.call("DELETE", path) == {}
    for method in ("GET", "PATCH", "DELETE"):
        status, code, message = api.refused(method, path)
        assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert f"Webhook with ID {made['webhook_id']} not found" in message


def test_webhooks_are_listed_page_by_page(api):
    made = [hook(api, "http://127.0.0.1:9/x", name=f"hook-{n}")["webhook_id"] for n in range(5)]
    assert len(api.call("GET", "/webhooks")["webhooks"]) == 5
    found, token = [], ""
    for _ in range(3):
        page = api.call("GET", "/webhooks", {"max_results": 2, "page_token": token})
        found += [one["webhook_id"] for one in page["webhooks"]]
        token = page.get("next_page_token", "")
    assert token == ""
    assert sorted(found) == sorted(made)
    for wrong in ({"max_results": 1001}, {"max_results": -1}, {"page_token": "x"}):
        assert api.refused("GET", "/webhooks", wrong)[:2] == (400, "INVALID_PARAMETER_VALUE")
    assert api.send("GET", "/ajax-api/2.0/mlflow/webhooks").json()["webhooks"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Missing value for required parameter 'name'"),
        ({"name": "-x"}, "Webhook name '-x' is invalid"),
        ({"name": "x" * 64}, "is invalid"),
        ({"url": ""}, "Missing value for required parameter 'url'"),
        ({"url": "ftp://127.0.0.1/x"}, "Invalid Webhook URL scheme: 'ftp'"),
        ({"url": "http://u:p@127.0.0.1/x"}, "embedded credentials"),
        ({"url": "https://10.0.0.1/x"}, "must not resolve to a non-public IP address"),
        ({"url": "http://169.254.169.254/latest"}, "must not resolve to a non-public"),
        ({"url": "https://nowhere.invalid/x"}, "Cannot resolve Webhook URL hostname"),
        ({"events": []}, "Missing value for required parameter 'events'"),
        (
            {"events": [{"entity": "MODEL_VERSION", "action": "DELETED"}]},
            "Invalid action 'deleted' for entity 'model_version'. Valid actions are: ['created']",
        ),
        ({"events": [{"entity": "RUN", "action": "CREATED"}]}, "for parameter 'events.entity'"),
        ({"events": [{"entity": 0, "action": 1}]}, "for parameter 'events.entity' supplied"),
        ({"status": "ON"}, "for parameter 'status' supplied"),
        ({"description": "x" * 1001}, "'description' exceeds the maximum length"),
        ({"secret": "x" * 1001}, "'secret' exceeds the maximum length"),
    ],
)
def test_a_webhook_that_cannot_be_right_is_refused(api, fields, said):
    status, code, message = refused(api, **fields)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert said in message
    assert api.call("GET", "/webhooks") == {}


def test_a_name_that_leads_inside_is_refused_whatever_it_led_to_before(api, monkeypatch):
    real = socket.getaddrinfo
    led_to = ["93.184.216.34"]

    def resolve(host, *rest, **options):
        return real(led_to[0] if host == "hooks.example.com" else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    made = hook(api, "https://hooks.example.com/x")
    led_to[0] = "10.1.2.3"
    assert refused(api, url="https://hooks.example.com/x")[0] == 400
    result = api.call("POST", f"/webhooks/{made['webhook_id']}/test")["result"]
    assert result["success"] is False
    assert "10.1.2.3" in result["error_message"]


# --- secrets --------------------------------------------------------------------------------------


def test_a_secret_is_neither_shown_nor_stored_as_it_is(api, tmp_path):
    made = hook(api, "http://127.0.0.1:9/x", secret="dont-tell-anybody")
    path = f"/webhooks/{made['webhook_id']}"
    api.call("PATCH", path, {"secret": "dont-tell-anybody-2"})
    shown = [api.call("GET", path), api.call("GET", "/webhooks"), made]
    assert "dont-tell" not in json.dumps(shown)
    for file in (tmp_path / "data").rglob("lastgood.db*"):
        assert b"dont-tell" not in file.read_bytes()
    assert (tmp_path / "data" / KEY_NAME).stat().st_mode & 0o777 == 0o600


def test_without_a_secret_there_is_no_key(api, tmp_path):
    hook(api, "http://127.0.0.1:9/x")
    assert not (tmp_path / "data" / KEY_NAME).exists()


def test_the_key_may_come_from_the_environment(api, tmp_path, monkeypatch, receiver):
    monkeypatch.setenv(KEY_VARIABLE, base64.urlsafe_b64encode(b"k" * 32).decode())
    made = hook(api, receiver.url, secret="s3cret")
    assert not (tmp_path / "data" / KEY_NAME).exists()
    path = f"/webhooks/{made['webhook_id']}/test"
    assert api.call("POST", path)["result"]["success"]
    monkeypatch.setenv(KEY_VARIABLE, base64.urlsafe_b64encode(b"l" * 32).decode())
    status, _, message = api.refused("POST", path)
    assert (status, "cannot be decrypted" in message) == (409, True)
    assert len(receiver.got) == 1
    monkeypatch.setenv(KEY_VARIABLE, "no key")
    assert refused(api, secret="x")[0] == 400


def test_a_key_that_another_process_makes_at_the_same_time_is_shared(tmp_path):
    boxes = [WebhookSecrets(tmp_path / KEY_NAME) for _ in range(2)]
    sealed = [box.seal("s3cret") for box in boxes]
    assert [boxes[0].open(sealed[1]), boxes[1].open(sealed[0])] == ["s3cret"] * 2
    assert [path.name for path in tmp_path.iterdir()] == [KEY_NAME]


# --- the test call --------------------------------------------------------------------------------


def test_a_test_tells_what_the_receiver_said(api, receiver):
    made = hook(api, receiver.url, secret="s3cret", status="DISABLED")
    path = f"/webhooks/{made['webhook_id']}/test"
    assert api.call("POST", path)["result"] == {
        "success": True,
        "response_status": 200,
        "response_body": "ok",
    }
    assert receiver.told[0][0] == "registered_model.created"
    api.call("POST", path, {"event": {"entity": "PROMPT_TAG", "action": "SET"}})
    data = {"name": "example", "key": "example_key", "value": "example_value"}
    assert receiver.told[1] == ("prompt_tag.set", data)
    receiver.answers = [(500, {}, b"x" * 100_000), (302, {"location": receiver.url}, b"")]
    failed = api.call("POST", path)["result"]
    assert (failed["success"], failed["response_status"]) == (False, 500)
    assert len(failed["response_body"]) == 1000
    redirected = api.call("POST", path)["result"]
    assert (redirected["success"], redirected["response_status"]) == (False, 302)
    assert len(receiver.got) == 4  # the redirect was not followed


def test_a_test_of_an_endpoint_that_is_not_there_is_an_answer_not_an_error(api):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made = hook(api, f"http://127.0.0.1:{free.getsockname()[1]}/x")
        result = api.call("POST", f"/webhooks/{made['webhook_id']}/test")["result"]
    assert result["success"] is False
    assert result["error_message"].startswith("Failed to test webhook: ConnectError")


# --- delivery -------------------------------------------------------------------------------------


def test_what_happens_is_told_in_order_and_signed(api, receiver):
    hook(api, receiver.url, events=EVERYTHING, secret="s3cret")
    api.model("churn", description="who leaves", tags=[{"key": "team", "value": "a"}])
    version = api.version("churn", description="first", tags=[{"key": "k", "value": "v"}])
    named = {"name": "churn", "version": "1"}
    api.call("POST", "/model-versions/set-tag", {**named, "key": "a", "value": "b"})
    api.call("DELETE", "/model-versions/delete-tag", {**named, "key": "a"})
    api.alias("champion", 1)
    api.call("DELETE", "/registered-models/alias", {"name": "churn", "alias": "champion"})
    # None of these is an event of MLflow.
    api.call("POST", "/registered-models/set-tag", {"name": "churn", "key": "a", "value": "b"})
    api.stage(1, "Staging")
    api.call("PATCH", "/model-versions/update", {**named, "description": "other"})
    with delivering(api):
        told = receiver.wait_for(6)
        api.model("last")
        assert receiver.wait_for(7)[6][1]["name"] == "last"
    assert told[:6] == [
        (
            "registered_model.created",
            {"name": "churn", "tags": {"team": "a"}, "description": "who leaves"},
        ),
        (
            "model_version.created",
            {
                **named,
                "source": version["source"],
                "run_id": version["run_id"],
                "tags": {"k": "v"},
                "description": "first",
            },
        ),
        ("model_version_tag.set", {**named, "key": "a", "value": "b"}),
        ("model_version_tag.deleted", {**named, "key": "a"}),
        ("model_version_alias.created", {"name": "churn", "alias": "champion", "version": "1"}),
        ("model_version_alias.deleted", {"name": "churn", "alias": "champion"}),
    ]
    for headers, body in receiver.got:
        signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.".encode()
        digest = hmac.new(b"s3cret", signed + body, hashlib.sha256).digest()
        assert headers["X-MLflow-Signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert headers["Content-Type"] == "application/json"
    assert len(set(receiver.ids)) == 7


def test_prompts_have_events_of_their_own(api, receiver):
    hook(api, receiver.url, events=EVERYTHING)
    prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    text = {"key": "mlflow.prompt.text", "value": "Hello {{name}}!"}
    kind = {"key": "_mlflow_prompt_type", "value": "text"}
    api.model("greet", tags=[prompt, kind, {"key": "team", "value": "a"}])
    sent = {"name": "greet", "source": "dummy-source", "tags": [prompt, text, kind]}
    api.call("POST", "/model-versions/create", sent)
    named = {"name": "greet", "version": "1"}
    api.call("POST", "/registered-models/set-tag", {"name": "greet", "key": "a", "value": "b"})
    api.call("DELETE", "/registered-models/delete-tag", {"name": "greet", "key": "a"})
    api.call("POST", "/model-versions/set-tag", {**named, "key": "a", "value": "b"})
    api.call("DELETE", "/model-versions/delete-tag", {**named, "key": "a"})
    api.alias("live", 1, name="greet")
    api.call("DELETE", "/registered-models/alias", {"name": "greet", "alias": "live"})
    api.call("DELETE", "/registered-models/delete", {"name": "greet"})  # still known as a prompt
    with delivering(api):
        told = receiver.wait_for(8)
    assert told[0] == (
        "prompt.created",
        {"name": "greet", "tags": {"team": "a"}, "description": ""},
    )
    assert told[1][1] == {**named, "template": "Hello {{name}}!", "tags": {}, "description": None}
    assert [event for event, _ in told] == [
        "prompt.created",
        "prompt_version.created",
        "prompt_tag.set",
        "prompt_tag.deleted",
        "prompt_version_tag.set",
        "prompt_version_tag.deleted",
        "prompt_alias.created",
        "prompt_alias.deleted",
    ]


def test_only_what_was_asked_for_and_only_from_then_on(api, receiver):
    api.model("before")
    made = hook(api, receiver.url)
    with delivering(api):
        api.model("first")
        api.external("first")
        receiver.wait_for(1)
        path = f"/webhooks/{made['webhook_id']}"
        api.call("PATCH", path, {"status": "DISABLED"})
        api.model("while-off")
        api.call("PATCH", path, {"status": "ACTIVE"})
        api.model("second")
        told = receiver.wait_for(2)
    assert [data["name"] for _, data in told] == ["first", "second"]


def test_what_failed_is_repeated_as_the_same_delivery_and_the_next_waits(api, receiver):
    hook(api, receiver.url)
    receiver.answers = [(503, {}, b""), (500, {}, b"")]
    with delivering(api):
        api.model("first")
        api.model("second")
        told = receiver.wait_for(4)
    assert [data["name"] for _, data in told] == ["first", "first", "first", "second"]
    assert len(set(receiver.ids)) == 2
    assert len({body for _, body in receiver.got}) == 2


def test_what_is_refused_for_good_does_not_hold_up_the_rest(api, receiver, caplog):
    hook(api, f"{receiver.url}?token=dont-tell", secret="dont-tell-either")
    receiver.answers = [(400, {}, b""), (302, {"location": receiver.url}, b"")]
    with delivering(api):
        for name in ("first", "second", "third"):
            api.model(name)
        told = receiver.wait_for(3)
    assert [data["name"] for _, data in told] == ["first", "second", "third"]
    assert caplog.text.count("given up after 1 attempts") == 2
    assert "dont-tell" not in caplog.text


class Forgetful(Webhooks):
    """Notes nothing: what durable cursors are for."""

    def told(self, webhook_id, cursor):
        return super().told(webhook_id, type(cursor)(0))


@pytest.mark.parametrize(("kind", "repeated"), [(Webhooks, 0), (Forgetful, 2)])
def test_a_restart_neither_loses_nor_repeats_what_arrived(api, receiver, kind, repeated, tmp_path):
    """With the control: without a note of what was told, it is told again (as the same delivery)."""
    webhooks = kind(api.engine.kernel, WebhookSecrets(tmp_path / "data" / KEY_NAME))
    hook(api, receiver.url)
    with delivering(api, webhooks=webhooks):
        api.model("first")
        api.model("second")
        receiver.wait_for(2)
        if (
            kind is Webhooks
        ):  # else stopping now would repeat the second: it arrived, but is not noted
            until(lambda: list(webhooks.cursors().values()) == [Cursor(1, 1)])
        receiver.answers = [(503, {}, b"")] * 100
        api.model("third")
        receiver.wait_for(3)
    tried = len(receiver.got)
    receiver.answers = []
    api.model("fourth")
    with delivering(api, webhooks=webhooks):
        told = receiver.wait_for(tried + 2 + repeated)[tried:]
    names = [data["name"] for _, data in told]
    assert names == ["first", "second", "third", "fourth"][2 - repeated :]
    assert len(set(receiver.ids)) == 4
    assert receiver.ids[tried + repeated] == receiver.ids[2]


def test_two_servers_do_not_tell_the_same_twice(api, receiver):
    hook(api, receiver.url)
    with delivering(api, owner="a"), delivering(api, owner="b"):
        for number in range(20):
            api.model(f"model-{number}")
        told = receiver.wait_for(20)
        time.sleep(0.3)  # would the other one tell something more?
    assert [data["name"] for _, data in told] == [f"model-{number}" for number in range(20)]
    assert len(receiver.got) == 20


def test_a_receiver_out_of_reach_gets_nothing(api, receiver, caplog):
    """The control is every other test here: the same receiver, within reach."""
    hook(api, receiver.url)
    with delivering(api, reach="public"):
        api.model("first")
        until(lambda: "given up" in caplog.text)
    assert receiver.got == []


def test_one_receiver_that_is_down_does_not_hold_up_another(api, receiver):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hook(api, f"http://127.0.0.1:{free.getsockname()[1]}/x", name="down")
        hook(api, receiver.url, name="up")
        with delivering(api):
            api.model("first")
            assert receiver.wait_for(1)[0][1]["name"] == "first"

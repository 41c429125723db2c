"""Webhooks by MLflow 3's client, their deliveries checked by the function that MLflow signs with."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import mlflow
from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException
from mlflow.webhooks.delivery import _generate_hmac_signature
from mlflow.webhooks.types import get_example_payload_for_event, get_payload_class_for_event

mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()
got = []
SECRET = "a long random text"
EVENTS = [
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
    "prompt.created",
    "prompt_version.created",
]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"thanks")

    def log_message(self, *_):
        pass


def wait_for(count):
    deadline = time.monotonic() + 30
    while len(got) < count:
        assert time.monotonic() < deadline, got
        time.sleep(0.02)


receiver = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{receiver.server_port}/hook"

hook = client.create_webhook(
    name="ci", url=url, events=EVENTS, description="for tests", secret=SECRET
)
assert (hook.name, hook.url, hook.description) == ("ci", url, "for tests")
assert [str(event) for event in hook.events] == sorted(EVENTS)
assert (hook.status, hook.secret) == (WebhookStatus.ACTIVE, None)
assert [one.webhook_id for one in client.list_webhooks()] == [hook.webhook_id]
assert client.get_webhook(hook.webhook_id).events == hook.events

# The test of each kind of event has the fields that MLflow's has.
for name in EVENTS:
    event = WebhookEvent.from_str(name)
    result = client.test_webhook(hook.webhook_id, event=name)
    assert (result.success, result.response_status, result.response_body) == (True, 200, "thanks")
    sent = json.loads(got[-1][1])
    assert (sent["entity"], sent["action"]) == (event.entity.value, event.action.value)
    assert set(sent["data"]) == set(get_example_payload_for_event(event)), name
got.clear()

mlflow.genai.register_prompt("hooked-prompt", "Hello {{name}}")
client.create_registered_model("hooked", tags={"a": "b"}, description="d")
version = client.create_model_version("hooked", "s3://bucket/model", tags={"c": "d"})
client.set_model_version_tag("hooked", version.version, "k", "v")
client.delete_model_version_tag("hooked", version.version, "k")
client.set_registered_model_alias("hooked", "champion", version.version)
client.delete_registered_model_alias("hooked", "champion")
wait_for(8)
time.sleep(0.2)
told = [json.loads(body) for _, body in got]
assert sorted({f"{one['entity']}.{one['action']}" for one in told}) >= sorted(EVENTS)
for one in told:
    kind = get_payload_class_for_event(WebhookEvent(one["entity"], one["action"]))
    assert set(one["data"]) == set(kind.__annotations__), one
for headers, body in got:
    delivery, at = headers["X-MLflow-Delivery-Id"], headers["X-MLflow-Timestamp"]
    assert headers["X-MLflow-Signature"] == _generate_hmac_signature(
        SECRET, delivery, at, body.decode()
    )

changed = client.update_webhook(hook.webhook_id, name="cd", status=WebhookStatus.DISABLED)
assert (changed.name, changed.status, changed.description) == (
    "cd",
    WebhookStatus.DISABLED,
    "for tests",
)
client.delete_webhook(hook.webhook_id)
try:
    client.get_webhook(hook.webhook_id)
except MlflowException as error:
    gone = error.error_code
else:
    gone = ""
assert gone == "RESOURCE_DOES_NOT_EXIST"
receiver.shutdown()
print("webhooks: all checks passed")

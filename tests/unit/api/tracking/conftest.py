"""Calls the handlers of MLflow's tracking protocol as the server does, but for the socket."""

import asyncio
import json
import re
from urllib.parse import parse_qsl, urlencode

import pytest

from lastgood.api.admission import Admission, BodyRoom
from lastgood.api.mlflow import (
    artifacts,
    experiments,
    logged_models,
    metrics,
    multipart,
    runs,
)
from lastgood.api.mlflow.wire import MlflowRequest, error_reply
from lastgood.api.process import services_of
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import LastgoodError

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


def _routes():
    found = artifacts.ARTIFACT_ROUTES | multipart.MULTIPART_ROUTES | multipart.PART_ROUTES
    for module in (experiments, runs, metrics, logged_models, artifacts, multipart):
        found |= {
            (method, API + path): handler for (method, path), handler in module.ROUTES.items()
        }
    patterns = []
    for (method, path), handler in found.items():
        pattern = path.replace("{path:path}", "(?P<path>.*)")
        patterns.append(
            (method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)), handler)
        )
    return sorted(patterns, key=lambda row: row[1].groups)  # plain paths first


ROUTES = _routes()


class Client:
    """Calls handlers as the server does, but for the socket."""

    def __init__(self, services):
        self._services = services

    def __call__(self, method, path, body=b"", *, query="", headers=(), chunks=None):
        handler, found = next(
            (handler, match)
            for verb, pattern, handler in ROUTES
            if verb == method and (match := pattern.fullmatch(path))
        )
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        messages = [
            {"type": "http.request", "body": c, "more_body": True} for c in chunks or (content,)
        ]
        messages.append({"type": "http.request" if chunks is None else "http.disconnect"})

        async def receive():
            return messages.pop(0)

        request = MlflowRequest(
            services=self._services,
            scope={"method": method, "path": path, "headers": list(headers)},
            receive=receive,
            headers=dict(headers),
            room=BodyRoom(Admission()),
            body=content,
            query=parse_qsl(query, keep_blank_values=True),
            path_params=found.groupdict(),
        )
        return asyncio.run(self._answer(handler, request))

    async def _answer(self, handler, request):
        sent = []

        async def send(message):
            sent.append(message)

        async def never():
            await asyncio.Event().wait()

        try:
            response = await handler(request)
        except LastgoodError as error:
            response = error_reply(error)
        await response(request.scope | {"type": "http"}, never, send)
        headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])

    def post(self, path, body, *, method="POST"):
        status, _, content = self(method, API + path, body)
        assert status == 200, content
        return json.loads(content)

    def get(self, path, /, **query):
        status, _, content = self("GET", API + path, query=urlencode(query, doseq=True))
        assert status == 200, content
        return json.loads(content)

    def refused(self, method, path, body=b"", **options):
        status, _, content = self(method, path, body, **options)
        return status, json.loads(content)["error_code"], json.loads(content)["message"]


@pytest.fixture
def client(tmp_path, store_url):
    init_data_directory(tmp_path / "data", store_url=store_url)
    with open_engine(tmp_path / "data") as engine:
        yield Client(services_of(engine))


@pytest.fixture
def run_id(client):
    return client.post("/runs/create", {"experiment_id": "0", "start_time": "1000"})["run"]["info"][
        "run_id"
    ]

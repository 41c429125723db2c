"""The whole application in process, over a real data directory, spoken to as an HTTP client would."""

import asyncio
import base64
from dataclasses import dataclass

import httpx
import pytest

from lastgood.api.app import create_app
from lastgood.api.process import services_of
from lastgood.engine.open import init_data_directory, open_engine

MLFLOW = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass
class Api:
    """A client of the application; each call is one request."""

    app: object
    engine: object
    host: str = "127.0.0.1"

    def send(self, method, path, **options):
        async def exchange():
            transport = httpx.ASGITransport(
                app=self.app, client=("127.0.0.1", 5), raise_app_exceptions=False
            )
            base = f"http://{self.host}:5000"
            async with httpx.AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, **options)

        return asyncio.run(exchange())

    def call(self, method, path, body=None, **options):
        """An MLflow call that must succeed; returns what it answered."""
        answer = self.try_call(method, path, body, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def try_call(self, method, path, body=None, *, user=None, **options):
        headers = options.setdefault("headers", {})
        headers.setdefault("user-agent", "mlflow-python-client/3.17.2")
        if user:
            credentials = base64.b64encode(f"{user}:secret".encode()).decode()
            headers["authorization"] = f"Basic {credentials}"
        if method == "GET":
            return self.send(method, MLFLOW + path, params=body, **options)
        return self.send(method, MLFLOW + path, json={} if body is None else body, **options)

    def refused(self, method, path, body=None, **options):
        """An MLflow call that must fail for a mistake of the caller; returns status, code and message."""
        answer = self.try_call(method, path, body, **options)
        assert 400 <= answer.status_code < 500, answer.text
        said = answer.json()
        assert set(said) == {"error_code", "message"}
        return answer.status_code, said["error_code"], said["message"]

    # --- what tests need again and again ------------------------------------------------------------

    def run(self, *, user="ann", experiment="0", **logged):
        info = self.call("POST", "/runs/create", {"experiment_id": experiment, "user_id": user})
        run_id = info["run"]["info"]["run_id"]
        if logged:
            self.call("POST", "/runs/log-batch", {"run_id": run_id, **logged})
        return run_id

    def upload(self, path, content):
        assert self.send("PUT", f"{ARTIFACTS}/{path}", content=content).status_code == 200

    def model(self, name="churn", **fields):
        return self.call("POST", "/registered-models/create", {"name": name, **fields})[
            "registered_model"
        ]

    def logged(self, content=b"weights", *, user="ann", **logged):
        """A run with a model under `model`; returns the run's id and the model's address."""
        run_id = self.run(user=user, **logged)
        self.upload(
            f"0/{run_id}/artifacts/model/MLmodel",
            b"flavors:\n  python_function:\n    python_version: 3.11.9\n",
        )
        self.upload(f"0/{run_id}/artifacts/model/model.pkl", content)
        return run_id, f"mlflow-artifacts:/0/{run_id}/artifacts/model"

    def version(self, name="churn", content=b"weights", **fields):
        run_id, source = self.logged(content)
        sent = {"name": name, "source": source, "run_id": run_id, **fields}
        return self.call("POST", "/model-versions/create", sent)["model_version"]

    def external(self, name="churn", source="s3://bucket/model", **fields):
        sent = {"name": name, "source": source, **fields}
        return self.call("POST", "/model-versions/create", sent)["model_version"]

    def stage(self, number, stage, *, name="churn", archive=False, **options):
        sent = {
            "name": name,
            "version": str(number),
            "stage": stage,
            "archive_existing_versions": archive,
        }
        return self.call("POST", "/model-versions/transition-stage", sent, **options)[
            "model_version"
        ]

    def alias(self, alias, number, *, name="churn", **options):
        return self.call(
            "POST",
            "/registered-models/alias",
            {"name": name, "alias": alias, "version": str(number)},
            **options,
        )

    def log(self):
        """Operations, newest first."""
        return self.engine.registry.log(limit=1000)


@pytest.fixture
def api(tmp_path, store_url):
    init_data_directory(tmp_path / "data", store_url=store_url)
    with open_engine(tmp_path / "data") as engine:
        yield Api(create_app(services_of(engine)), engine)

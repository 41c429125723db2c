"""The table of MLflow's endpoints: from method and path to a handler."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from starlette.responses import PlainTextResponse, Response

from lastgood.api.mlflow import (
    artifacts,
    experiments,
    logged_models,
    metrics,
    multipart,
    registry,
    runs,
    small_uploads,
    summaries,
    versions,
    webhooks,
)
from lastgood.api.mlflow.wire import Handler, MlflowRequest

__all__ = ["MLFLOW_VERSION", "SERVER_INFO_PATH", "Endpoint", "Routes", "mlflow_routes"]

MLFLOW_VERSION = "3.17.2"
"""The MLflow whose protocol is spoken."""
PREFIX = "/api/2.0/mlflow"
SERVER_INFO_PATH = "/api/3.0/mlflow/server-info"
_PARAMETER = re.compile(r"\{(?P<name>\w+)(?P<rest>:path)?\}")

_REGISTRY_READS = frozenset(
    {
        ("GET", "/registered-models/get"),
        ("GET", "/registered-models/search"),
        ("GET", "/registered-models/alias"),
        ("GET", "/registered-models/get-latest-versions"),
        ("POST", "/registered-models/get-latest-versions"),
        ("GET", "/model-versions/get"),
        ("GET", "/model-versions/search"),
        ("GET", "/model-versions/get-download-uri"),
    }
)
_TRACKING_READS = frozenset(
    {
        ("GET", "/experiments/get"),
        ("GET", "/experiments/get-by-name"),
        ("GET", "/experiments/search"),
        ("POST", "/experiments/search"),
        ("GET", "/runs/get"),
        ("POST", "/runs/search"),
        ("GET", "/metrics/get-history"),
        ("POST", "/logged-models/search"),
        ("GET", "/logged-models/{model_id}"),
    }
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler and what is special about it."""

    handler: Handler
    streams: bool = False
    """It reads the body itself, chunk by chunk."""
    holds_until: Literal["", "operation", "commit"] = ""
    """It answers from the registry's state alone, or from what is stored and nothing else; how long that holds."""


class Routes:
    """Finds the endpoint of a request: by one lookup, or for paths with parameters by a short search."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Endpoint] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Endpoint]] = []
        self.table: list[tuple[str, str, Handler]] = []
        """Method, path with its parameters in braces, and handler, as they were added."""

    def add(
        self, routes: Mapping[tuple[str, str], Handler], *, prefix: str = "", streams: bool = False
    ) -> None:
        """Add handlers by method and path; ``{name}`` takes one segment, ``{name:path}`` the rest."""
        for (method, path), handler in routes.items():
            endpoint = Endpoint(handler, streams, _holds_until(method, path))
            self.table.append((method, prefix + path, handler))
            if "{" in path:
                self._patterns.append((method, _pattern(prefix + path), endpoint))
            else:
                self._exact[method, prefix + path] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint and the parameters in its path."""
        if exact := self._exact.get((method, path)):
            return exact, {}
        for known, pattern, endpoint in self._patterns:
            if known == method and (match := pattern.fullmatch(path)):
                return endpoint, match.groupdict()
        return None

    def methods(self, path: str) -> list[str]:
        """The methods that the path takes; none if there is no such path."""
        exact = {method for method, known in self._exact if known == path}
        return sorted(exact | {m for m, p, _ in self._patterns if p.fullmatch(path)})

    def paths(self) -> Iterable[tuple[str, str]]:
        """All exact endpoints."""
        return self._exact.keys()


def _holds_until(method: str, path: str) -> Literal["", "operation", "commit"]:
    if (method, path) in _REGISTRY_READS:
        return "operation"
    return "commit" if (method, path) in _TRACKING_READS else ""


def _pattern(path: str) -> re.Pattern[str]:
    text = ""
    end = 0
    for match in _PARAMETER.finditer(path):
        text += re.escape(path[end : match.start()])
        text += f"(?P<{match['name']}>{'.*' if match['rest'] else '[^/]+'})"
        end = match.end()
    return re.compile(text + re.escape(path[end:]), re.DOTALL)


def mlflow_routes() -> Routes:
    """All endpoints of the MLflow protocol that this server has."""
    routes = Routes()
    modules = (
        experiments,
        runs,
        metrics,
        summaries,
        logged_models,
        artifacts,
        multipart,
        registry,
        versions,
        webhooks,
    )
    for module in modules:
        routes.add(module.ROUTES, prefix=PREFIX)
    routes.add(artifacts.ARTIFACT_ROUTES, streams=True)
    routes.add(multipart.MULTIPART_ROUTES)
    routes.add(multipart.PART_ROUTES, streams=True)
    routes.add(small_uploads.UPLOAD_ROUTES, streams=True)
    routes.add(versions.ROOT_ROUTES, streams=True)
    routes.add(
        {
            ("GET", "/version"): version,
            ("GET", SERVER_INFO_PATH): multipart.server_info,
        }
    )
    return routes


async def version(_request: MlflowRequest) -> Response:
    """The version of MLflow whose protocol is spoken, as plain text."""
    return PlainTextResponse(MLFLOW_VERSION)

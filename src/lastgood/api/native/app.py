"""The FastAPI application of the native API."""

from typing import Protocol

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline

from lastgood import __version__
from lastgood.api.native.changing import changing_routes
from lastgood.api.native.explaining import explaining_routes
from lastgood.api.native.following import following_routes
from lastgood.api.native.governing import governing_routes
from lastgood.api.native.importing import importing_routes
from lastgood.api.native.reading import reading_routes
from lastgood.api.native.replies import ERROR_RESPONSES, install_error_handlers
from lastgood.api.native.streaming import streaming_routes
from lastgood.api.native.taking_back import time_routes
from lastgood.core.ports import Registry
from lastgood.engine.bell import Bell
from lastgood.engine.importing import Importing

__all__ = ["NativeServices", "create_native_app"]

PREFIX = "/api/v1"
DESCRIPTION = """\
Version control for models in production. Every command of `lastgood` is here, one route each.

Requests that change something may carry `X-Lastgood-Actor` and `X-Lastgood-Host` (who acts, where; a claim,
percent-encoded UTF-8) and `Idempotency-Key` (a repeated request is the same act).
"""


class _Kernel(Protocol):
    @property
    def bell(self) -> Bell: ...


class NativeServices(Protocol):
    """What the native API needs of the services of a server."""

    @property
    def registry(self) -> Registry:
        """The verbs."""
        ...

    @property
    def importing(self) -> Importing:
        """The verbs of an import."""
        ...

    @property
    def kernel(self) -> _Kernel:
        """Where the bell hangs."""
        ...


def create_native_app(services: NativeServices) -> FastAPI:
    """The application: `/api/v1/...`, its description at `/api/v1/openapi.json` and a page for it at `/docs`.

    The page loads nothing from other hosts.
    """
    app: FastAPI = FastAPIOffline(
        title="lastgood",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs-static",
        swagger_ui_oauth2_redirect_url="/docs/oauth2-redirect",
    )
    routes = APIRouter(prefix=PREFIX, responses=ERROR_RESPONSES)
    registry = services.registry
    for part in (
        reading_routes(registry),
        changing_routes(registry),
        explaining_routes(registry),
        time_routes(registry),
        governing_routes(registry),
        streaming_routes(registry),
        following_routes(registry, services.kernel.bell),
        importing_routes(services.importing),
    ):
        routes.include_router(part)
    app.include_router(routes)
    install_error_handlers(app)
    return app

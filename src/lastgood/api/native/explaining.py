"""Routes that explain what is there."""

from typing import Literal

from fastapi import APIRouter
from starlette.responses import Response

from lastgood.api.native.reading import At, asked_moment
from lastgood.api.native.replies import reply
from lastgood.core.ports import Registry
from lastgood.core.views import BlameView, LineageView

__all__ = ["explaining_routes"]


def explaining_routes(registry: Registry) -> APIRouter:
    """Blame and lineage."""
    routes = APIRouter(tags=["look"])

    @routes.get("/blame", response_model=BlameView)
    def blame(reference: str, at: At = None) -> Response:
        """Who put there what is at a place such as `churn@production`, now or at a moment."""
        return reply(registry.blame(reference, at=asked_moment(at)))

    @routes.get("/lineage", response_model=LineageView)
    def lineage(subject: str, direction: Literal["up", "down"], at: At = None) -> Response:
        """What a version was made from; or what was made from `data:`, `commit:` or `run:`, and where it is live."""
        return reply(registry.lineage(subject, direction=direction, at=asked_moment(at)))

    return routes

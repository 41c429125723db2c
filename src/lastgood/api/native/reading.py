"""Routes that look and change nothing."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from lastgood.api.native.replies import reply
from lastgood.core.ids import parse_model_name, parse_ref_name
from lastgood.core.moments import Moment, moment_from_wire
from lastgood.core.ports import Registry
from lastgood.core.views import (
    DiffView,
    FsckReport,
    LiveView,
    LogEntry,
    ModelView,
    VersionView,
    WhyView,
)

__all__ = ["At", "asked_moment", "reading_routes"]

LOG_LIMIT_MAX = 1000
SEQ_MAX = 2**63 - 1

At = Annotated[
    str | None,
    Query(description="A moment: milliseconds since 1970, or an operation", max_length=30),
]


def reading_routes(registry: Registry) -> APIRouter:
    """Models, versions, history and state."""
    routes = APIRouter(tags=["look"])

    @routes.get("/models", response_model=list[ModelView])
    def models(at: At = None) -> Response:
        """All models, by name; now or at a moment."""
        return reply(registry.models(at=asked_moment(at)))

    @routes.get("/models/{model}/versions", response_model=list[VersionView])
    def versions(model: str, at: At = None) -> Response:
        """All versions of a model, newest first, without their manifests; now or at a moment."""
        return reply(registry.versions(parse_model_name(model), at=asked_moment(at)))

    @routes.get("/show", response_model=VersionView)
    def show(reference: str, at: At = None) -> Response:
        """The version that a reference names: `churn`, `churn/4`, `churn@champion`, `churn@production~1` ..."""
        return reply(registry.show(reference, at=asked_moment(at)))

    @routes.get("/diff", response_model=DiffView)
    def diff(a: str, b: str, at: At = None) -> Response:
        """What differs between two versions."""
        return reply(registry.diff(a, b, at=asked_moment(at)))

    @routes.get("/log", response_model=list[LogEntry])
    def log(
        model: str | None = None,
        environment: str | None = None,
        limit: Annotated[int, Query(ge=1, le=LOG_LIMIT_MAX)] = 50,
        before_seq: Annotated[int | None, Query(ge=0, le=SEQ_MAX)] = None,
        at: At = None,
    ) -> Response:
        """Operations, newest first, up to a moment; pass the last `seq` as `before_seq` to read on."""
        return reply(
            registry.log(
                model=None if model is None else parse_model_name(model),
                environment=None if environment is None else parse_ref_name(environment),
                limit=limit,
                before_seq=before_seq,
                at=asked_moment(at),
            )
        )

    @routes.get("/live", response_model=list[LiveView])
    def live(
        model: str | None = None,
        at: At = None,
    ) -> Response:
        """Ordered and observed state of every ref, now or at a moment."""
        return reply(
            registry.live(None if model is None else parse_model_name(model), at=asked_moment(at))
        )

    @routes.get("/why/{request_id}", response_model=WhyView)
    def why(request_id: str) -> Response:
        """What led to the answer of one request."""
        return reply(registry.why(request_id))

    @routes.post("/fsck", response_model=FsckReport)
    def fsck() -> Response:
        """Verify the log, the projections and every object. Reads everything: may take minutes."""
        return reply(registry.fsck())

    return routes


def asked_moment(at: str | None) -> Moment | None:
    """The moment that a request asks about. Raises InvalidReference."""
    return None if at is None else moment_from_wire(at)

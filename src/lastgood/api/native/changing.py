"""Routes that change something, and the plans that show it beforehand."""

from dataclasses import replace

from fastapi import APIRouter
from starlette.responses import Response

from lastgood.api.native.replies import reply
from lastgood.api.native.requests import (
    Calling,
    MarkBody,
    PromoteBody,
    RecordEvidenceBody,
    RegisterBody,
    RollbackBody,
)
from lastgood.core.commands import MarkVersion, Promote, Register, Rollback
from lastgood.core.ids import parse_model_name, parse_ref_name
from lastgood.core.ports import Registry
from lastgood.core.views import Outcome, Plan

__all__ = ["changing_routes"]


def changing_routes(registry: Registry) -> APIRouter:
    """Each is one operation; an `Idempotency-Key` header makes a repeated request the same operation."""
    routes = APIRouter(tags=["change"])

    @routes.post("/register", response_model=Outcome)
    def register(command: RegisterBody, caller: Calling) -> Response:
        """Make a version from a manifest whose files were sent before."""
        return reply(registry.register(_register(command), caller=caller))

    @routes.post("/promote/plan", response_model=Plan)
    def plan_promote(command: PromoteBody, caller: Calling) -> Response:
        """What promoting would do for the caller, with the verdict of every gate; nothing is recorded."""
        return reply(registry.plan_promote(_promote(command), caller=caller))

    @routes.post("/promote", response_model=Outcome)
    def promote(command: PromoteBody, caller: Calling) -> Response:
        """Point an environment at a version."""
        return reply(registry.promote(_promote(command), caller=caller))

    @routes.post("/rollback/plan", response_model=Plan)
    def plan_rollback(command: RollbackBody) -> Response:
        """What rolling back would do."""
        return reply(registry.plan_rollback(_rollback(command)))

    @routes.post("/rollback", response_model=Outcome)
    def rollback(command: RollbackBody, caller: Calling) -> Response:
        """Return an environment to its last good version, or to the one named."""
        return reply(registry.rollback(_rollback(command), caller=caller))

    @routes.post("/mark", response_model=Outcome)
    def mark(command: MarkBody, caller: Calling) -> Response:
        """Judge a version in an environment."""
        return reply(registry.mark(_mark(command), caller=caller))

    @routes.post("/evidence", response_model=Outcome)
    def record_evidence(command: RecordEvidenceBody, caller: Calling) -> Response:
        """Record what was found out about a version."""
        return reply(registry.record_evidence(command, caller=caller))

    return routes


# Names become names here, at the edge: what is not one never reaches the engine.


def _register(command: Register) -> Register:
    return replace(command, model=parse_model_name(command.model))


def _promote(command: Promote) -> Promote:
    return replace(command, to=parse_ref_name(command.to))


def _rollback(command: Rollback) -> Rollback:
    return replace(
        command,
        model=parse_model_name(command.model),
        environment=parse_ref_name(command.environment),
    )


def _mark(command: MarkVersion) -> MarkVersion:
    return replace(command, environment=parse_ref_name(command.environment))

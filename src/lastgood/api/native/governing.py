"""Routes that govern what may be promoted: policies and gates."""

from dataclasses import replace

from fastapi import APIRouter
from starlette.responses import Response

from lastgood.api.native.replies import reply
from lastgood.api.native.requests import (
    ApproveBody,
    Calling,
    CheckBody,
    HoldBody,
    PauseBody,
    PolicyBody,
    RegisterRunBody,
    ReleaseBody,
)
from lastgood.core.ids import parse_model_name, parse_ref_name
from lastgood.core.moments import moment_from_wire
from lastgood.core.ports import Registry
from lastgood.core.views import CheckView, Outcome, PolicyView

__all__ = ["governing_routes"]


def governing_routes(registry: Registry) -> APIRouter:
    """Policies and gates."""
    routes = APIRouter(tags=["govern"])

    @routes.get("/policy", response_model=PolicyView)
    def policy(at: str | None = None) -> Response:
        """The policy in force, now or at a moment: milliseconds since 1970, or an operation."""
        return reply(registry.policy(at=None if at is None else moment_from_wire(at)))

    @routes.post("/policy", response_model=Outcome)
    def set_policy(command: PolicyBody, caller: Calling) -> Response:
        """Put a policy in force."""
        return reply(registry.set_policy(command, caller=caller))

    @routes.post("/check", response_model=CheckView)
    def check(command: CheckBody, caller: Calling) -> Response:
        """What the gates say of a version for the caller; nothing is promoted."""
        checked = replace(command, to=parse_ref_name(command.to))
        return reply(registry.check(checked, caller=caller))

    @routes.post("/approve", response_model=Outcome)
    def approve(command: ApproveBody, caller: Calling) -> Response:
        """Say yes or no to a version for an environment."""
        said = replace(command, to=parse_ref_name(command.to))
        return reply(registry.approve(said, caller=caller))

    @routes.post("/pause", response_model=Outcome)
    def pause(command: PauseBody, caller: Calling) -> Response:
        """Take no promotions in an environment, or (`paused` false) take them again."""
        asked = replace(
            command,
            environment=parse_ref_name(command.environment),
            model=None if command.model is None else parse_model_name(command.model),
        )
        return reply(registry.pause(asked, caller=caller))

    @routes.post("/hold", response_model=Outcome)
    def hold(command: HoldBody, caller: Calling) -> Response:
        """Keep a version, and if asked whatever was trained from its data, out of an environment."""
        asked = replace(command, environment=parse_ref_name(command.environment))
        return reply(registry.hold(asked, caller=caller))

    @routes.post("/release", response_model=Outcome)
    def release(command: ReleaseBody, caller: Calling) -> Response:
        """End a hold on a version."""
        asked = replace(command, environment=parse_ref_name(command.environment))
        return reply(registry.release(asked, caller=caller))

    @routes.post("/register/run", response_model=Outcome)
    def register_run(command: RegisterRunBody, caller: Calling) -> Response:
        """Make a version of what a run logged: `runs:/RUN_ID/model`."""
        asked = replace(command, model=parse_model_name(command.model))
        return reply(registry.register_run(asked, caller=caller))

    return routes

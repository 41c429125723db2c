"""Routes that take back what was done, and the plans that show it beforehand."""

from dataclasses import replace

from fastapi import APIRouter
from starlette.responses import Response

from lastgood.api.native.replies import reply
from lastgood.api.native.requests import Calling, RestoreBody, RevertBody, UndoBody, YankBody
from lastgood.core.commands import Restore, Revert, Undo, Yank
from lastgood.core.ids import parse_model_name, parse_ref_name
from lastgood.core.moments import moment_from_wire, parse_operation_id
from lastgood.core.ports import Registry
from lastgood.core.views import ModelPlan, Outcome

__all__ = ["time_routes"]


def time_routes(registry: Registry) -> APIRouter:
    """Each is one more operation; nothing is erased."""
    routes = APIRouter(tags=["take back"])

    @routes.post("/restore/plan", response_model=ModelPlan)
    def plan_restore(command: RestoreBody) -> Response:
        """What restoring would do."""
        return reply(registry.plan_restore(_restore(command)))

    @routes.post("/restore", response_model=Outcome)
    def restore(command: RestoreBody, caller: Calling) -> Response:
        """Point all refs of a model where they pointed at a moment."""
        return reply(registry.restore(_restore(command), caller=caller))

    @routes.post("/revert/plan", response_model=ModelPlan)
    def plan_revert(command: RevertBody) -> Response:
        """What taking an operation back would do."""
        return reply(registry.plan_revert(_revert(command)))

    @routes.post("/revert", response_model=Outcome)
    def revert(command: RevertBody, caller: Calling) -> Response:
        """Put everything that one operation changed back to what it was before."""
        return reply(registry.revert(_revert(command), caller=caller))

    @routes.post("/undo/plan", response_model=ModelPlan)
    def plan_undo(command: UndoBody, caller: Calling) -> Response:
        """What undo or redo would do for this caller."""
        return reply(registry.plan_undo(_undo(command), caller=caller))

    @routes.post("/undo", response_model=Outcome)
    def undo(command: UndoBody, caller: Calling) -> Response:
        """Revert the caller's last operation that moved a ref, or the caller's last undo."""
        return reply(registry.undo(_undo(command), caller=caller))

    @routes.post("/yank", response_model=Outcome)
    def yank(command: YankBody, caller: Calling) -> Response:
        """Withdraw a version: no ref is moved to it any more."""
        return reply(registry.yank(_yank(command), caller=caller))

    return routes


def _restore(command: Restore) -> Restore:
    return replace(command, model=parse_model_name(command.model), at=moment_from_wire(command.at))


def _revert(command: Revert) -> Revert:
    return replace(command, operation=parse_operation_id(command.operation))


def _undo(command: Undo) -> Undo:
    return replace(
        command, model=None if command.model is None else parse_model_name(command.model)
    )


def _yank(command: Yank) -> Yank:
    where = None if command.environment is None else parse_ref_name(command.environment)
    return replace(command, environment=where)

"""MLflow's calls on webhooks. Secrets go in and are never shown again."""

import uuid
from collections.abc import Mapping

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.mlflow.arrivals import done
from lastgood.api.mlflow.wire import (
    Handler,
    Int64,
    MlflowRequest,
    decode,
    empty_reply,
    enum_name,
    reply,
)
from lastgood.core.webhooks import ACTIONS, ENTITIES, Event, Subscription, example, parse_event
from lastgood.engine.webhooks import WebhookChange
from lastgood.errors import InvalidInput

__all__ = ["ROUTES"]

PAGE_DEFAULT = 100
_ENTITIES = {number: name.upper() for number, name in enumerate(ENTITIES, 1)}
_ACTIONS = {number: name.upper() for number, name in enumerate(ACTIONS, 1)}
_STATUSES = {1: "ACTIVE", 2: "DISABLED"}


class _EventShape(msgspec.Struct, frozen=True):
    entity: str | int
    action: str | int


class _Create(msgspec.Struct, kw_only=True):
    name: str
    url: str
    events: list[_EventShape] = msgspec.field(default_factory=list)
    description: str = ""
    secret: str = ""
    status: str | int = "ACTIVE"


class _Change(msgspec.Struct, kw_only=True):
    name: str = ""
    url: str = ""
    events: list[_EventShape] = msgspec.field(default_factory=list)
    description: str | None = None
    secret: str | None = None
    status: str | int | None = None


class _List(msgspec.Struct, kw_only=True):
    max_results: Int64 = 0
    page_token: str = ""


class _Test(msgspec.Struct, kw_only=True):
    event: _EventShape | None = None


class _Shape(msgspec.Struct, omit_defaults=True, kw_only=True):
    webhook_id: str
    name: str
    url: str
    events: list[_EventShape]
    status: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""


class _One(msgspec.Struct):
    webhook: _Shape


class _Page(msgspec.Struct, omit_defaults=True):
    webhooks: list[_Shape] = []
    next_page_token: str = ""


class _Result(msgspec.Struct, omit_defaults=True, kw_only=True):
    success: bool | msgspec.UnsetType = msgspec.UNSET
    response_status: int | None = None
    response_body: str = ""
    error_message: str = ""


class _Tested(msgspec.Struct):
    result: _Result


async def create(request: MlflowRequest) -> Response:
    """Make a webhook."""
    sent = decode(request, _Create)
    if not sent.events:
        raise InvalidInput("Missing value for required parameter 'events'")
    change = WebhookChange(
        name=sent.name,
        url=sent.url,
        events=_events(sent.events),
        description=sent.description,
        secret=sent.secret or None,
        active=_is_active(sent.status),
    )
    await request.services.sender.check(sent.url)
    webhooks = request.services.webhooks
    return _shown(await done(await run_in_threadpool(webhooks.create, change)))


async def list_all(request: MlflowRequest) -> Response:
    """Webhooks, the newest first."""
    sent = decode(request, _List)
    found, token = request.services.webhooks.page(
        results_max=sent.max_results or PAGE_DEFAULT, token=sent.page_token
    )
    return reply(_Page([_shape(one) for one in found], token))


async def get(request: MlflowRequest) -> Response:
    """One webhook."""
    return _shown(request.services.webhooks.get(request.path_params["webhook_id"]))


async def change(request: MlflowRequest) -> Response:
    """Change what was sent; what is absent stays, and so does what is empty but description and secret."""
    sent = decode(request, _Change)
    wanted = WebhookChange(
        name=sent.name or None,
        url=sent.url or None,
        events=_events(sent.events) or None,
        description=sent.description,
        secret=sent.secret,
        active=None if sent.status is None else _is_active(sent.status),
    )
    webhooks = request.services.webhooks
    webhook_id = request.path_params["webhook_id"]
    webhooks.get(webhook_id)  # before any name is resolved for it
    if sent.url:
        await request.services.sender.check(sent.url)
    return _shown(await done(await run_in_threadpool(webhooks.change, webhook_id, wanted)))


async def delete(request: MlflowRequest) -> Response:
    """Forget a webhook."""
    await done(request.services.webhooks.delete(request.path_params["webhook_id"]))
    return empty_reply()


async def test(request: MlflowRequest) -> Response:
    """Send an example and tell what came back, also to a webhook that is switched off."""
    sent = decode(request, _Test)
    webhooks = request.services.webhooks
    webhook = webhooks.get(request.path_params["webhook_id"])
    event = _events([sent.event])[0] if sent.event is not None else webhook.events[0]
    outcome = await request.services.sender.send(
        webhook.url,
        delivery=str(uuid.uuid4()),
        body=example(event, now=request.services.kernel.clock()),
        secret=await run_in_threadpool(webhooks.secret_of, webhook.webhook_id),
    )
    failed = f"Failed to test webhook: {outcome.error}" if outcome.error else ""
    result = _Result(
        success=outcome.delivered,
        response_status=outcome.status,
        response_body=outcome.body,
        error_message=failed,
    )
    return reply(_Tested(result))


def _events(sent: list[_EventShape]) -> list[Event]:
    return [
        parse_event(_lower(one.entity, _ENTITIES, "entity"), _lower(one.action, _ACTIONS, "action"))
        for one in sent
    ]


def _lower(value: str | int, names: Mapping[int, str], parameter: str) -> str:
    return enum_name(value, names, parameter=f"events.{parameter}").lower()


def _is_active(status: str | int) -> bool:
    return enum_name(status, _STATUSES, parameter="status") == "ACTIVE"


def _shown(subscription: Subscription) -> Response:
    return reply(_One(_shape(subscription)))


def _shape(one: Subscription) -> _Shape:
    return _Shape(
        webhook_id=one.webhook_id,
        name=one.name,
        url=one.url,
        events=[_EventShape(e.entity.upper(), e.action.upper()) for e in one.events],
        status="ACTIVE" if one.active else "DISABLED",
        creation_timestamp=one.created_ms,
        last_updated_timestamp=one.changed_ms,
        description=one.description,
    )


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/webhooks"): create,
    ("GET", "/webhooks"): list_all,
    ("GET", "/webhooks/{webhook_id}"): get,
    ("PATCH", "/webhooks/{webhook_id}"): change,
    ("DELETE", "/webhooks/{webhook_id}"): delete,
    ("POST", "/webhooks/{webhook_id}/test"): test,
}
"""Paths relative to ``/api/2.0/mlflow``."""

"""Webhooks by MLflow's protocol: which events an operation makes, what is sent, how it is signed.

Everything follows from the operation and the webhook alone, so that a delivery that is repeated is
the same delivery: same id, same body.
"""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from lastgood.core.changes import Change, ModelCreated, RefMoved, TagSet, VersionRegistered
from lastgood.core.ids import Instant, printable
from lastgood.core.operations import Operation
from lastgood.errors import InvalidInput

__all__ = [
    "ACTIONS",
    "ENTITIES",
    "PROMPT_TAG",
    "Event",
    "Notice",
    "Subscription",
    "delivery_id",
    "example",
    "is_prompt",
    "notices_of",
    "parse_event",
    "payload_of",
    "signature",
]

ENTITIES = (
    "registered_model",
    "model_version",
    "model_version_tag",
    "model_version_alias",
    "prompt",
    "prompt_version",
    "prompt_tag",
    "prompt_version_tag",
    "prompt_alias",
    "budget_policy",
)
"""By their numbers in MLflow's protocol, which begin at 1."""
ACTIONS = ("created", "updated", "deleted", "set", "exceeded")
"""By their numbers in MLflow's protocol, which begin at 1."""
_ACTIONS_OF = {
    "registered_model": ("created",),
    "model_version": ("created",),
    "model_version_tag": ("deleted", "set"),
    "model_version_alias": ("created", "deleted"),
    "prompt": ("created",),
    "prompt_version": ("created",),
    "prompt_tag": ("deleted", "set"),
    "prompt_version_tag": ("deleted", "set"),
    "prompt_alias": ("created", "deleted"),
    "budget_policy": ("exceeded",),  # may be subscribed to; nothing here exceeds a budget
}
PROMPT_TAG = "mlflow.prompt.is_prompt"
_TEXT_TAG = "mlflow.prompt.text"
_TYPE_TAG = "_mlflow_prompt_type"
_DELIVERIES = uuid.UUID("6d3a1c1e-2f0b-5d37-9b52-0f6a0c9f7f11")


@dataclass(frozen=True, slots=True)
class Event:
    """A kind of event that a webhook may subscribe to."""

    entity: str
    action: str

    def __str__(self) -> str:
        return f"{self.entity}.{self.action}"


@dataclass(frozen=True, slots=True)
class Notice:
    """One event that happened, with what is told about it."""

    event: Event
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A webhook as it is shown; its secret is known only where it is used."""

    webhook_id: str
    name: str
    url: str
    description: str
    events: tuple[Event, ...]
    active: bool
    has_secret: bool
    created_ms: Instant
    changed_ms: Instant


def parse_event(entity: str, action: str) -> Event:
    """An event that MLflow knows.

    Raises:
        InvalidInput: the entity has no such action.
    """
    actions = _ACTIONS_OF.get(entity)
    if actions is None:
        raise InvalidInput(f"Invalid webhook entity: '{printable(entity)}'")
    if action not in actions:
        raise InvalidInput(
            f"Invalid action '{printable(action)}' for entity '{entity}'. Valid actions are: {list(actions)}"
        )
    return Event(entity, action)


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Whether a model or version with those tags is one of MLflow's prompts."""
    return tags.get(PROMPT_TAG, "false").lower() == "true"


def notices_of(operation: Operation, *, of_prompt: Callable[[], bool]) -> list[Notice]:
    """The events of an operation, in the order of its changes.

    Args:
        operation: Whichever door it came through.
        of_prompt: Tells whether its model is a prompt; asked only where the change itself does not say.
    """
    found = (_notice(operation, change, of_prompt) for change in operation.changes)
    return [notice for notice in found if notice is not None]


def payload_of(operation: Operation, notice: Notice) -> bytes:
    """What is sent: JSON with the time of the operation, not of the delivery."""
    return _encoded(notice, operation.at_ms)


def example(event: Event, *, now: Instant) -> bytes:
    """What a test of a webhook sends."""
    text = {"name": "example", "version": "1", "key": "example_key", "value": "example_value"}
    more = {"alias": "example_alias", "source": "models:/example", "template": "Hello {{name}}!"}
    fields: dict[str, Any] = {**text, **more, "run_id": None, "tags": {}, "description": "A test"}
    return _encoded(Notice(event, {name: fields[name] for name in _fields(event)}), now)


def delivery_id(webhook_id: str, seq: int, index: int) -> str:
    """The id of one delivery: the same whenever it is tried, also after a restart.

    Args:
        webhook_id: The webhook.
        seq: The position of the operation in the log.
        index: Which event of the operation.
    """
    return str(uuid.uuid5(_DELIVERIES, f"{webhook_id}/{seq}/{index}"))


def signature(secret: str, *, delivery: str, timestamp: str, body: bytes) -> str:
    """The value of ``X-MLflow-Signature``: HMAC-SHA256 over id, time and body, joined by dots."""
    signed = f"{delivery}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _encoded(notice: Notice, at_ms: Instant) -> bytes:
    return msgspec.json.encode(
        {
            "entity": notice.event.entity,
            "action": notice.event.action,
            "timestamp": datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(),
            "data": notice.data,
        }
    )


def _notice(operation: Operation, change: Change, of_prompt: Callable[[], bool]) -> Notice | None:
    if isinstance(change, ModelCreated):
        return _model_created(change)
    if isinstance(change, VersionRegistered):
        return _version_created(change)
    if isinstance(change, TagSet):
        return _tag_set(change, of_prompt=of_prompt())
    if isinstance(change, RefMoved):
        removed = change.after is None or not change.alias
        if change.alias or operation.kind == "delete_alias":
            return _alias_moved(change, of_prompt=of_prompt(), removed=removed)
    return None


def _model_created(change: ModelCreated) -> Notice:
    if not is_prompt(change.tags):
        data = {"name": change.model, "tags": change.tags, "description": change.description}
        return Notice(Event("registered_model", "created"), data)
    tags = _without(change.tags, PROMPT_TAG, _TYPE_TAG)
    data = {"name": change.model, "tags": tags, "description": change.description}
    return Notice(Event("prompt", "created"), data)


def _version_created(change: VersionRegistered) -> Notice:
    data: dict[str, Any] = {"name": change.model, "version": str(change.version)}
    if is_prompt(change.tags):
        data["template"] = change.tags.get(_TEXT_TAG)
        data["tags"] = _without(change.tags, PROMPT_TAG, _TYPE_TAG, _TEXT_TAG)
        event = Event("prompt_version", "created")
    else:
        data |= {"source": change.source, "run_id": change.run_id or None, "tags": change.tags}
        event = Event("model_version", "created")
    return Notice(event, data | {"description": change.description or None})


def _tag_set(change: TagSet, *, of_prompt: bool) -> Notice | None:
    data: dict[str, Any] = {"name": change.model}
    if change.version is not None:
        data["version"] = str(change.version)
        entity = "prompt_version_tag" if of_prompt else "model_version_tag"
    elif of_prompt:
        entity = "prompt_tag"
    else:  # MLflow has no event for the tags of a model
        return None
    data["key"] = change.key
    if change.after is None:
        return Notice(Event(entity, "deleted"), data)
    return Notice(Event(entity, "set"), data | {"value": change.after})


def _alias_moved(change: RefMoved, *, of_prompt: bool, removed: bool) -> Notice:
    entity = "prompt_alias" if of_prompt else "model_version_alias"
    data = {"name": change.model, "alias": change.ref}
    if removed:
        return Notice(Event(entity, "deleted"), data)
    return Notice(Event(entity, "created"), data | {"version": str(change.after)})


def _without(tags: Mapping[str, str], *keys: str) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key not in keys}


def _fields(event: Event) -> tuple[str, ...]:
    if event.entity in {"registered_model", "prompt"}:
        return ("name", "tags", "description")
    if event.entity == "model_version":
        return ("name", "version", "source", "run_id", "tags", "description")
    if event.entity == "prompt_version":
        return ("name", "version", "template", "tags", "description")
    if event.entity == "budget_policy":
        return ("name", "description")
    owner = ("name",) if event.entity in {"prompt_tag", "prompt_alias"} else ("name", "version")
    if event.entity in {"prompt_alias", "model_version_alias"}:
        return ("name", "alias", "version") if event.action == "created" else ("name", "alias")
    return (*owner, "key", "value") if event.action == "set" else (*owner, "key")

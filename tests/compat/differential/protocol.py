"""Whether a request follows MLflow's published protocol, by MLflow's own message definitions."""

import json
import re
from functools import cache
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from mlflow.protos import (
    databricks_pb2,
    mlflow_artifacts_pb2,
    model_registry_pb2,
    service_pb2,
    webhooks_pb2,
)

from differential.request import Call

__all__ = ["follows_protocol"]


def follows_protocol(call: Call) -> bool:
    """Whether every field of the request has the type that the protocol gives it.

    Where one has not, MLflow's server goes on with the part that it had read until then.
    """
    message = _message_of(call)
    if message is None:
        return True
    try:
        sent = _sent(call, message)
        if not isinstance(sent, dict):
            return False
        ParseDict(sent, message(), ignore_unknown_fields=True)
    except SystemError:  # protobuf's, for an enumeration's value that cannot be a key
        return False
    except (ParseError, ValueError, ArithmeticError, RecursionError):
        return False
    return True


def _sent(call: Call, message: Any) -> Any:
    if call.in_query:
        return _from_query(call.fields, message) if call.method == "GET" else {}
    if call.raw is None:
        return call.fields
    try:
        found = json.loads(call.raw)
    except ValueError:  # taken for an empty request
        return {}
    found = json.loads(found) if isinstance(found, str) else found
    return {} if found is None else found


def _from_query(fields: dict[str, Any], message: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.name not in fields:
            continue
        value = fields[field.name]
        texts = [_text(one) for one in (value if isinstance(value, list) else [value])]
        if not texts:
            continue
        found[field.name] = texts if field.is_repeated else texts[0]
        if field.type == field.TYPE_BOOL and texts[0].lower() in {"true", "false"}:
            found[field.name] = texts[0].lower() == "true"
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _message_of(call: Call) -> Any:
    path = call.path.replace("/ajax-api/", "/api/").removeprefix("/api/2.0")
    for method, pattern, message in _endpoints():
        if method == call.method and pattern.fullmatch(path):
            return message
    return None


@cache
def _endpoints() -> list[tuple[str, re.Pattern[str], Any]]:
    found = []
    for module, service in (
        (service_pb2, "MlflowService"),
        (model_registry_pb2, "ModelRegistryService"),
        (mlflow_artifacts_pb2, "MlflowArtifactsService"),
        (webhooks_pb2, "WebhookService"),
    ):
        for method in module.DESCRIPTOR.services_by_name[service].methods:
            message = getattr(module, method.input_type.name, None)
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                path = re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(endpoint.path))
                found.append((endpoint.method, re.compile(path), message))
    return found

"""MLflow's wire format: requests decoded into typed values, answers and errors encoded.

A handler is ``async def handler(request: MlflowRequest) -> Response``. It decodes what was sent
into a `msgspec.Struct`, calls the engine and replies with a struct. Fields without a default are
required: their absence (or an empty string) is answered in MLflow's words.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lastgood.api.admission import BodyRoom
from lastgood.api.mlflow.json_names import has_camel_names, with_protocol_names
from lastgood.api.services import Services
from lastgood.core.ids import printable
from lastgood.errors import AlreadyExists, InvalidInput, LastgoodError, Overloaded, TooLarge

__all__ = [
    "Handler",
    "Int64",
    "JsonReply",
    "MlflowRequest",
    "decode",
    "empty_reply",
    "enum_name",
    "error_reply",
    "invalid_value",
    "reply",
]

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An int64 of the protocol: a JSON number or a numeric string; no larger than a database can hold."""

VALUE_SHOWN_MAX = 200  # characters of a wrong value that a message repeats

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`\Z")
_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]")


@dataclass(slots=True)
class MlflowRequest:
    """One call of an MLflow client.

    `body` is complete for JSON calls; for artifact calls it is empty and `stream` yields the chunks.
    Whoever reads a body whole takes the memory for it from `room`.
    """

    services: Services
    scope: Scope
    receive: Receive
    headers: Mapping[bytes, bytes]
    room: BodyRoom
    body: bytes = b""
    query: list[tuple[str, str]] = field(default_factory=list)
    path_params: dict[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The verb, in capitals."""
        return str(self.scope["method"])

    def header(self, name: bytes) -> str:
        """The first header of that lower-case name; empty if it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    def query_value(self, name: str) -> str:
        """The first query argument of that name; empty if it was not sent."""
        return next((value for key, value in self.query if key == name), "")

    async def stream(self) -> AsyncIterator[bytes]:
        """The body in chunks as they arrive; the next is asked for only when this one was taken.

        Raises:
            ClientDisconnect: the client went away before it had sent everything.
        """
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            if chunk := message.get("body", b""):
                yield chunk
            if not message.get("more_body", False):
                return


Handler = Callable[[MlflowRequest], Awaitable[Response]]


class JsonReply(Response):
    """A JSON answer from bytes that are encoded already; cheaper than Starlette's general response."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"x-content-type-options", b"nosniff"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await send({"type": "http.response.body", "body": self.body})


def reply(value: object) -> Response:
    """A 200 answer. Structs that declare ``omit_defaults=True`` leave out what is unset, as MLflow does."""
    return JsonReply(_encoder.encode(value))


def empty_reply() -> Response:
    """A 200 answer without content: ``{}``."""
    return JsonReply(b"{}")


def error_reply(error: LastgoodError) -> Response:
    """The error as MLflow's clients expect it: two keys, the code and the sentence."""
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    # MLflow answers 400 where a name is taken or a value is too long; some scripts compare the status.
    status = 400 if isinstance(error, AlreadyExists | TooLarge) else error.http_status
    answer = JsonReply(
        _encoder.encode({"error_code": error.mlflow_code, "message": message}), status
    )
    if isinstance(error, Overloaded):
        answer.raw_headers.append((b"retry-after", str(error.retry_after_s).encode()))
    return answer


def enum_name(value: str | int, names: Mapping[int, str], *, parameter: str) -> str:
    """An enumeration's value by name; clients may send its number instead, also as a text.

    Declare the field as ``str | int``.

    Raises:
        InvalidInput: neither a known name nor a known number.
    """
    if isinstance(value, str) and value in names.values():
        return value
    with suppress(ValueError):
        if (number := int(value)) in names:
            return names[number]
    raise invalid_value(parameter, value, why=f"Valid values are {', '.join(names.values())}")


def invalid_value(parameter: str, value: Any, *, why: str) -> InvalidInput:
    """The error for a value that a parameter cannot have, in MLflow's words."""
    return InvalidInput(
        f"Invalid value {_shown(value)} for parameter '{parameter}' supplied", hint=why
    )


def decode(request: MlflowRequest, kind: type[S]) -> S:
    """What the client sent, as `kind`: from the query of a GET, else from the JSON body.

    Whole numbers may come as numbers or numeric strings, NaN and infinities as strings or bare
    tokens, null as absence, names in a body in camel case; unknown fields are ignored.

    Raises:
        InvalidInput: a required parameter is missing or a value has the wrong type.
    """
    if request.query and request.method == "GET":
        found = _from_query(request.query, kind)
    else:
        found = _from_body(request.body, kind)
    for name in _required_texts(kind):
        if getattr(found, name) == "":
            _refuse_missing(name)
    return found


def _from_body(body: bytes, kind: type[S]) -> S:
    if not has_camel_names(body, kind):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return msgspec.json.decode(body, type=kind, strict=False)
    return _convert(with_protocol_names(_lenient(body), kind), kind)


def _from_query(query: list[tuple[str, str]], kind: type[S]) -> S:
    lists = _list_fields(kind)
    raw: dict[str, Any] = {}
    for key, value in query:
        if key in lists:
            raw.setdefault(key, []).append(value)
        else:
            raw.setdefault(key, value)
    return _convert(raw, kind)


def _lenient(body: bytes) -> dict[str, Any]:
    """The body as MLflow reads it where the strict reading failed; what is no JSON object is empty."""
    try:
        raw = json.loads(body) if body else {}
        if isinstance(raw, str):  # JSON in a JSON string, as some clients send it
            raw = json.loads(raw)
        without_nulls = _pruned(raw)
        json.dumps(without_nulls, ensure_ascii=False).encode()
    except RecursionError:
        raise InvalidInput("The request's JSON is nested too deeply") from None
    except UnicodeEncodeError:
        raise InvalidInput(
            "The request holds half of a surrogate pair, which is not a character"
        ) from None
    except ValueError:  # MLflow treats what cannot be read as an empty request
        return {}
    return without_nulls if isinstance(without_nulls, dict) else {}


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value


def _convert(raw: dict[str, Any], kind: type[S]) -> S:
    try:
        return msgspec.convert(raw, kind, strict=False)
    except msgspec.ValidationError as error:
        _refuse(str(error), raw)


def _refuse(problem: str, raw: dict[str, Any]) -> NoReturn:
    at = _AT.search(problem)
    path = at["path"] if at else ""
    if missing := _MISSING.match(problem):
        _refuse_missing(f"{path}.{missing['name']}" if path else missing["name"])
    value = _value_at(raw, path)
    detail = problem[: at.start()] if at else problem
    raise invalid_value(path, value, why=f"Value was of type '{type(value).__name__}'. {detail}")


def _refuse_missing(name: str) -> NoReturn:
    raise InvalidInput(f"Missing value for required parameter '{name}'")


def _value_at(raw: Any, path: str) -> Any:
    for name, index in _STEP.findall(path):
        if isinstance(raw, dict) and name in raw:
            raw = raw[name]
        elif isinstance(raw, list) and index.isdigit() and int(index) < len(raw):
            raw = raw[int(index)]
        else:
            return raw
    return raw


def _shown(value: Any) -> str:
    return printable(json.dumps(value, separators=(",", ":")), length_max=VALUE_SHOWN_MAX)


@lru_cache(maxsize=512)
def _required_texts(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(f.name for f in msgspec.structs.fields(kind) if f.required and f.type is str)


@lru_cache(maxsize=512)
def _list_fields(kind: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(f.name for f in msgspec.structs.fields(kind) if _is_list(f.type))


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is Annotated or origin is Union or origin is UnionType:
        return any(_is_list(part) for part in get_args(annotation))
    return origin in {list, tuple}

"""The server as one ASGI application: the MLflow protocol by its own short path, the rest by FastAPI."""

from collections.abc import Callable
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lastgood.api.admission import Admission, BodyRoom
from lastgood.api.errors import (
    broke_off,
    internal_error,
    no_such_endpoint,
    no_workspaces,
    refused_early,
    too_large,
    wrong_method,
)
from lastgood.api.limits import (
    BodyTooLarge,
    check_came_from_here,
    check_head,
    check_json,
    headers_of,
    read_body,
)
from lastgood.api.mlflow.answers import Answers
from lastgood.api.mlflow.left_out import family_of
from lastgood.api.mlflow.routes import SERVER_INFO_PATH, Endpoint, mlflow_routes
from lastgood.api.mlflow.wire import JsonReply, MlflowRequest, error_reply
from lastgood.api.native_door import NATIVE, NativeDoor
from lastgood.api.pace import paced_receive, paced_send
from lastgood.api.services import Services
from lastgood.api.unread import Body
from lastgood.errors import (
    InvalidInput,
    LastgoodError,
    Overloaded,
    Refused,
    TooLarge,
)

__all__ = ["App", "create_app"]

QUERY_FIELDS_MAX = 10_000
OPEN_PATHS = frozenset({"/health", "/version"})
"""Answered whatever the Host header says: load balancers and probes ask by address."""
ANY_WORKSPACE = frozenset({"/version", SERVER_INFO_PATH})
"""Answered also to who names a workspace: this is where clients learn that there are none."""

# What a user uploaded must never run as a page of this server.
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CONTENT_HEADERS = (
    *_SAFE_HEADERS,
    (b"content-security-policy", b"default-src 'none'; sandbox"),
)


def create_app(
    services: Services,
    *,
    native: Callable[[Services], ASGIApp] | None = None,
    admission: Admission | None = None,
) -> "App":
    """The whole HTTP surface over these services.

    Args:
        services: The engine.
        native: Makes the native API; by default `lastgood.api.native`, imported when it is first needed.
        admission: How much is taken on at once; by default as much as its constants say.
    """
    return App(services, native or _native_app, admission or Admission())


def _native_app(services: Services) -> ASGIApp:
    from lastgood.api.native import create_native_app

    return create_native_app(services)


class App:
    """The ASGI application. Make it with `create_app`."""

    def __init__(
        self, services: Services, native: Callable[[Services], ASGIApp], admission: Admission
    ) -> None:
        self._services = services
        self._routes = mlflow_routes()
        self._admission = admission
        self._native = NativeDoor(lambda: native(services), admission)
        self._answers = {
            "operation": Answers(services.kernel.head),
            "commit": Answers(services.kernel.database.data_version),
        }

    def release_watches(self) -> None:
        """End the requests that wait for something to happen, so that the server can stop at once."""
        self._native.release_watches()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # WebSockets: there are none
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._native.prepare()
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        if path == "/health":
            await PlainTextResponse("OK")(scope, receive, send)
            return
        if path.startswith("/ajax-api/"):  # the name under which MLflow's web pages call the same
            path = "/" + path.removeprefix("/ajax-")
        headers = headers_of(scope)
        body = Body(headers, receive, send)
        receive, send = body.receive, body.send
        try:
            check_head(scope)
            if path not in OPEN_PATHS:
                check_came_from_here(method, headers)
        except (Refused, TooLarge) as error:
            await refused_early(error)(scope, receive, send)
            return
        if found := self._routes.find(method, path):
            if path not in ANY_WORKSPACE and headers.get(b"x-mlflow-workspace", b"").strip():
                await no_workspaces()(scope, receive, send)
                return
            endpoint, parameters = found
            room = BodyRoom(self._admission)
            request = MlflowRequest(
                self._services, scope, receive, headers, room, path_params=parameters
            )
            await self._protocol(endpoint, request, send)
        elif _is_native(path) and family_of(path) is None:
            await self._native(scope, receive, _with_headers(send, _SAFE_HEADERS))
        elif methods := self._routes.methods(path):
            await wrong_method(method, path, methods)(scope, receive, send)
        else:
            await no_such_endpoint(method, path)(scope, receive, send)

    async def _protocol(self, endpoint: Endpoint, request: MlflowRequest, send: Send) -> None:
        if not endpoint.streams:
            await self._exchange(endpoint, request, send)
            return
        receive = request.receive
        request.receive = paced_receive(receive)
        try:
            with self._admission.streaming, request.room:
                await self._exchange(endpoint, request, paced_send(send))
        except Overloaded as error:
            await error_reply(error)(request.scope, receive, send)

    async def _exchange(self, endpoint: Endpoint, request: MlflowRequest, send: Send) -> None:
        scope = request.scope
        try:
            response = await self._answer(endpoint, request)
        except ClientDisconnect:  # nobody is left to read an answer
            return
        if isinstance(response, JsonReply):
            await response(scope, request.receive, send)
            return
        try:
            await response(scope, request.receive, _with_headers(send, _CONTENT_HEADERS))
        except (
            Exception
        ) as error:  # a process edge: the status is sent, all that is left is to hang up
            broke_off(error, scope["method"], scope["path"])
            raise

    async def _answer(self, endpoint: Endpoint, request: MlflowRequest) -> Response:
        scope = request.scope
        try:
            if endpoint.streams:
                return await self._ask(endpoint, request)
            if not _has_body(request):
                return await self._in_turn(endpoint, request)
            check_json(scope["method"], request.headers)
            with request.room:
                # Read before there is a place among the requests in work: a body that trickles in holds none.
                request.body = await read_body(request.headers, request.receive, room=request.room)
                return await self._in_turn(endpoint, request)
        except ClientDisconnect:
            raise
        except (
            Exception
        ) as error:  # a process edge: whatever it was must not show outside, but in the log
            return _failure(error, scope)

    async def _in_turn(self, endpoint: Endpoint, request: MlflowRequest) -> Response:
        with self._admission.answering:
            if endpoint.holds_until:
                return await self._known_or_asked(endpoint, request)
            return await self._ask(endpoint, request)

    async def _known_or_asked(self, endpoint: Endpoint, request: MlflowRequest) -> Response:
        question = (request.scope["path"], request.scope["query_string"], request.body)
        answers = self._answers[endpoint.holds_until]
        known, state = answers.find(question)
        if known is not None:
            return known
        answer = await self._ask(endpoint, request)
        if isinstance(answer, JsonReply) and answer.status_code == 200:
            answers.keep(question, answer, state=state)
        return answer

    async def _ask(self, endpoint: Endpoint, request: MlflowRequest) -> Response:
        if request.scope["query_string"]:
            request.query = _query(request.scope["query_string"])
        return await endpoint.handler(request)


def _failure(error: Exception, scope: Scope) -> Response:
    if isinstance(error, BodyTooLarge):
        return too_large(error)
    if isinstance(error, LastgoodError) and error.http_status != 500:
        return error_reply(error)
    return internal_error(error, scope["method"], scope["path"])


def _has_body(request: MlflowRequest) -> bool:
    # MLflow also takes the arguments of a GET from a body, as some scripts with curl send them.
    return request.method != "GET" or request.headers.get(b"content-length", b"0") != b"0"


def _is_native(path: str) -> bool:
    return path == NATIVE or path.startswith(f"{NATIVE}/") or not path.startswith("/api/")


def _query(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            raw.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=QUERY_FIELDS_MAX,
        )
    except ValueError:
        raise InvalidInput(f"A query may have {QUERY_FIELDS_MAX:,} fields") from None


def _with_headers(send: Send, extra: tuple[tuple[bytes, bytes], ...]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {key for key, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(header for header in extra if header[0] not in present),
            ]
        await send(message)

    return sending

"""The server as one ASGI application: the MLflow protocol by its own short path, the rest by FastAPI.

FastAPI takes long to import. It is imported in a thread once the server listens, so that a server is
ready for its first request in a fraction of the time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lastgood.api.errors import (
    broke_off,
    internal_error,
    no_such_endpoint,
    no_workspaces,
    refused_as_text,
    too_large,
    wrong_method,
)
from lastgood.api.limits import (
    check_came_from_here,
    check_json,
    header_of,
    read_body,
)
from lastgood.api.mlflow.answers import Answers
from lastgood.api.mlflow.left_out import family_of
from lastgood.api.mlflow.routes import SERVER_INFO_PATH, Endpoint, mlflow_routes
from lastgood.api.mlflow.wire import JsonReply, MlflowRequest, error_reply
from lastgood.api.services import Services
from lastgood.errors import (
    InvalidInput,
    LastgoodError,
    Refused,
    StoreUnavailable,
    TooLarge,
)

__all__ = ["App", "create_app"]

QUERY_FIELDS_MAX = 10_000
NATIVE = "/api/v1"
WATCHES = f"{NATIVE}/target/"
"""Gateways wait here for a ref to move, up to a minute each."""
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


def create_app(services: Services, *, native: Callable[[Services], ASGIApp] | None = None) -> "App":
    """The whole HTTP surface over these services.

    Args:
        services: The engine.
        native: Makes the native API; by default `lastgood.api.native`, imported when it is first needed.
    """
    return App(services, native or _native_app)


def _native_app(services: Services) -> ASGIApp:
    from lastgood.api.native import create_native_app

    return create_native_app(services)


class App:
    """The ASGI application. Make it with `create_app`."""

    def __init__(self, services: Services, native: Callable[[Services], ASGIApp]) -> None:
        self._services = services
        self._routes = mlflow_routes()
        self._make_native = native
        self._native: asyncio.Task[ASGIApp] | None = None
        self._watches: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._answers = Answers(services.kernel.head)

    def release_watches(self) -> None:
        """End the requests that wait for something to happen, so that the server can stop at once."""
        self._stopping = True
        for watch in self._watches:
            watch.cancel()

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
                self._native_task()
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
        try:
            if path not in OPEN_PATHS:
                check_came_from_here(scope)
        except Refused as error:
            await refused_as_text(f"{error.message} ({error.hint})")(scope, receive, send)
            return
        if found := self._routes.find(method, path):
            if path not in ANY_WORKSPACE and header_of(scope, b"x-mlflow-workspace").strip():
                await no_workspaces()(scope, receive, send)
                return
            await self._protocol(found, scope, receive, send)
        elif _is_native(path) and family_of(path) is None:
            await self._serve_native(scope, receive, send)
        elif methods := self._routes.methods(path):
            await wrong_method(method, path, methods)(scope, receive, send)
        else:
            await no_such_endpoint(method, path)(scope, receive, send)

    async def _protocol(
        self, found: tuple[Endpoint, dict[str, str]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            response = await self._answer(found, scope, receive)
        except ClientDisconnect:  # nobody is left to read an answer
            return
        if isinstance(response, JsonReply):
            await response(scope, receive, send)
            return
        try:
            await response(scope, receive, _with_headers(send, _CONTENT_HEADERS))
        except (
            Exception
        ) as error:  # a process edge: the status is sent, all that is left is to hang up
            broke_off(error, scope["method"], scope["path"])
            raise

    async def _answer(
        self, found: tuple[Endpoint, dict[str, str]], scope: Scope, receive: Receive
    ) -> Response:
        endpoint, parameters = found
        request = MlflowRequest(self._services, scope, receive, path_params=parameters)
        try:
            if not endpoint.streams and scope["method"] != "GET":
                check_json(scope)
                try:
                    request.body = await read_body(scope, receive)
                except TooLarge as error:
                    return too_large(error)
            if endpoint.registry_read:
                return await self._known_or_asked(endpoint, request)
            return await self._ask(endpoint, request)
        except LastgoodError as error:
            if error.http_status == 500:
                return internal_error(error, scope["method"], scope["path"])
            return error_reply(error)
        except ClientDisconnect:
            raise
        except (
            Exception
        ) as error:  # a process edge: whatever it was must not show outside, but in the log
            return internal_error(error, scope["method"], scope["path"])

    async def _known_or_asked(self, endpoint: Endpoint, request: MlflowRequest) -> Response:
        question = (request.scope["path"], request.scope["query_string"], request.body)
        known, head = self._answers.find(question)
        if known is not None:
            return known
        answer = await self._ask(endpoint, request)
        if isinstance(answer, JsonReply) and answer.status_code == 200:
            self._answers.keep(question, answer, head=head)
        return answer

    async def _ask(self, endpoint: Endpoint, request: MlflowRequest) -> Response:
        if request.scope["query_string"]:
            request.query = _query(request.scope["query_string"])
        return await endpoint.handler(request)

    def _native_task(self) -> "asyncio.Task[ASGIApp]":
        if self._native is None:
            self._native = asyncio.ensure_future(
                run_in_threadpool(self._make_native, self._services)
            )
        return self._native

    async def _serve_native(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await asyncio.shield(self._native_task())
        extended = _with_headers(send, _SAFE_HEADERS)
        if scope["path"].startswith(WATCHES):
            await self._watch(app, scope, receive, extended)
        else:
            await app(scope, receive, extended)

    async def _watch(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        watch = asyncio.ensure_future(_as_coroutine(app(scope, receive, send)))
        self._watches.add(watch)
        if self._stopping:
            watch.cancel()
        try:
            await watch
        except asyncio.CancelledError:
            if not watch.cancelled():
                raise
            error = StoreUnavailable("The server is stopping", hint="try again")
            await error_reply(error)(scope, receive, send)
        finally:
            self._watches.discard(watch)


async def _as_coroutine(answering: Awaitable[None]) -> None:
    await answering


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

"""What goes out: views as JSON by the same encoder that writes manifests, and errors in one shape."""

import logging
import uuid
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lastgood.core.ids import printable
from lastgood.errors import InvalidInput, LastgoodError, NotFound, Overloaded

__all__ = ["ERROR_RESPONSES", "error_reply", "install_error_handlers", "reply"]

PROBLEMS_SHOWN_MAX = 5
CLIENT_CLOSED_REQUEST = 499

_log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder()

ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "An error, named by its class",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {
                            "type": "object",
                            "required": ["kind", "message", "hint", "exit_code"],
                            "properties": {
                                "kind": {"type": "string", "example": "NotFound"},
                                "message": {"type": "string"},
                                "hint": {"type": "string"},
                                "exit_code": {"type": "integer"},
                            },
                        }
                    },
                }
            }
        },
    }
}


def reply(value: object, *, status: int = 200) -> Response:
    """The value as JSON."""
    return Response(_encoder.encode(value), status_code=status, media_type="application/json")


def error_reply(error: LastgoodError, *, status: int | None = None) -> Response:
    """The error with its class, so that a client can raise the same one."""
    body = {
        "error": {
            "kind": type(error).__name__,
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
    }
    answer = reply(body, status=error.http_status if status is None else status)
    if isinstance(error, Overloaded):
        answer.headers["retry-after"] = str(error.retry_after_s)
    return answer


def install_error_handlers(app: FastAPI) -> None:
    """Answer every failure in the one shape."""
    app.add_exception_handler(LastgoodError, _explained)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OverflowError, _overflow)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


async def _explained(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LastgoodError)
    return error_reply(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [_problem(problem) for problem in error.errors()[:PROBLEMS_SHOWN_MAX]]
    return error_reply(InvalidInput("; ".join(problems), hint="the request is described at /docs"))


def _problem(problem: dict[str, Any]) -> str:
    where = ".".join(str(step) for step in problem["loc"] if step != "body")
    return f"{printable(where)}: {problem['msg']}" if where else str(problem["msg"])


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {printable(request.url.path)}"
    if error.status_code == 404:
        return error_reply(
            NotFound(f"{what} is no address of this API", hint="all of them are at /docs")
        )
    return error_reply(
        InvalidInput(f"{what}: {error.detail}", hint="see /docs"), status=error.status_code
    )


async def _overflow(_request: Request, _error: Exception) -> Response:
    return error_reply(InvalidInput("A number is larger than a database can hold"))


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _unexpected(request: Request, error: Exception) -> Response:
    # The edge of the process: what nobody foresaw is logged in full and answered without detail.
    number = uuid.uuid4().hex[:12]
    _log.error(
        "unexpected failure %s in %s %s", number, request.method, request.url.path, exc_info=error
    )
    return error_reply(
        LastgoodError(f"Something unexpected failed; the server's log has it under {number}")
    )

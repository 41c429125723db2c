"""Answers to what cannot be answered otherwise. They never tell how the inside looks."""

import logging
import uuid

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lastgood.api.mlflow.left_out import family_of
from lastgood.api.mlflow.wire import JsonReply
from lastgood.core.ids import printable
from lastgood.errors import LastgoodError, TooLarge

__all__ = [
    "broke_off",
    "internal_error",
    "no_such_endpoint",
    "no_workspaces",
    "refused_early",
    "too_large",
    "wrong_method",
]

_log = logging.getLogger("lastgood.api")


def no_such_endpoint(method: str, path: str) -> Response:
    """404 in the form on which MLflow's clients try their fallbacks; 501 for a part of MLflow that is left out."""
    family = family_of(path)
    if family is None:
        message = f"There is no such endpoint: {printable(method)} {printable(path)}"
        return _error("ENDPOINT_NOT_FOUND", message, 404)
    code = "NOT_IMPLEMENTED" if family.status == 501 else "ENDPOINT_NOT_FOUND"
    return _error(code, family.message, family.status)


def no_workspaces() -> Response:
    """400 for a request that names a workspace. MLflow answers 500, which its clients repeat for minutes."""
    message = "Workspace APIs are not available: workspaces are not enabled on this server"
    return _error("FEATURE_DISABLED", message, 400)


def wrong_method(method: str, path: str, allowed: list[str]) -> Response:
    """405; the code is that of an unknown endpoint, because old clients try POST and then GET."""
    message = f"{printable(path)} does not take {printable(method)}, but {', '.join(allowed)}"
    response = _error("ENDPOINT_NOT_FOUND", message, 405)
    response.raw_headers.append((b"allow", ", ".join(allowed).encode()))
    return response


def too_large(error: TooLarge) -> Response:
    """413; a value that is too large is 400, as MLflow answers, a body is not."""
    return _error(error.mlflow_code, f"{error.message} ({error.hint})", 413)


def refused_early(error: LastgoodError) -> Response:
    """For a request that is not looked at: it should not have come here, or its head is too large."""
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    return _error(error.mlflow_code, message, error.http_status)


def internal_error(error: Exception, method: str, path: str) -> Response:
    """500 with an id that stands in the log beside what happened, and nothing else."""
    incident = uuid.uuid4().hex[:12]
    _log.error("incident %s: %s %s", incident, method, printable(path), exc_info=error)
    return _error(
        "INTERNAL_ERROR", f"Something went wrong here; the log has it as incident {incident}", 500
    )


def broke_off(error: Exception, method: str, path: str) -> None:
    """Note why an answer ended in the middle; the client only sees that it did."""
    if isinstance(error, ClientDisconnect):
        return
    known = isinstance(error, LastgoodError)
    reason = error.message if isinstance(error, LastgoodError) else type(error).__name__
    _log.error(
        "%s %s broke off: %s", method, printable(path), reason, exc_info=None if known else error
    )


def _error(code: str, message: str, status: int) -> JsonReply:
    return JsonReply(msgspec.json.encode({"error_code": code, "message": message}), status)

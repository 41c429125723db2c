"""Who calls, as an MLflow client says it. Nothing here is verified: there is no access control yet."""

import base64
import binascii

from lastgood.api.mlflow.wire import MlflowRequest
from lastgood.core.commands import Caller
from lastgood.core.ids import printable
from lastgood.core.operations import Actor, Origin

__all__ = ["caller_of"]

NAME_LENGTH_MAX = 256
PROGRAM_LENGTH_MAX = 200


def caller_of(request: MlflowRequest) -> Caller:
    """The caller; the actor's name is empty if the client sent none."""
    client = request.scope.get("client")
    return Caller(
        actor=Actor(name=_basic_user(request.header(b"authorization"))),
        origin=Origin(
            host=client[0] if client else "",
            program=printable(request.header(b"user-agent"), length_max=PROGRAM_LENGTH_MAX),
            door="mlflow",
        ),
    )


def _basic_user(header: str) -> str:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user, _, _ = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
    return printable(user, length_max=NAME_LENGTH_MAX)

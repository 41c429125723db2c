"""What comes in: who calls, and commands whose unknown fields are refused."""

from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Request
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as validated

from lastgood.core import commands
from lastgood.core.commands import Caller
from lastgood.core.ids import printable
from lastgood.core.operations import Actor, Origin
from lastgood.errors import TooLarge

__all__ = [
    "ApproveBody",
    "Calling",
    "CheckBody",
    "HoldBody",
    "MarkBody",
    "PauseBody",
    "PolicyBody",
    "PromoteBody",
    "RecordEvidenceBody",
    "RegisterBody",
    "RegisterRunBody",
    "ReleaseBody",
    "RestoreBody",
    "RevertBody",
    "RollbackBody",
    "UndoBody",
    "YankBody",
]

ANONYMOUS = "anonymous"
IDEMPOTENCY_KEY_LENGTH_MAX = 200
HOST_LENGTH_MAX = 255
PROGRAM_LENGTH_MAX = 200

# A misspelt `expect_head` must not silently switch a protection off.
_STRICT = ConfigDict(extra="forbid")
RegisterBody: Any = validated(commands.Register, config=_STRICT, frozen=True)
PromoteBody: Any = validated(commands.Promote, config=_STRICT, frozen=True)
RecordEvidenceBody: Any = validated(commands.RecordEvidence, config=_STRICT, frozen=True)
RollbackBody: Any = validated(commands.Rollback, config=_STRICT, frozen=True)
MarkBody: Any = validated(commands.MarkVersion, config=_STRICT, frozen=True)
RestoreBody: Any = validated(commands.Restore, config=_STRICT, frozen=True)
RevertBody: Any = validated(commands.Revert, config=_STRICT, frozen=True)
UndoBody: Any = validated(commands.Undo, config=_STRICT, frozen=True)
YankBody: Any = validated(commands.Yank, config=_STRICT, frozen=True)
RegisterRunBody: Any = validated(commands.RegisterRun, config=_STRICT, frozen=True)
PauseBody: Any = validated(commands.PauseEnvironment, config=_STRICT, frozen=True)
HoldBody: Any = validated(commands.PlaceHold, config=_STRICT, frozen=True)
ReleaseBody: Any = validated(commands.ReleaseHold, config=_STRICT, frozen=True)
ApproveBody: Any = validated(commands.Approve, config=_STRICT, frozen=True)
PolicyBody: Any = validated(commands.SetPolicy, config=_STRICT, frozen=True)
CheckBody: Any = validated(commands.CheckGates, config=_STRICT, frozen=True)


def caller_of(request: Request) -> Caller:
    """Who calls, as the request claims: nothing here is verified.

    Raises:
        TooLarge: the idempotency key is longer than 200 characters.
    """
    headers = request.headers
    key = headers.get("idempotency-key", "")
    if len(key) > IDEMPOTENCY_KEY_LENGTH_MAX:
        raise TooLarge(
            f"An Idempotency-Key may have {IDEMPOTENCY_KEY_LENGTH_MAX} characters; this one has {len(key)}"
        )
    peer = request.client.host if request.client else ""
    return Caller(
        actor=Actor(name=unquote(headers.get("x-lastgood-actor", "")).strip() or ANONYMOUS),
        origin=Origin(
            host=printable(
                unquote(headers.get("x-lastgood-host", "")) or peer, length_max=HOST_LENGTH_MAX
            ),
            program=printable(headers.get("user-agent", ""), length_max=PROGRAM_LENGTH_MAX),
            door="http",
        ),
        idempotency_key=key,
    )


Calling = Annotated[Caller, Depends(caller_of)]

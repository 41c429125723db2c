"""The operation: one act, and the hash that chains it to its predecessor."""

import hashlib
from dataclasses import dataclass, fields
from typing import Any, Literal

import msgspec

from lastgood.core.canonical import canonical
from lastgood.core.changes import Change
from lastgood.core.ids import (
    REGISTRY,
    Digest,
    Instant,
    ModelName,
    OperationId,
    digest_of_hex,
    hex_of,
)

__all__ = [
    "GENESIS",
    "Act",
    "Actor",
    "Operation",
    "OperationKind",
    "Origin",
    "hash_of",
    "seal",
    "stream_of",
]

OPERATION_SCHEMA = 1
GENESIS = Digest("sha256:" + "0" * 64)
"""The predecessor of the first operation."""
_UNSEALED = Digest("")

OperationKind = Literal[
    "register",
    "promote",
    "rollback",
    "mark",
    "hold",
    "release",
    "set_alias",
    "delete_alias",
    "transition_stage",
    "create_model",
    "rename_model",
    "update_model",
    "delete_model",
    "update_version",
    "delete_version",
    "record_evidence",
    "restore",
    "revert",
    "undo",
    "redo",
    "yank",
    "policy",
    "approve",
    "reject",
    "pause",
    "resume",
    "refuse",
    "import",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acted. Until access control exists a name is a claim, and `verified` is False."""

    name: str
    verified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the act came from: host, program with its version, and the door it used."""

    host: str = ""
    program: str = ""
    door: Literal["local", "http", "mlflow"] = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An operation as decided, before it has its place in the log."""

    kind: OperationKind
    model: ModelName
    actor: Actor
    origin: Origin
    reason: str = ""
    summary: str = ""
    """From -> to in words."""
    changes: tuple[Change, ...] = ()
    restores: OperationId | None = None
    """For a rollback or restore: the operation whose outcome is restored; for a revert, undo or redo: the one taken back."""
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An act in its place: `seq` is its position in the global order, from 1 without gaps."""

    seq: int
    at_ms: Instant
    """Never smaller than that of its predecessor, even when the machine's clock went back."""
    kind: OperationKind
    model: ModelName
    streams: tuple[str, ...]
    actor: Actor
    origin: Origin
    reason: str
    summary: str
    changes: tuple[Change, ...]
    restores: OperationId | None
    idempotency_key: str
    previous: Digest
    hash: Digest = _UNSEALED
    schema: int = OPERATION_SCHEMA

    @property
    def id(self) -> OperationId:
        """A short name for people: ``op-`` and the first 16 digits of the hash."""
        return OperationId("op-" + hex_of(self.hash)[:16])

    def body(self) -> bytes:
        """The canonical JSON of all fields except `hash`: what is stored, and what the hash is over."""
        return _body_of({f.name: getattr(self, f.name) for f in fields(self) if f.name != "hash"})


def stream_of(model: ModelName) -> str:
    """The stream that acts on this model, or on the registry as a whole, contend for."""
    return "registry" if model == REGISTRY else f"model:{model}"


def hash_of(body: bytes) -> Digest:
    """The hash of an operation with that body."""
    return digest_of_hex(hashlib.sha256(body).hexdigest())


def seal(
    act: Act, *, seq: int, at_ms: Instant, previous: Digest, streams: tuple[str, ...]
) -> tuple[Operation, bytes]:
    """Give the act its place in the log; the operation with its hash, and its body."""
    given: dict[str, Any] = {
        "seq": seq,
        "at_ms": at_ms,
        "kind": act.kind,
        "model": act.model,
        "streams": streams,
        "actor": act.actor,
        "origin": act.origin,
        "reason": act.reason,
        "summary": act.summary,
        "changes": act.changes,
        "restores": act.restores,
        "idempotency_key": act.idempotency_key,
        "previous": previous,
    }
    body = _body_of({**given, "schema": OPERATION_SCHEMA})
    return Operation(**given, hash=hash_of(body)), body


def _body_of(fields: dict[str, Any]) -> bytes:
    return canonical(msgspec.to_builtins(fields))

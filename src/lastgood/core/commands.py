"""What a client asks for: typed requests, decoded once at the edge."""

from dataclasses import dataclass, field

from lastgood.core.approvals import ApprovalWord, Meaning
from lastgood.core.changes import MarkValue
from lastgood.core.evidence import Evidence
from lastgood.core.ids import ModelName, OperationId, RefName
from lastgood.core.manifest import Manifest
from lastgood.core.moments import Moment
from lastgood.core.operations import Actor, Origin
from lastgood.core.references import DEFAULT_ENVIRONMENT

__all__ = [
    "Approve",
    "Caller",
    "CheckGates",
    "MarkVersion",
    "PauseEnvironment",
    "PlaceHold",
    "Promote",
    "RecordEvidence",
    "Register",
    "RegisterRun",
    "ReleaseHold",
    "Restore",
    "Revert",
    "Rollback",
    "SetPolicy",
    "Undo",
    "Yank",
]

REASON_LENGTH_MAX = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, from where, and the key that makes a repeated request one act."""

    actor: Actor
    origin: Origin = field(default_factory=Origin)
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Make a version of `model` from a manifest whose files are stored already."""

    model: ModelName
    manifest: Manifest
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    """What was found out about the files already, recorded in the same operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Point an environment at a version."""

    reference: str
    to: RefName
    reason: str = ""
    release_hold: bool = False
    allow_yanked: bool = False
    """Promote although the version was yanked."""
    expect_head: int | None = None
    """The state the decision was made on (`Plan.head`); None: whatever it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """Return an environment to its last good version, or to the one named."""

    model: ModelName
    environment: RefName = DEFAULT_ENVIRONMENT
    to: str | None = None
    """A reference, or ``none`` to leave the environment empty; None: the last good version."""
    reason: str = ""
    expect_head: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkVersion:
    """Judge a version in an environment."""

    reference: str
    value: MarkValue
    environment: RefName = DEFAULT_ENVIRONMENT
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvidence:
    """Record what was found out about a version; objects that the evidence names are stored already."""

    reference: str
    evidence: tuple[Evidence, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yank:
    """Withdraw a version: nothing is pointed at it any more, in one environment or (None) in all."""

    reference: str
    environment: RefName | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Point all refs of a model where they pointed at a moment."""

    model: ModelName
    at: Moment
    reason: str = ""
    release_hold: bool = False
    expect_head: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revert:
    """Take one operation back: put what it changed back to what it was before."""

    operation: OperationId
    """Its beginning is enough when it is unique."""
    reason: str = ""
    release_hold: bool = False
    expect_head: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Take back the caller's last operation that moved a ref, or (`redo`) the caller's last undo."""

    model: ModelName | None = None
    """None: of whichever model."""
    redo: bool = False
    reason: str = ""
    release_hold: bool = False
    expect_head: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPolicy:
    """Put a policy in force for the registry."""

    text: str | None
    """``lastgood.toml`` as written; None: no policy any more."""
    reason: str = ""
    hand_over: bool = False
    """Put it in force although the caller may not change it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckGates:
    """Ask whether a version may go to an environment; nothing is promoted."""

    reference: str
    to: RefName


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve:
    """Say yes or no to a version for an environment."""

    reference: str
    to: RefName
    word: ApprovalWord = "approve"
    meaning: Meaning = "approved"
    lasts_s: int | None = None
    """For an approval: for how many seconds it counts; None: until it is taken back."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseEnvironment:
    """Take no promotions in an environment, of one model or (None) of all; or take them again."""

    environment: RefName
    model: ModelName | None = None
    paused: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold:
    """Keep a version out of an environment, and if asked whatever was trained from its data."""

    reference: str
    environment: RefName = DEFAULT_ENVIRONMENT
    owner: str = ""
    lasts_s: int | None = None
    """For how many seconds; None: until it is released."""
    data: bool = False
    only_data: str = ""
    """Of its data only that one: the beginning of its digest. Implies `data`."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseHold:
    """End a hold on a version."""

    reference: str
    environment: RefName = DEFAULT_ENVIRONMENT
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRun:
    """Make a version of what a run logged to this registry."""

    model: ModelName
    source: str
    """``runs:/<run id>/<path>``."""
    tags: dict[str, str] = field(default_factory=dict)
    reason: str = ""

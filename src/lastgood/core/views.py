"""What the registry answers: values that the command line prints and the native API sends."""

from dataclasses import dataclass, field
from typing import Any, Literal

from lastgood.core.approvals import ApprovalWord, Meaning
from lastgood.core.evidence import EvidenceOutcome
from lastgood.core.ids import (
    Digest,
    GatewayId,
    Instant,
    ModelName,
    OperationId,
    RefName,
    RequestId,
    VersionNumber,
)
from lastgood.core.manifest import Manifest
from lastgood.core.observations import Receipt
from lastgood.core.operations import Actor, Origin
from lastgood.core.parts import PartMove
from lastgood.core.reproducibility import Missing
from lastgood.core.verdicts import Verdict

__all__ = [
    "ApprovalView",
    "BlameView",
    "CheckView",
    "DiffView",
    "Difference",
    "EvidenceView",
    "FsckReport",
    "HoldView",
    "LineageEdge",
    "LineageNode",
    "LineageView",
    "LiveView",
    "LogEntry",
    "MarkView",
    "ModelPlan",
    "ModelView",
    "ObservedSlot",
    "Outcome",
    "Plan",
    "PolicyView",
    "Problem",
    "Target",
    "TenureView",
    "VerdictsView",
    "VersionView",
    "WhyView",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkView:
    """A judgement on a version in an environment, and where it comes from."""

    environment: RefName
    value: Literal["good", "bad", "yanked"]
    source: Literal["earned", "person"]
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldView:
    """A hold: who placed it, when, why."""

    version: VersionNumber
    environment: RefName
    operation: OperationId
    actor: str
    reason: str
    since_ms: Instant
    owner: str = ""
    """Whom to ask; empty: who placed it."""
    expires_ms: Instant | None = None
    """When it ends by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceView:
    """Something that was found out about a version, and by whom."""

    name: str
    outcome: EvidenceOutcome
    summary: str
    figures: dict[str, float | str]
    object: Digest | None
    operation: OperationId
    actor: str
    at_ms: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """What a person said of a version for an environment, as far as it still counts."""

    environment: RefName
    actor: str
    word: ApprovalWord
    meaning: Meaning
    at_ms: Instant
    expires_ms: Instant | None
    """When it ends to count; None: never."""
    operation: OperationId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictsView:
    """What the gates said when a version last was to go to an environment."""

    environment: RefName
    allowed: bool
    verdicts: tuple[Verdict, ...]
    operation: OperationId
    actor: str
    at_ms: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """A version and everything known of it."""

    model: ModelName
    version: VersionNumber
    digest: Digest | None
    registered_ms: Instant
    registered_by: str
    operation: OperationId
    stage: str
    refs: tuple[RefName, ...]
    description: str
    tags: dict[str, str]
    source: str
    run_id: str
    size: int
    verified: bool
    """False for an external version: nothing can be promised about its bytes."""
    marks: tuple[MarkView, ...] = ()
    holds: tuple[HoldView, ...] = ()
    evidence: tuple[EvidenceView, ...] = ()
    """The newest of each name."""
    manifest: Manifest | None = None
    """None in lists, and for an external version."""
    missing: tuple[Missing, ...] = ()
    """With a manifest: what the version lacks to be made again."""
    approvals: tuple[ApprovalView, ...] = ()
    """Not in lists: approvals and rejections of these bytes that are in force, oldest first."""
    verdicts: tuple[VerdictsView, ...] = ()
    """Not in lists: the newest recorded verdicts, by environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model in a list."""

    model: ModelName
    description: str
    versions: int
    latest: VersionNumber | None
    refs: dict[str, VersionNumber]
    created_ms: Instant
    changed_ms: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a ref points to: what a gateway that follows the ref has to serve."""

    model: ModelName
    ref: RefName
    seq: int
    """The operation that last moved the ref; 0 if none ever did."""
    version: VersionNumber | None
    digest: Digest | None
    operation: OperationId | None = None
    ordered_ms: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What promote or rollback would do. `head` is the state it was decided on."""

    model: ModelName
    environment: RefName
    before: VersionNumber | None
    before_digest: Digest | None
    after: VersionNumber | None
    after_digest: Digest | None
    head: int
    """Pass it back as `expect_head`: the act is refused if the model changed meanwhile."""
    effects: tuple[str, ...]
    """Each change in words."""
    because: str = ""
    """For a rollback: the evidence for the version chosen."""
    passed_over: tuple[str, ...] = ()
    """For a rollback: newer versions that were not chosen, and why."""
    already: bool = False
    """Nothing to do: this is the state."""
    undo: str = ""
    parts: tuple[PartMove, ...] = ()
    """What of a version changes and what stays; only in plans that are asked for."""
    allowed: bool = True
    """For a promotion that is planned: whether the gates let it in."""
    verdicts: tuple[Verdict, ...] = ()
    """What each gate says."""
    blocking: tuple[str, ...] = ()
    """Names of the gates that stand in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlan:
    """What restore, revert, undo or redo would do to the refs and labels of a model."""

    model: ModelName
    head: int
    """Pass it back as `expect_head`: the act is refused if the model changed meanwhile."""
    effects: tuple[str, ...]
    """Each change in words."""
    operation: OperationId | None
    """The operation taken back, or the one whose outcome is restored; None: before the first."""
    about: str = ""
    """That operation in words."""
    already: bool = False
    """Nothing to do: this is the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an act did."""

    operation: OperationId | None
    """None if nothing had to change."""
    seq: int
    at_ms: Instant
    model: ModelName
    version: VersionNumber | None
    digest: Digest | None
    summary: str
    already: bool = False
    undo: str = ""
    """The exact command that undoes it; empty if nothing can or needs to."""
    notes: tuple[str, ...] = ()
    plan: Plan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One operation as history shows it."""

    seq: int
    operation: OperationId
    at_ms: Instant
    kind: str
    model: ModelName
    actor: Actor
    origin: Origin
    reason: str
    summary: str
    changes: tuple[dict[str, Any], ...]
    hash: Digest
    previous: Digest
    active_ms: int | None = None
    """For an operation that moved a ref: for how long its outcome stayed; None while it still does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedSlot:
    """What one gateway was last seen doing for one ref."""

    gateway: GatewayId
    host: str
    url: str
    version: VersionNumber | None
    digest: Digest | None
    since_ms: Instant
    last_seen_ms: Instant
    state: Literal["serving", "loading", "load_failed", "crashed", "stopped", "silent", "waiting"]
    detail: str = ""
    agrees: bool = True
    """Whether it serves what is ordered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveView:
    """Ordered and observed state of one ref at one moment."""

    model: ModelName
    ref: RefName
    at_ms: Instant
    version: VersionNumber | None
    digest: Digest | None
    since_ms: Instant | None
    operation: OperationId | None
    actor: str
    reason: str
    observed: tuple[ObservedSlot, ...]
    last_good: VersionNumber | None
    """The version a rollback would return to, None if there is none or it is not known for that moment."""
    agrees: bool | None
    """Whether every gateway serves what is ordered; None if none was seen: that is unknown, not agreement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenureView:
    """One stay of a version in an environment, and what was seen of it."""

    version: VersionNumber
    seq: int
    from_ms: Instant
    to_ms: Instant | None
    requests: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyView:
    """From one answered request to everything that led to the answer."""

    request_id: RequestId
    receipt: Receipt
    gateway: GatewayId
    ordered_by: LogEntry | None
    registered_by: LogEntry | None
    version: VersionView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlameView:
    """Who put the version there, and what is known of it."""

    model: ModelName
    ref: RefName
    version: VersionView
    """With its manifest, judgements and evidence."""
    ordered_by: LogEntry
    registered_by: LogEntry | None
    before: VersionNumber | None
    """What was there before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageNode:
    """Something that a version was made from, a version, or a place where it is live."""

    id: str
    """For example ``churn/4``, ``data:sha256:ab...``, ``commit:c0ffee``, ``run:12ab``, ``churn@production``."""
    kind: Literal["version", "data", "commit", "run", "ref"]
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageEdge:
    """`source` went into `target`."""

    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageView:
    """What something was made from (up), or what was made from it and where that is live (down)."""

    root: str
    direction: Literal["up", "down"]
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs; `before` or `after` is None where it is absent."""

    section: str
    name: str
    before: str | None
    after: str | None
    note: str = ""
    """By how much: of metrics, sizes of files and data, packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffView:
    """What differs between two versions."""

    a: str
    b: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that fsck found wrong."""

    where: Literal["log", "projection", "object", "manifest", "artifact", "database"]
    subject: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckReport:
    """What fsck checked and found."""

    operations: int
    objects: int
    bytes: int
    projections: int
    """Rows compared with a rebuild from the log."""
    problems: tuple[Problem, ...]
    head: Digest
    """Hash of the newest operation: note it elsewhere, and a later truncation of the log will show."""
    orphans: int = 0
    """Objects that nothing names yet; harmless."""
    details: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """A policy and who put it in force; without a digest: there is none."""

    digest: Digest | None
    text: str = ""
    seq: int = 0
    at_ms: Instant | None = None
    operation: OperationId | None = None
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckView:
    """Whether a version may go to an environment, and what each gate says."""

    model: ModelName
    version: VersionNumber
    digest: Digest | None
    environment: RefName
    live: VersionNumber | None
    policy: Digest | None
    """None: no policy names the environment."""
    allowed: bool
    verdicts: tuple[Verdict, ...] = ()
    blocking: tuple[str, ...] = ()
    """Names of the gates that stand in the way."""
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Programs of gates, by name, for the caller to run."""
    timeouts_s: dict[str, int] = field(default_factory=dict)
    """For how long each of them may run."""
    golden: bool = False
    """Whether a gate wants the version asked again, by the caller, for its golden answers."""

"""What an operation changes: small typed facts, each with the state before and after.

The state of the registry is the fold of all changes in log order. A change says `before` and
`after` so that history can be read without replaying it and so that an undo can be derived.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from lastgood.core.approvals import ApprovalWord, Meaning
from lastgood.core.evidence import EvidenceOutcome
from lastgood.core.ids import REGISTRY, Digest, Instant, ModelName, RefName, VersionNumber
from lastgood.core.stages import Stage
from lastgood.core.verdicts import Verdict
from lastgood.errors import IntegrityFailure

__all__ = [
    "CHANGE_TYPES",
    "ApprovalGiven",
    "Change",
    "DescriptionSet",
    "EnvironmentPaused",
    "EvidenceRecorded",
    "HoldPlaced",
    "HoldReleased",
    "MarkSet",
    "ModelCreated",
    "ModelDeleted",
    "ModelRenamed",
    "NumbersUsed",
    "PolicyRefused",
    "PolicySet",
    "RefMoved",
    "StageChanged",
    "TagSet",
    "TimesKept",
    "VerdictsRecorded",
    "VersionDeleted",
    "VersionRegistered",
    "decode_change",
]

MarkValue = Literal["good", "bad", "yanked", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCreated:
    """A model came to be."""

    model: ModelName
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    kind: Literal["model_created"] = "model_created"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRenamed:
    """The model got another name; its versions, refs and history go with it."""

    model: ModelName
    after: ModelName
    kind: Literal["model_renamed"] = "model_renamed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeleted:
    """The model and all its versions are gone from view; the numbers they had are never used again."""

    model: ModelName
    kind: Literal["model_deleted"] = "model_deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRegistered:
    """A version came to be; `digest` is None for an external version, whose bytes are not here."""

    model: ModelName
    version: VersionNumber
    digest: Digest | None
    source: str = ""
    """As the client named it."""
    run_id: str = ""
    run_link: str = ""
    user: str = ""
    description: str = ""
    logged_model_id: str = ""
    artifact_uri: str = ""
    """For an external version: where an MLflow client finds the bytes."""
    size: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    """Of the training code, as the manifest has it; and the digests of the data."""
    data: tuple[str, ...] = ()
    kind: Literal["version_registered"] = "version_registered"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDeleted:
    """The version is gone from view; its number is never used again."""

    model: ModelName
    version: VersionNumber
    kind: Literal["version_deleted"] = "version_deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefMoved:
    """A ref points elsewhere; None is nowhere."""

    model: ModelName
    ref: RefName
    before: VersionNumber | None
    after: VersionNumber | None
    alias: bool = False
    """Whether MLflow clients see the ref among the aliases of the model."""
    kind: Literal["ref_moved"] = "ref_moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageChanged:
    """A version carries another stage label."""

    model: ModelName
    version: VersionNumber
    before: Stage
    after: Stage
    kind: Literal["stage_changed"] = "stage_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced:
    """The version may not be promoted to the environment until the hold is released."""

    model: ModelName
    version: VersionNumber
    environment: RefName
    owner: str = ""
    """Whom to ask; empty: who placed it."""
    expires_ms: Instant | None = None
    data: tuple[str, ...] = ()
    """Digests of datasets: whatever else was trained from one of them is kept out too."""
    kind: Literal["hold_placed"] = "hold_placed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased:
    """The version may be promoted to the environment again."""

    model: ModelName
    version: VersionNumber
    environment: RefName
    kind: Literal["hold_released"] = "hold_released"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSet:
    """A person judged the version in the environment."""

    model: ModelName
    version: VersionNumber
    environment: RefName
    before: MarkValue
    after: MarkValue
    kind: Literal["mark_set"] = "mark_set"


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSet:
    """A tag of the model (`version` None) or of a version; `after` None removes it."""

    model: ModelName
    key: str
    before: str | None
    after: str | None
    version: VersionNumber | None = None
    kind: Literal["tag_set"] = "tag_set"


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptionSet:
    """The description of the model (`version` None) or of a version."""

    model: ModelName
    before: str
    after: str
    version: VersionNumber | None = None
    kind: Literal["description_set"] = "description_set"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRecorded:
    """Something was found out about a version; it replaces what was known under that name."""

    model: ModelName
    version: VersionNumber
    name: str
    outcome: EvidenceOutcome
    summary: str = ""
    figures: dict[str, float | str] = field(default_factory=dict)
    object: Digest | None = None
    kind: Literal["evidence_recorded"] = "evidence_recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """The registry follows another policy; the text is kept here, so that the log alone tells what was in force."""

    before: Digest | None
    after: Digest | None
    """SHA-256 of `text`; None: without a policy."""
    text: str = ""
    model: ModelName = REGISTRY
    kind: Literal["policy_set"] = "policy_set"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRefused:
    """Somebody who may not tried to put another policy in force; nothing changed."""

    before: Digest | None
    """The policy that stays in force."""
    offered: Digest | None
    """The one that was to take its place; None: none at all."""
    verdict: Verdict
    model: ModelName = REGISTRY
    kind: Literal["policy_refused"] = "policy_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictsRecorded:
    """What the gates said when the version was to go to the environment."""

    model: ModelName
    version: VersionNumber
    environment: RefName
    digest: Digest | None
    policy: Digest | None
    """The policy they followed."""
    allowed: bool
    verdicts: tuple[Verdict, ...] = ()
    kind: Literal["verdicts_recorded"] = "verdicts_recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGiven:
    """A person approved the version for the environment, or rejected it; their last word in a meaning counts."""

    model: ModelName
    version: VersionNumber
    environment: RefName
    digest: Digest | None
    """Of the bytes that were approved."""
    word: ApprovalWord
    meaning: Meaning
    expires_ms: Instant | None = None
    kind: Literal["approval_given"] = "approval_given"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentPaused:
    """The environment takes no promotions (`after`), or does again; of one model, or of all."""

    environment: RefName
    before: bool
    after: bool
    model: ModelName = REGISTRY
    kind: Literal["environment_paused"] = "environment_paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersUsed:
    """Numbers up to `last` were given out before the model came here: they are never used again."""

    model: ModelName
    last: VersionNumber
    kind: Literal["numbers_used"] = "numbers_used"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesKept:
    """What was imported keeps the times it had: the model (`version` None) or a version."""

    model: ModelName
    created_ms: Instant
    changed_ms: Instant
    version: VersionNumber | None = None
    kind: Literal["times_kept"] = "times_kept"


Change = (
    ModelCreated
    | ModelRenamed
    | ModelDeleted
    | VersionRegistered
    | VersionDeleted
    | RefMoved
    | StageChanged
    | HoldPlaced
    | HoldReleased
    | MarkSet
    | TagSet
    | DescriptionSet
    | EvidenceRecorded
    | PolicySet
    | PolicyRefused
    | VerdictsRecorded
    | ApprovalGiven
    | EnvironmentPaused
    | NumbersUsed
    | TimesKept
)

CHANGE_TYPES: dict[str, type[Change]] = {
    "model_created": ModelCreated,
    "model_renamed": ModelRenamed,
    "model_deleted": ModelDeleted,
    "version_registered": VersionRegistered,
    "version_deleted": VersionDeleted,
    "ref_moved": RefMoved,
    "stage_changed": StageChanged,
    "hold_placed": HoldPlaced,
    "hold_released": HoldReleased,
    "mark_set": MarkSet,
    "tag_set": TagSet,
    "description_set": DescriptionSet,
    "evidence_recorded": EvidenceRecorded,
    "policy_set": PolicySet,
    "policy_refused": PolicyRefused,
    "verdicts_recorded": VerdictsRecorded,
    "approval_given": ApprovalGiven,
    "environment_paused": EnvironmentPaused,
    "numbers_used": NumbersUsed,
    "times_kept": TimesKept,
}


def decode_change(data: dict[str, Any]) -> Change:
    """Read one change from the log.

    Raises:
        IntegrityFailure: an unknown kind or a field of the wrong type.
    """
    kind = data.get("kind")
    cls = CHANGE_TYPES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise IntegrityFailure(
            f"The log holds a change of unknown kind {kind!r}", hint="upgrade lastgood"
        )
    try:
        return msgspec.convert(data, cls)
    except msgspec.ValidationError as error:
        raise IntegrityFailure(
            f"The log holds a malformed change of kind {kind}: {error}"
        ) from error

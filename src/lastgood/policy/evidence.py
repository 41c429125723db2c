"""What gates judge by: gathered once by the engine, so that they themselves look nothing up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lastgood.core.evidence import EvidenceOutcome
from lastgood.core.gates import GateSpec
from lastgood.core.ids import Digest, ModelName, RefName, VersionNumber
from lastgood.core.manifest import Manifest
from lastgood.core.verdicts import Verdict

__all__ = ["Certificate", "Evidence", "Gate", "Stay", "VersionFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Evidence recorded for a version after the fact: a load test, a reproduction, a program's verdict."""

    outcome: EvidenceOutcome
    summary: str = ""
    figures: Mapping[str, float | str] = field(default_factory=dict)
    actor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """A version as gates see it."""

    model: ModelName
    version: VersionNumber
    digest: Digest | None
    manifest: Manifest | None
    tags: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    rows: Mapping[str, bytes] = field(default_factory=dict)
    """Files with results per row that the gates ask for, by path."""

    @property
    def name(self) -> str:
        """The version as a reference."""
        return f"{self.model}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """One stay of the candidate in an environment."""

    seconds: float
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a gate may judge by."""

    candidate: VersionFacts
    live: VersionFacts | None
    environment: RefName
    previous: RefName | None = None
    """The environment before, in the order of the policy."""
    stays: Mapping[RefName, tuple[Stay, ...]] = field(default_factory=dict)
    first_strict: bool = False
    """Whether a comparison with what is live is unknown, rather than needless, while nothing is live."""


class Gate(Protocol):
    """A rule: the same evidence always gives the same verdict."""

    def __call__(self, spec: GateSpec, evidence: Evidence, /) -> Verdict:
        """Judge what `spec` requires by the evidence."""
        ...

"""The registry as everybody sees it: offered in process by `engine`, over HTTP by `sdk`.

One contract test-suite (tests/contract/test_registry.py) runs over both.
"""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from lastgood.core.commands import Caller, MarkVersion, Promote, RecordEvidence, Register, Rollback
from lastgood.core.governing import Governing
from lastgood.core.ids import Digest, ModelName, RefName
from lastgood.core.manifest import Manifest
from lastgood.core.moments import Moment
from lastgood.core.observations import GatewayReport
from lastgood.core.ports_time import TimeTravel, Tracing
from lastgood.core.views import (
    DiffView,
    FsckReport,
    LiveView,
    LogEntry,
    ModelView,
    Outcome,
    Plan,
    Target,
    VersionView,
    WhyView,
)

__all__ = ["Registry", "RegistryFeed"]


class RegistryFeed(Protocol):
    """The part of the registry that a serving gateway needs."""

    def target(
        self, model: ModelName, ref: RefName, *, after_seq: int = -1, wait_s: float = 0.0
    ) -> Target:
        """What the ref points to. Waits up to `wait_s` seconds for a move after operation `after_seq`.

        Returns as soon as ``target.seq > after_seq``, else the unchanged target when the time is over.

        Raises:
            NotFound: there is no such model.
            ServerUnreachable: no registry answers.
        """
        ...

    def manifest(self, digest: Digest) -> Manifest:
        """The manifest with that digest, its bytes verified.

        Raises:
            NotFound: no version has it.
            IntegrityFailure: the stored bytes are not what the digest says.
        """
        ...

    def read_object(self, digest: Digest) -> Iterator[bytes]:
        """The bytes of an object in chunks, verified: the last chunk comes only if all bytes were right.

        Raises:
            NotFound: the object is not stored.
            IntegrityFailure: the stored bytes are not what the digest says.
        """
        ...

    def observe(self, report: GatewayReport) -> None:
        """Store what a gateway saw. Repeating a batch stores it once."""
        ...


class Registry(RegistryFeed, Tracing, TimeTravel, Governing, Protocol):
    """Every verb of lastgood. All errors are of `lastgood.errors`; every method may raise ServerUnreachable."""

    def models(self, *, at: Moment | None = None) -> Sequence[ModelView]:
        """All models, by name; now or as of a moment."""
        ...

    def versions(self, model: ModelName, *, at: Moment | None = None) -> Sequence[VersionView]:
        """All versions of the model, newest first, without manifests; now or as of a moment. Raises NotFound."""
        ...

    def show(self, reference: str, *, at: Moment | None = None) -> VersionView:
        """The version that the reference names, or named at a moment, as it is or was, with its manifest.

        Raises:
            InvalidReference, NotFound.
        """
        ...

    def missing_objects(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        """Those of the digests that are not stored, so that only they need to be sent."""
        ...

    def put_object(self, stream: BinaryIO, *, digest: Digest) -> None:
        """Store an object durably. Raises IntegrityFailure if its bytes do not have that digest."""
        ...

    def register(self, command: Register, *, caller: Caller) -> Outcome:
        """Make a version. The same manifest again returns the existing version, ``already=True``.

        Raises:
            InvalidName: the model's name is not allowed, or differs from another only by case.
            IntegrityFailure: a file of the manifest is not stored or not what its digest says.
        """
        ...

    def plan_promote(self, command: Promote, *, caller: Caller) -> Plan:
        """What `promote` would do for that caller, and what every gate says; changes nothing and records nothing.

        Raises:
            Held, Yanked, Unverified, NotFound: as `promote`. A gate that refuses is no error here: `allowed` is False.
        """
        ...

    def promote(self, command: Promote, *, caller: Caller) -> Outcome:
        """Point an environment at a version, as one operation.

        Raises:
            Blocked: the environment's policy does not let it in; the refusal is recorded.
            Held: a hold forbids it. Unverified: the version is external. NotFound.
            Conflict: the model changed since `expect_head`. IntegrityFailure: a file is damaged.
        """
        ...

    def plan_rollback(self, command: Rollback) -> Plan:
        """What `rollback` would do; changes nothing. Raises NothingGood."""
        ...

    def rollback(self, command: Rollback, *, caller: Caller) -> Outcome:
        """Return an environment to its last good version: ref, stage labels and hold in one operation.

        Raises:
            NothingGood: no version proved good there. Conflict, NotFound, IntegrityFailure as for `promote`.
        """
        ...

    def mark(self, command: MarkVersion, *, caller: Caller) -> Outcome:
        """Judge a version in an environment."""
        ...

    def record_evidence(self, command: RecordEvidence, *, caller: Caller) -> Outcome:
        """Record what was found out about a version, as one operation.

        Raises:
            NotFound: there is no such version. InvalidInput, TooLarge: the evidence cannot be right.
            IntegrityFailure: an object that it names is missing or damaged.
        """
        ...

    def log(
        self,
        *,
        model: ModelName | None = None,
        environment: RefName | None = None,
        limit: int = 50,
        before_seq: int | None = None,
        at: Moment | None = None,
    ) -> Sequence[LogEntry]:
        """Operations, newest first; with `at`, as the log ended then."""
        ...

    def live(
        self, model: ModelName | None = None, *, at: Moment | None = None
    ) -> Sequence[LiveView]:
        """Ordered and observed state of every ref, now or as of a moment."""
        ...

    def why(self, request_id: str) -> WhyView:
        """What led to the answer of one request. Raises NotFound."""
        ...

    def diff(self, a: str, b: str, *, at: Moment | None = None) -> DiffView:
        """What differs between two versions."""
        ...

    def fsck(self) -> FsckReport:
        """Verify the log, rebuild the projections and compare, verify every object."""
        ...

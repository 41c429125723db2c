"""The registry over HTTP: `core.ports.Registry` spoken to a `lastgood server`."""

import hashlib
import socket
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Self

import httpx

from lastgood import __version__
from lastgood.core.commands import Caller, MarkVersion, Promote, RecordEvidence, Register, Rollback
from lastgood.core.ids import Digest, ModelName, RefName, digest_of_hex
from lastgood.core.manifest import Manifest, decode_manifest
from lastgood.core.moments import Moment
from lastgood.core.observations import GatewayReport
from lastgood.core.operations import Actor, Origin
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
from lastgood.errors import IntegrityFailure
from lastgood.sdk.calls import ACT_TIMEOUT_S, decode, part, who
from lastgood.sdk.governing_calls import GoverningCalls
from lastgood.sdk.importing import RemoteImport
from lastgood.sdk.time_calls import TimeCalls
from lastgood.sdk.transport import RETRY_DELAYS_S, Transport, unreachable

__all__ = ["RemoteRegistry"]

CHUNK_SIZE = 1 << 20
FSCK_TIMEOUT_S = 6 * 3600.0
WAIT_S_MAX = 60.0
WAIT_MARGIN_S = 15.0


class RemoteRegistry(TimeCalls, GoverningCalls):
    """A registry behind a URL. Safe to use from several threads; close it, or use it as a context manager.

    Acts are repeated a few times when the connection is lost, always with the same idempotency key, so
    that each happens once.

    Args:
        url: Where it is, for example ``http://127.0.0.1:5000``.
        actor: The name that `caller` gives acts; a claim, not verified.
        retry_delays_s: Pauses before each repetition of a lost request.
        transport: Another way to carry requests.

    Raises:
        InvalidInput: the address is none.
    """

    def __init__(
        self,
        url: str,
        *,
        actor: str = "",
        retry_delays_s: Sequence[float] = RETRY_DELAYS_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._actor = actor
        self._http = Transport(url, headers={}, retry_delays_s=retry_delays_s, transport=transport)

    @property
    def url(self) -> str:
        """The address."""
        return self._http.url

    def caller(self, *, idempotency_key: str = "") -> Caller:
        """A caller with this client's actor and this machine's name, for the verbs that change something."""
        origin = Origin(host=socket.gethostname(), program=f"lastgood/{__version__}", door="http")
        return Caller(actor=Actor(name=self._actor), origin=origin, idempotency_key=idempotency_key)

    def importing(self, caller: Caller) -> RemoteImport:
        """What `lastgood import` sends, in the name of that caller."""
        return RemoteImport(self._http, headers=who(caller))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- look -------------------------------------------------------------------------------------

    def models(self, *, at: Moment | None = None) -> Sequence[ModelView]:
        return self._get("models", list[ModelView], at=at)

    def versions(self, model: ModelName, *, at: Moment | None = None) -> Sequence[VersionView]:
        return self._get(f"models/{part(model)}/versions", list[VersionView], at=at)

    def show(self, reference: str, *, at: Moment | None = None) -> VersionView:
        return self._get("show", VersionView, reference=reference, at=at)

    def log(
        self,
        *,
        model: ModelName | None = None,
        environment: RefName | None = None,
        limit: int = 50,
        before_seq: int | None = None,
        at: Moment | None = None,
    ) -> Sequence[LogEntry]:
        return self._get(
            "log",
            list[LogEntry],
            model=model,
            environment=environment,
            limit=limit,
            before_seq=before_seq,
            at=at,
        )

    def live(
        self, model: ModelName | None = None, *, at: Moment | None = None
    ) -> Sequence[LiveView]:
        return self._get("live", list[LiveView], model=model, at=at)

    def why(self, request_id: str) -> WhyView:
        return self._get(f"why/{part(request_id)}", WhyView)

    def diff(self, a: str, b: str, *, at: Moment | None = None) -> DiffView:
        return self._get("diff", DiffView, a=a, b=b, at=at)

    def fsck(self) -> FsckReport:
        return decode(self._http.call("POST", "fsck", answer_timeout_s=FSCK_TIMEOUT_S), FsckReport)

    # --- change -----------------------------------------------------------------------------------

    def register(self, command: Register, *, caller: Caller) -> Outcome:
        return self._act("register", command, caller)

    def plan_promote(self, command: Promote, *, caller: Caller) -> Plan:
        return self._ask("promote/plan", command, Plan, caller)

    def promote(self, command: Promote, *, caller: Caller) -> Outcome:
        return self._act("promote", command, caller)

    def plan_rollback(self, command: Rollback) -> Plan:
        return decode(self._http.call("POST", "rollback/plan", body=command), Plan)

    def rollback(self, command: Rollback, *, caller: Caller) -> Outcome:
        return self._act("rollback", command, caller)

    def mark(self, command: MarkVersion, *, caller: Caller) -> Outcome:
        return self._act("mark", command, caller)

    def record_evidence(self, command: RecordEvidence, *, caller: Caller) -> Outcome:
        return self._act("evidence", command, caller)

    # --- objects ----------------------------------------------------------------------------------

    def missing_objects(self, digests: Sequence[Digest]) -> Sequence[Digest]:
        body = {"digests": list(digests)}
        return decode(self._http.call("POST", "objects/missing", body=body), list[Digest])

    def put_object(self, stream: BinaryIO, *, digest: Digest) -> None:
        repeatable = stream.seekable()
        start = stream.tell() if repeatable else 0

        def chunks() -> Iterator[bytes]:
            if repeatable:
                stream.seek(start)
            while chunk := stream.read(CHUNK_SIZE):
                yield chunk

        self._http.put(
            f"objects/{digest}", chunks, repeatable=repeatable, answer_timeout_s=ACT_TIMEOUT_S
        )

    def manifest(self, digest: Digest) -> Manifest:
        body = self._http.call("GET", f"manifests/{part(digest)}")
        if digest_of_hex(hashlib.sha256(body).hexdigest()) != digest:
            raise _arrived_damaged(digest)
        return decode_manifest(body, digest=digest)

    def read_object(self, digest: Digest) -> Iterator[bytes]:
        response = self._http.stream(f"objects/{part(digest)}")
        try:
            yield from self._verified(response, digest)
        except httpx.HTTPError as error:
            # A registry that finds damage half-way can only break off; asked again, it says why.
            self._get(f"objects/{part(digest)}/check", dict[str, int])
            raise unreachable(self.url, error) from error
        finally:
            response.close()

    def _verified(self, response: httpx.Response, digest: Digest) -> Iterator[bytes]:
        # One chunk is held back: a reader who got every byte can rely on all of them being right.
        hasher, held = hashlib.sha256(), b""
        for chunk in response.iter_bytes(CHUNK_SIZE):
            hasher.update(chunk)
            if held:
                yield held
            held = chunk
        if digest_of_hex(hasher.hexdigest()) != digest:
            raise _arrived_damaged(digest)
        yield held

    # --- the feed of gateways -----------------------------------------------------------------------

    def target(
        self, model: ModelName, ref: RefName, *, after_seq: int = -1, wait_s: float = 0.0
    ) -> Target:
        wait_s = min(max(wait_s, 0.0), WAIT_S_MAX)
        body = self._http.call(
            "GET",
            f"target/{part(model)}/{part(ref)}",
            params={"after_seq": after_seq, "wait_s": wait_s},
            answer_timeout_s=wait_s + WAIT_MARGIN_S,
        )
        return decode(body, Target)

    def observe(self, report: GatewayReport) -> None:
        self._http.call("POST", "observations", body=report)


def _arrived_damaged(digest: Digest) -> IntegrityFailure:
    return IntegrityFailure(
        f"Object {digest} arrived damaged: its bytes have another digest",
        hint="try again; then run: lastgood fsck",
    )

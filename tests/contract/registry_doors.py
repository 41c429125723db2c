"""Both ways to a registry, and what the tests of the contract need to move in it."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lastgood.core.commands import Caller, Promote, Register
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.observations import GatewayReport, Receipt, SlotEvent, Traffic
from lastgood.core.operations import Actor, Origin
from lastgood.core.ports import Registry
from lastgood.core.views import Outcome

CONFIG = "[good]\nrequests_min = 10\nseconds_min = 0.5\n"
START_TIMEOUT_S = 30.0

ANA = Caller(actor=Actor(name="Ana Müller"), origin=Origin(host="laptop", program="tests/1"))


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@contextmanager
def running_server(data: Path) -> Iterator[str]:
    """The real server, as a user starts it; yields its address."""
    with running_process(data) as (url, _):
        yield url


@contextmanager
def running_process(data: Path, *options: str) -> "Iterator[tuple[str, subprocess.Popen[bytes]]]":
    """The same, with options; yields its process too, which may be killed."""
    ready = data.parent / f"{data.name}.ready"
    arguments = ["server", "--data", str(data), "--port", "0", "--ready-file", str(ready), *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LASTGOOD_")}
    process = subprocess.Popen([sys.executable, "-m", "lastgood", *arguments], env=environment)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready.exists():
            assert process.poll() is None, "the server ended before it was ready"
            assert time.monotonic() < deadline, "the server was not ready in time"
            time.sleep(0.02)
        yield json.loads(ready.read_text())["url"], process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@dataclass
class Door:
    """A registry, where it keeps its data, and shortcuts that tests use on both ways alike."""

    registry: Registry
    data: Path
    kind: str
    model: str = field(default_factory=lambda: f"churn {uuid.uuid4().hex[:8]} é")

    def register(self, text: str = "weights", *, model: str | None = None, **command) -> Outcome:
        manifest = self.stored_manifest({"model.bin": text.encode()})
        return self.registry.register(
            Register(model=self.model if model is None else model, manifest=manifest, **command),
            caller=ANA,
        )

    def stored_manifest(self, files: dict[str, bytes], **facts) -> Manifest:
        for content in files.values():
            self.registry.put_object(io.BytesIO(content), digest=digest_of(content))
        entries = tuple(
            FileEntry(path=path, digest=digest_of(content), size=len(content))
            for path, content in sorted(files.items())
        )
        return Manifest(files=entries, **facts)

    def versions(self, count: int) -> None:
        for number in range(1, count + 1):
            assert self.register(f"weights of {self.model} {number}").version == number

    def promote(
        self, number: int, *, to: str = "production", caller: Caller = ANA, **command
    ) -> Outcome:
        command = Promote(reference=f"{self.model}/{number}", to=to, reason="a reason", **command)
        return self.registry.promote(command, caller=caller)

    def serve(
        self,
        *,
        ref: str = "production",
        requests: int = 100,
        failures: int = 0,
        gateway: str | None = None,
    ) -> Receipt:
        """Report that a gateway serves what the ref points to; returns the receipt of one answer."""
        target = self.registry.target(self.model, ref)
        start, end = target.ordered_ms + 1, target.ordered_ms + 1001
        where = {
            "model": self.model,
            "ref": ref,
            "version": target.version,
            "digest": target.digest,
            "seq": target.seq,
        }
        receipt = Receipt(
            request_id=uuid.uuid4().hex,
            at_ms=start,
            **where,
            status=200,
            latency_us=1500,
            rows=1,
            output="[1]",
        )
        gateway = gateway or f"gw-{self.model}"
        self.registry.observe(
            GatewayReport(
                gateway=gateway,
                host="host-1",
                url="http://127.0.0.1:5001",
                events=tuple(
                    SlotEvent(at_ms=start, kind=kind, **where)
                    for kind in ("following", "loaded", "serving")
                ),
                traffic=(
                    Traffic(
                        from_ms=start, to_ms=end, **where, requests=requests, failures=failures
                    ),
                ),
                receipts=(receipt,),
                batch=time.time_ns(),
            )
        )
        return receipt

    def object_file(self, digest: str) -> Path:
        hex_digits = digest.removeprefix("sha256:")
        return self.data / "objects" / "sha256" / hex_digits[:2] / hex_digits[2:]

    @contextmanager
    def damaged(self, digest: str) -> Iterator[None]:
        """Flip one bit of a stored object, and put it right again."""
        path = self.object_file(digest)
        right = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
        try:
            yield
        finally:
            path.write_bytes(right)
            path.chmod(0o444)

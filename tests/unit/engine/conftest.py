"""A registry over a real data directory, with a clock that tests turn, and a gateway that reports."""

import hashlib
import io
from dataclasses import dataclass, field

import pytest

from lastgood.core.commands import Caller, Promote, Register, Rollback
from lastgood.core.ids import Digest, Instant
from lastgood.core.manifest import FileEntry, Manifest
from lastgood.core.observations import GatewayReport, Receipt, SlotEvent, Traffic
from lastgood.core.operations import Actor, Origin
from lastgood.engine.open import Engine, init_data_directory, open_engine

MODEL = "churn"


@dataclass
class World:
    engine: Engine
    time: list
    following: set = field(default_factory=set)
    batch: int = 0
    caller: Caller = field(
        default_factory=lambda: Caller(actor=Actor(name="ann"), origin=Origin(host="desk"))
    )

    @property
    def registry(self):
        return self.engine.registry

    def register(self, content: bytes = b"model", *, model=MODEL, caller=None, **manifest):
        digest = Digest("sha256:" + hashlib.sha256(content).hexdigest())
        self.registry.put_object(io.BytesIO(content), digest=digest)
        files = (FileEntry(path="model.pkl", digest=digest, size=len(content)),)
        command = Register(model=model, manifest=Manifest(files=files, **manifest))
        return self.registry.register(command, caller=caller or self.caller)

    def promote(self, number, *, to="production", **options):
        command = Promote(reference=f"{MODEL}/{number}", to=to, **options)
        return self.registry.promote(command, caller=self.caller)

    def rollback(self, **options):
        return self.registry.rollback(Rollback(model=MODEL, **options), caller=self.caller)

    def serve(
        self, *, ref="production", requests=200, failures=0, seconds=120, gateway="gateway-1"
    ):
        """A gateway loads what is ordered and answers requests for a while."""
        target = self.registry.target(MODEL, ref)
        at = Instant(self.time[0])
        event = {"at_ms": at, "model": MODEL, "ref": ref}
        events = []
        if gateway not in self.following:
            self.following.add(gateway)
            events.append(SlotEvent(kind="following", **event))
        ordered = {"version": target.version, "digest": target.digest, "seq": target.seq}
        events.append(SlotEvent(kind="serving", **event, **ordered))
        self.time[0] += seconds * 1000
        windows = ()
        if requests:
            windows = (
                Traffic(
                    from_ms=at,
                    to_ms=self.time[0],
                    model=MODEL,
                    ref=ref,
                    requests=requests,
                    failures=failures,
                    **ordered,
                ),
            )
        self.batch += 1
        receipt = Receipt(
            request_id=f"request-{self.batch}",
            at_ms=at,
            model=MODEL,
            ref=ref,
            status=200,
            latency_us=900,
            **ordered,
        )
        self.registry.observe(
            GatewayReport(
                gateway=gateway,
                host="host",
                url="http://127.0.0.1:1",
                events=tuple(events),
                traffic=windows,
                receipts=(receipt,),
                batch=self.batch,
            )
        )
        return receipt.request_id

    def object_path(self, number, path="model.pkl"):
        view = self.registry.show(f"{MODEL}/{number}")
        return self.engine.kernel.objects.path_of(view.manifest.file(path).digest)

    def damage(self, number):
        file = self.object_path(number)
        file.chmod(0o644)
        data = bytearray(file.read_bytes())
        data[0] ^= 1
        file.write_bytes(data)


@pytest.fixture
def world(tmp_path, store_url):
    time = [1_800_000_000_000]
    init_data_directory(tmp_path / "data", store_url=store_url)
    with open_engine(tmp_path / "data", clock=lambda: Instant(time[0])) as engine:
        yield World(engine, time)


@pytest.fixture
def three(world):
    """Versions 1 and 2 proved good, version 3 is live and fails."""
    for number in (1, 2, 3):
        world.register(b"model %d" % number, metrics={"auc": 0.8 + number / 100})
        world.promote(number, reason=f"release {number}")
        world.serve(failures=90 if number == 3 else 0)
    return world

"""A registry in a directory: a real, if small, implementation of RegistryFeed for other processes to steer.

objects/<hex>     bytes by digest        target.json    what the ref points to
reports.jsonl     what was observed      down           while it exists, nothing answers
"""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lastgood.core.ids import Digest, ModelName, RefName, VersionNumber, digest_of_hex, hex_of
from lastgood.core.manifest import Environment, FileEntry, Manifest, decode_manifest
from lastgood.core.observations import GatewayReport
from lastgood.core.views import Target
from lastgood.errors import IntegrityFailure, NotFound, ServerUnreachable


class DirectoryFeed:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "objects").mkdir(parents=True, exist_ok=True)

    # --- what tests do

    def add_object(self, data: bytes) -> Digest:
        digest = digest_of_hex(hashlib.sha256(data).hexdigest())
        self.object_path(digest).write_bytes(data)
        return digest

    def add_model(self, model_dir: Path, *, packages: tuple[str, ...] = ()) -> Digest:
        entries = [
            FileEntry(
                path=path.relative_to(model_dir).as_posix(),
                digest=self.add_object(path.read_bytes()),
                size=path.stat().st_size,
            )
            for path in sorted(model_dir.rglob("*"))
            if path.is_file()
        ]
        manifest = Manifest(files=tuple(entries), environment=Environment(packages=packages))
        return self.add_object(manifest.encode())

    def point(self, version: int | None, digest: Digest | None, *, seq: int) -> None:
        fresh = self.root / "target.new"
        fresh.write_text(json.dumps({"seq": seq, "version": version, "digest": digest}))
        fresh.replace(self.root / "target.json")

    def reports(self) -> list[GatewayReport]:
        path = self.root / "reports.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return [
            msgspec.json.decode(line, type=GatewayReport) for line in lines if line.endswith(b"\n")
        ]

    def events(self) -> list[tuple[str, int | None, int]]:
        return [
            (event.kind, event.version, event.seq)
            for report in self.reports()
            for event in report.events
        ]

    def object_path(self, digest: Digest) -> Path:
        return self.root / "objects" / hex_of(digest)

    # --- RegistryFeed

    def target(
        self, model: ModelName, ref: RefName, *, after_seq: int = -1, wait_s: float = 0.0
    ) -> Target:
        deadline = time.monotonic() + wait_s
        while True:
            target = self._target(model, ref)
            if target.seq > after_seq or time.monotonic() >= deadline:
                return target
            time.sleep(0.002)

    def manifest(self, digest: Digest) -> Manifest:
        self._check_up()
        return decode_manifest(b"".join(self.read_object(digest)), digest=digest)

    def read_object(self, digest: Digest) -> Iterator[bytes]:
        self._check_up()
        path = self.object_path(digest)
        if not path.exists():
            raise NotFound(f"Object {digest} is not stored")
        data = path.read_bytes()
        if digest_of_hex(hashlib.sha256(data).hexdigest()) != digest:
            raise IntegrityFailure(f"Object {digest} is damaged")
        middle = len(data) // 2
        yield data[:middle]
        yield data[middle:]

    def observe(self, report: GatewayReport) -> None:
        self._check_up()
        with (self.root / "reports.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(report) + b"\n")

    def _target(self, model: ModelName, ref: RefName) -> Target:
        self._check_up()
        path = self.root / "target.json"
        if not path.exists():
            raise NotFound(f"There is no model '{model}'")
        value = json.loads(path.read_text())
        version = VersionNumber(value["version"]) if value["version"] is not None else None
        digest = Digest(value["digest"]) if value["digest"] is not None else None
        return Target(model=model, ref=ref, seq=value["seq"], version=version, digest=digest)

    def _check_up(self) -> None:
        if (self.root / "down").exists():
            raise ServerUnreachable("No registry answers")

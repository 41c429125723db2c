"""The parts of a version, each with a digest of its own: what changes when one version takes another's place."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from lastgood.core.canonical import canonical
from lastgood.core.manifest import Manifest

__all__ = ["PartMove", "part_digests", "part_moves"]

Part = Literal["model", "code", "data", "environment", "parameters", "serving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartMove:
    """One part: from which digest to which; both empty if nobody recorded it."""

    part: Part
    before: str
    after: str
    because: str
    """What changes in words, or why it stays."""


def part_digests(manifest: Manifest) -> dict[Part, str]:
    """The digest of each part; of code the commit and, if there is one, its patch. Empty: not recorded."""
    code = manifest.code
    patch = f" + patch {code.patch[:19]}" if code.patch else " + changes not kept" * code.dirty
    environment = manifest.environment
    recorded = environment.python or environment.packages or environment.installed
    return {
        "model": _digest(manifest.files),
        "code": f"{code.commit[:12]}{patch}" if code.commit else "",
        "data": _digest(manifest.data) if manifest.data else "",
        "environment": _digest(environment) if recorded else "",
        "parameters": _digest(manifest.params) if manifest.params else "",
    }


def part_moves(before: Manifest | None, after: Manifest | None) -> tuple[PartMove, ...]:
    """What changes when `after` takes the place of `before`; None: nothing, or not known here."""
    old = part_digests(before) if before else {}
    new = part_digests(after) if after else {}
    found = [
        PartMove(
            part=part,
            before=old.get(part, ""),
            after=new.get(part, ""),
            because=_because(old.get(part, ""), new.get(part, "")),
        )
        for part in (new or old)
    ]
    serving = "stays: it belongs to the gateway, not to a version"
    return (*found, PartMove(part="serving", before="", after="", because=serving))


def _because(before: str, after: str) -> str:
    if before == after:
        return "stays: it is the same in both" if after else "not recorded in either"
    if not after:
        return "not recorded in the version that comes: nobody can restore it"
    return "changes" if before else "comes: it is not recorded in the version that goes"


def _digest(value: Any) -> str:
    return "sha256:" + hashlib.sha256(canonical(msgspec.to_builtins(value))).hexdigest()

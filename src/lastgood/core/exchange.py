"""What moves between another registry and this one: whole records, and digests to compare them by.

A digest is over a record's canonical form, so that both sides compute the same one from what they read:
two records with the same digest say the same.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lastgood.core.canonical import portable_number
from lastgood.core.ids import Digest, ModelName, VersionNumber, digest_of_hex
from lastgood.core.manifest import FileEntry
from lastgood.core.stages import Stage
from lastgood.core.tracking import Experiment, LoggedModel, Run, RunFacts

__all__ = [
    "NOTHING",
    "Asked",
    "Found",
    "HistoryDigest",
    "ImportedFile",
    "ImportedModel",
    "ImportedVersion",
    "Point",
    "RunRecord",
    "Series",
    "digest_of",
    "digest_of_files",
    "portable",
]

Point = tuple[int, int, float]
"""Time in milliseconds, step, value."""

NOTHING = Digest("")
"""The digest of what is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run with all that was logged to it but the history of its metrics."""

    run: Run
    facts: RunFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Some points of one metric of one run."""

    run_id: str
    key: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """An artifact whose object is stored already: its path under the artifact root."""

    path: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedModel:
    """A registered model without its versions."""

    name: ModelName
    description: str
    created_ms: int
    changed_ms: int
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    numbers_used: int = 0
    """The highest version number ever given, also to a version that was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedVersion:
    """A version with the number and the times it had."""

    model: ModelName
    version: VersionNumber
    created_ms: int
    changed_ms: int
    description: str = ""
    user: str = ""
    stage: Stage = Stage.NONE
    source: str = ""
    run_id: str = ""
    run_link: str = ""
    logged_model_id: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    folder: str = ""
    """Where its files are under the artifact root, among those of a run or logged model."""
    files: tuple[FileEntry, ...] = ()
    """Its files, if they are in no such folder; their objects are stored already. Neither: it is external."""
    address: str = ""
    """Of an external version: where a client finds the bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of what the digests are wanted."""

    experiments: Sequence[int] = ()
    runs: Sequence[str] = ()
    histories: Sequence[str] = ()
    """Run ids."""
    logged_models: Sequence[str] = ()
    models: Sequence[ModelName] = ()
    versions: Sequence[tuple[ModelName, VersionNumber]] = ()
    folders: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The digests of what was asked for, in the same order; `NOTHING` for what is not there."""

    experiments: Sequence[Digest] = ()
    runs: Sequence[Digest] = ()
    histories: Sequence[Digest] = ()
    logged_models: Sequence[Digest] = ()
    models: Sequence[Digest] = ()
    versions: Sequence[Digest] = ()
    folders: Sequence[Digest] = ()


Record = Experiment | RunRecord | LoggedModel | ImportedModel | ImportedVersion


def digest_of(record: Record) -> Digest:
    """The digest of a record; the order of what has none (metrics, links, datasets) does not matter."""
    return _digest(_unordered(portable(msgspec.to_builtins(record))))


def digest_of_files(files: Iterable[tuple[str, str, int]]) -> Digest:
    """The digest of files, each a path, a digest and a size, in any order; `NOTHING` for none."""
    listed = sorted(files)
    return _digest(listed) if listed else NOTHING


class HistoryDigest:
    """The digest of the history of a run's metrics, without holding it in memory.

    The points of a metric come in order of time, step and value, a NaN where a zero would be, behind
    zeros; the metrics in any order.
    """

    def __init__(self) -> None:
        self._metrics: dict[str, Any] = {}
        self.points = 0

    def add(self, key: str, points: Iterable[Point]) -> None:
        """More points of a metric, behind those that were added before."""
        hasher = self._metrics.setdefault(key, hashlib.sha256())
        for at_ms, step, value in points:
            # Zero has no sign in a database; a NaN is a NaN.
            hasher.update(msgspec.json.encode((at_ms, step, portable_number(value + 0.0))))
            self.points += 1

    def digest(self) -> Digest:
        """The digest of all that was added; `NOTHING` for a run without metrics."""
        metrics = sorted((key, hasher.hexdigest()) for key, hasher in self._metrics.items())
        return _digest(metrics) if metrics else NOTHING


def portable(value: Any) -> Any:
    """The value, made of JSON's types, with NaN and infinities as the strings that MLflow uses for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else portable_number(value)
    if isinstance(value, dict):
        return {key: portable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item) for item in value]
    return value


def _unordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _unordered(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((_unordered(item) for item in value), key=_encoded)
    # A metric's value is a float on one side and, when it is whole, maybe not on the other.
    return value + 0.0 if isinstance(value, float) else value


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def _digest(value: Any) -> Digest:
    return digest_of_hex(hashlib.sha256(_encoded(value)).hexdigest())

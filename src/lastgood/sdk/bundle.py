"""From a directory to a version: hash, describe, send what is missing, register."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from lastgood.core.canonical import portable_number
from lastgood.core.commands import Caller, Register
from lastgood.core.evidence import Evidence
from lastgood.core.ids import Digest, digest_of_hex, parse_model_name
from lastgood.core.manifest import FileEntry, Manifest, Source
from lastgood.core.mlmodel import FACT_FILE_SIZE_MAX, FACT_FILES, read_model_facts
from lastgood.core.ports import Registry
from lastgood.core.views import Outcome
from lastgood.errors import IntegrityFailure
from lastgood.sdk.capture import Surroundings, capture
from lastgood.sdk.load_test import LoadTest, Tested, left_out
from lastgood.sdk.scan import (
    HashedFile,
    Progress,
    changed,
    find_files,
    hash_file,
    open_unchanged,
)

__all__ = ["Bundle", "Described", "read_bundle", "register_bundle", "register_path", "send_missing"]

DIGESTS_PER_QUESTION = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a person adds to a version."""

    description: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    around: Surroundings = field(default_factory=Surroundings)
    evidence: tuple[Evidence, ...] = ()
    load_test: bool = True
    """Whether an MLflow model with an input example has to load and answer it first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A model directory, every byte of it read once."""

    root: Path
    files: tuple[HashedFile, ...]
    manifest: Manifest
    others: tuple[HashedFile, ...] = ()
    """Data and side files that are kept with the version."""
    blobs: Mapping[Digest, bytes] = field(default_factory=dict)
    """The patch of the code."""


def register_path(
    registry: Registry,
    path: Path,
    *,
    model: str,
    caller: Caller,
    described: Described | None = None,
    progress: Progress = lambda _count: None,
    test: LoadTest | None = None,
) -> Outcome:
    """Make a version of the files at `path`; only bytes that the registry lacks are sent.

    Args:
        registry: Where to.
        path: A directory or a single file.
        model: The model's name.
        caller: Who registers.
        described: What to say about the version.
        progress: Told how many more bytes were hashed.
        test: A load test of `path` that was made ahead.

    Raises:
        NotFound, InvalidInput, TooLarge: the files cannot be a model; the message names which and why.
        Refused: the model does not load, or does not answer its input example.
        Conflict: a file changed while it was read. And whatever `Registry.register` raises.
    """
    parse_model_name(model)
    described = described or Described()
    with ExitStack() as stack:
        # Its process imports while the files are hashed.
        if described.load_test and test is None:
            test = stack.enter_context(LoadTest(path))
        bundle = read_bundle(path, described=described, progress=progress)
        if bundle.manifest.flavors:
            tested = test.run(bundle.manifest) if test else left_out()
            bundle, described = _with_finding(bundle, described, tested)
    return register_bundle(registry, bundle, model=model, caller=caller, described=described)


def _with_finding(bundle: Bundle, described: Described, tested: Tested) -> tuple[Bundle, Described]:
    evidence = tested.evidence
    if tested.golden:
        digest = digest_of_hex(hashlib.sha256(tested.golden).hexdigest())
        bundle = replace(bundle, blobs={**bundle.blobs, digest: tested.golden})
        evidence = replace(evidence, object=digest)
    return bundle, replace(described, evidence=(*described.evidence, evidence))


def read_bundle(
    path: Path, *, described: Described | None = None, progress: Progress = lambda _count: None
) -> Bundle:
    """Find, check and hash the files at `path`, and describe them in a manifest. Raises as `register_path`.

    The manifest does not say where the files lay: the same model from another directory is the same version.
    """
    described = described or Described()
    files = tuple(hash_file(found, progress=progress) for found in find_files(path))
    facts = read_model_facts(_contents(files), paths=[file.path for file in files])
    around = capture(path, described.around, declared=facts.environment)
    manifest = Manifest(
        files=tuple(FileEntry(path=f.path, digest=f.digest, size=f.size) for f in files),
        code=around.code,
        data=around.data,
        params=dict(described.params),
        metrics={name: portable_number(value) for name, value in described.metrics.items()},
        environment=around.environment,
        signature=facts.signature,
        flavors=facts.flavors,
        input_example=facts.input_example,
        side=around.side,
        source=Source(run_id=facts.run_id, logged_model_id=facts.logged_model_id),
    )
    return Bundle(
        root=path, files=files, manifest=manifest, others=around.files, blobs=around.blobs
    )


def register_bundle(
    registry: Registry,
    bundle: Bundle,
    *,
    model: str,
    caller: Caller,
    described: Described | None = None,
) -> Outcome:
    """Send what is missing and register. Raises as `register_path`."""
    described = described or Described()
    send_missing(registry, (*bundle.files, *bundle.others), blobs=bundle.blobs)
    command = Register(
        model=parse_model_name(model),
        manifest=bundle.manifest,
        description=described.description,
        tags=dict(described.tags),
        reason=described.reason,
        evidence=described.evidence,
    )
    return registry.register(command, caller=caller)


def send_missing(
    registry: Registry, files: Sequence[HashedFile], *, blobs: Mapping[Digest, bytes] | None = None
) -> int:
    """Send the files and blobs that the registry lacks; returns how many. Raises Conflict, StoreFull, ServerUnreachable."""
    by_digest = {file.digest: file for file in files}
    blobs = blobs or {}
    wanted = [*by_digest, *blobs]
    sent = 0
    for start in range(0, len(wanted), DIGESTS_PER_QUESTION):
        for digest in registry.missing_objects(wanted[start : start + DIGESTS_PER_QUESTION]):
            if digest in by_digest:
                _send(registry, by_digest[digest])
            else:
                registry.put_object(BytesIO(blobs[digest]), digest=digest)
            sent += 1
    return sent


def _send(registry: Registry, file: HashedFile) -> None:
    with open_unchanged(file) as stream:
        try:
            registry.put_object(stream, digest=file.digest)
        except IntegrityFailure as error:
            raise changed(file.path) from error


def _contents(files: tuple[HashedFile, ...]) -> dict[str, bytes]:
    """The bytes of the few files that describe the model."""
    found = {}
    for file in files:
        if file.path in FACT_FILES:
            with open_unchanged(file) as stream:
                found[file.path] = stream.read(FACT_FILE_SIZE_MAX + 1)
    return found

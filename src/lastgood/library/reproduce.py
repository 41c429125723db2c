"""Making a version again from what its manifest records, and telling whether it is the same."""

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from lastgood.core.commands import Caller, RecordEvidence
from lastgood.core.comparison import Comparison, Remade, compare, lasting_lines
from lastgood.core.evidence import LOAD_TEST, REPRODUCED, Evidence
from lastgood.core.golden import decode_golden
from lastgood.core.ids import Digest, digest_of_hex
from lastgood.core.manifest import Manifest
from lastgood.core.mlmodel import FACT_FILE_SIZE_MAX, MLMODEL
from lastgood.core.ports import Registry
from lastgood.core.views import VersionView
from lastgood.engine.open import init_data_directory, open_engine
from lastgood.errors import Refused, Unverified
from lastgood.sdk.checkout import CODE, write_bundle, write_model
from lastgood.sdk.environments import Interpreter, recorded_interpreter, this_interpreter
from lastgood.sdk.installed import SETTING_VARIABLES, platform_name
from lastgood.sdk.load_test import PYFUNC
from lastgood.sdk.running import run_apart
from lastgood.sdk.scan import find_files, hash_file
from lastgood.trial import Trial, TrialOrder, mlflow_is_here

__all__ = ["Certificate", "reproduce"]

RUN_TIMEOUT_S = 3600.0
TOLERANCE = 1e-9
OUTPUT_SHOWN_MAX = 1500
DIRECTORIES_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was found; stored as an object and named by the evidence `reproduced`."""

    schema: int = 1
    model: str
    version: int
    digest: str
    result: str
    equal: str
    """``bitwise``, ``metrics``, ``predictions`` or ``nothing``."""
    tolerance: float
    command: tuple[str, ...]
    interpreter: str
    platform: str
    seconds: float
    made: dict[str, Digest]
    """The files that were made, by path."""


@dataclass(frozen=True, slots=True)
class _Made:
    """The model that the script made, and what it registered if it did."""

    files: dict[str, Path]
    metrics: dict[str, float | str]


def reproduce(
    registry: Registry,
    reference: str,
    *,
    caller: Caller,
    here: bool = False,
    repository: Path | None = None,
    tolerance: float = TOLERANCE,
    timeout_s: float = RUN_TIMEOUT_S,
) -> Certificate:
    """Run the recorded code on the recorded data in the recorded environment, compare, record the result.

    This runs code of the version on this machine, as you.

    Args:
        registry: Where the version is; the result is stored there.
        reference: The version.
        caller: Who does it.
        here: Use this interpreter instead of the recorded environment.
        repository: A clone that has the commit; by default the one around the current directory.
        tolerance: How much metrics and predictions may differ.
        timeout_s: How long the script may take.

    Raises:
        Refused: something that is needed was not recorded or is not here; nothing was run or recorded.
        Unverified: the version is external. NotFound, InvalidReference: no such version.
    """
    view = registry.show(reference)
    manifest = view.manifest
    if manifest is None:
        raise Unverified(f"{reference} is external: it does not say how it was made")
    if not manifest.code.commit or not manifest.code.entry_point:
        raise Refused(
            f"{reference} does not say which script of which commit made it",
            hint="register with --entry-point, or lastgood.register in the script itself",
        )
    with tempfile.TemporaryDirectory(prefix="lastgood-") as folder:
        place = Path(folder).resolve()
        found = write_bundle(registry, manifest, place, repository=repository)
        if lacks := [line for line in found.missing if "did not track" not in line]:
            raise Refused(
                f"{reference} cannot be made again: {'; '.join(lacks)}",
                hint="" if found.code else "--repository DIR names a clone that has the commit",
            )
        interpreter = this_interpreter() if here else recorded_interpreter(manifest.environment)
        started = time.monotonic()
        comparison, made = _attempt(
            registry,
            view,
            manifest,
            place=place,
            interpreter=interpreter,
            tolerance=tolerance,
            timeout_s=timeout_s,
        )
        certificate = Certificate(
            model=view.model,
            version=view.version,
            digest=view.digest or "",
            result=comparison.words,
            equal=comparison.equal,
            tolerance=tolerance,
            command=(manifest.code.entry_point, *manifest.code.arguments),
            interpreter=interpreter.name,
            platform=platform_name(),
            seconds=round(time.monotonic() - started, 3),
            made=made,
        )
    _record(registry, certificate, caller)
    return certificate


def _attempt(
    registry: Registry,
    view: VersionView,
    manifest: Manifest,
    *,
    place: Path,
    interpreter: Interpreter,
    tolerance: float,
    timeout_s: float,
) -> tuple[Comparison, dict[str, Digest]]:
    init_data_directory(place / "registry")
    before_ns = time.time_ns()
    if failure := _run(manifest, place, interpreter, timeout_s):
        return Comparison(equal="nothing", words=f"different: {failure}"), {}
    made = _registered(place, view.model) or _written(manifest, place, before_ns)
    if made is None:
        words = "different: first difference is that the script left no model with these files"
        return Comparison(equal="nothing", words=words), {}
    digests = {path: _digest(path, file) for path, file in made.files.items()}
    recorded = Remade(
        files=_recorded_digests(registry, manifest),
        metrics=manifest.metrics,
        answers=_golden(registry, view),
    )
    remade = Remade(files=digests, metrics=made.metrics)
    comparison = compare(recorded, remade, tolerance=tolerance)
    if comparison.equal != "bitwise" and recorded.answers is not None:
        answers = _answers(manifest, made, place)
        remade = Remade(files=digests, metrics=made.metrics, answers=answers)
        comparison = compare(recorded, remade, tolerance=tolerance)
    return comparison, digests


def _run(manifest: Manifest, place: Path, interpreter: Interpreter, timeout_s: float) -> str:
    """Run the script; what went wrong in words, empty if nothing did."""
    top = place / CODE
    folder = (top / manifest.code.directory).resolve()
    script = (top / manifest.code.entry_point).resolve()
    if not folder.is_dir() or not script.is_file() or not script.is_relative_to(top):
        return f"the commit has no script {manifest.code.entry_point}"
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("LASTGOOD_", "MLFLOW_"))
    }
    paths = [*interpreter.paths, *filter(None, [environment.get("PYTHONPATH", "")])]
    environment |= {
        k: v for k, v in manifest.environment.settings.items() if k in SETTING_VARIABLES
    }
    environment |= {
        "LASTGOOD_HOME": str(place / "registry"),
        # What the script logs must not reach anybody's server.
        "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db",
    }
    if paths:
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    try:
        ended = run_apart(
            [interpreter.python, str(script), *manifest.code.arguments],
            timeout_s=timeout_s,
            folder=folder,
            environment=environment,
        )
    except OSError as error:
        return f"the script cannot be started: {error.strerror}"
    if ended.code is None:
        return f"the script took longer than {timeout_s:g} s"
    if ended.code == 0:
        return ""
    said = ended.said[-OUTPUT_SHOWN_MAX:]
    return f"the script ended with exit code {ended.code}: {said}"


def _registered(place: Path, model: str) -> _Made | None:
    """What the script registered: under the same name if it did, else anything."""
    with open_engine(place / "registry") as engine:
        models = sorted(engine.registry.models(), key=lambda view: view.model != model)
        for found in models:
            if found.latest is None:
                continue
            manifest = engine.registry.show(f"{found.model}/{found.latest}").manifest
            if manifest is not None:
                write_model(engine.registry, manifest, place / "remade")
                files = {e.path: place / "remade" / "model" / e.path for e in manifest.files}
                return _Made(files, dict(manifest.metrics))
    return None


def _written(manifest: Manifest, place: Path, before_ns: int) -> _Made | None:
    """The directory that the script wrote: it has all files of the model, and one of them is new."""
    wanted = [entry.path for entry in manifest.files]
    for count, (folder, _, _) in enumerate(os.walk(place / CODE)):
        files = {path: Path(folder, path) for path in wanted}
        if all(file.is_file() for file in files.values()) and any(
            file.stat().st_mtime_ns >= before_ns for file in files.values()
        ):
            return _Made(files, {})
        if count > DIRECTORIES_MAX:
            break
    return None


def _digest(path: str, file: Path) -> Digest:
    if path == MLMODEL and file.stat().st_size <= FACT_FILE_SIZE_MAX:
        return digest_of_hex(hashlib.sha256(lasting_lines(file.read_bytes())).hexdigest())
    (found,) = find_files(file)
    return hash_file(found).digest


def _recorded_digests(registry: Registry, manifest: Manifest) -> dict[str, Digest]:
    digests = {entry.path: entry.digest for entry in manifest.files}
    if (entry := manifest.file(MLMODEL)) is not None and entry.size <= FACT_FILE_SIZE_MAX:
        text = lasting_lines(b"".join(registry.read_object(entry.digest)))
        digests[MLMODEL] = digest_of_hex(hashlib.sha256(text).hexdigest())
    return digests


def _golden(registry: Registry, view: VersionView) -> Any:
    for one in view.evidence:
        if one.name == LOAD_TEST and one.outcome == "pass" and one.object is not None:
            return decode_golden(b"".join(registry.read_object(one.object))).answers
    return None


def _answers(manifest: Manifest, made: _Made, place: Path) -> Any:
    """What the model that was made answers to the recorded input example; None if it cannot be asked."""
    root = _common_root(made.files)
    if root is None or PYFUNC not in manifest.flavors or not mlflow_is_here():
        return None
    example = place / "model" / manifest.input_example
    target = root / manifest.input_example
    with suppress(Refused, OSError), Trial() as trial:
        target.write_bytes(example.read_bytes())
        return trial.run(TrialOrder(path=root, times=1)).answers
    return None


def _common_root(files: dict[str, Path]) -> Path | None:
    file = files.get(MLMODEL)
    return file.parent if file is not None else None


def _record(registry: Registry, certificate: Certificate, caller: Caller) -> None:
    body = msgspec.json.encode(certificate)
    digest = digest_of_hex(hashlib.sha256(body).hexdigest())
    registry.put_object(BytesIO(body), digest=digest)
    evidence = Evidence(
        name=REPRODUCED,
        outcome="fail" if certificate.equal == "nothing" else "pass",
        summary=_bounded(certificate.result),
        figures={"seconds": certificate.seconds, "equal": certificate.equal},
        object=digest,
    )
    reference = f"{certificate.model}/{certificate.version}"
    registry.record_evidence(
        RecordEvidence(reference=reference, evidence=(evidence,)), caller=caller
    )


def _bounded(text: str) -> str:
    return text[:OUTPUT_SHOWN_MAX]

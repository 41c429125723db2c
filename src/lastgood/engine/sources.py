"""What the source of a new version means: files in this store, another version, or a place elsewhere.

The registry never opens a place elsewhere: such a version is recorded as external, without a digest.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from lastgood.core.ids import Instant, printable
from lastgood.core.manifest import FileEntry
from lastgood.core.tracking import LoggedModel
from lastgood.engine.artifacts import Artifacts, folder_of_uri, parse_artifact_path
from lastgood.engine.resolve import Found, find
from lastgood.engine.tracking import Tracking
from lastgood.errors import InvalidInput, NotFound, TooLarge
from lastgood.store.database import Connection

__all__ = ["Resolved", "SourceClaim", "external_source", "is_elsewhere", "resolve_source"]

SOURCE_LENGTH_MAX = 2048
DECODINGS_MAX = 8  # no honest address is percent-encoded more often
PROXY_PATH = "/api/2.0/mlflow-artifacts/artifacts/"
_LOGGED_MODEL = re.compile(r"models:/+(?P<id>[^/@]+)/*\Z")
_RUN = re.compile(r"runs:/+(?P<run>[^/]+)(?:/(?P<path>.*))?\Z", re.DOTALL)
_BETWEEN_STEPS = re.compile(r"[/\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceClaim:
    """What the client says of the source."""

    source: str
    run_id: str = ""
    logged_model_id: str = ""
    own_host: str = ""
    """``host:port`` under which the client reached this server; empty if it did not come over HTTP."""
    placeholder: bool = False
    """The version has no files (MLflow's prompts): the source is not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What the source means: `files`, or a `version`; neither, if it is external."""

    files: tuple[FileEntry, ...] = ()
    version: Found | None = None
    """The version that is registered again under another name or number."""
    run_id: str = ""
    logged_model_id: str = ""
    artifact_uri: str = ""
    """For an external version: where a client finds the bytes."""


def is_elsewhere(claim: SourceClaim) -> bool:
    """Whether the source means no files of this store, so that nothing has to be read to register it."""
    try:
        scheme = urlsplit(claim.source).scheme.lower()
        # One letter is a drive of Windows.
        reads = scheme in {"models", "runs", "", "file"} or len(scheme) == 1
        return claim.placeholder or not (reads or _own_folder(claim) is not None)
    except (ValueError, InvalidInput):  # no address; `resolve_source` says what is wrong with it
        return False


def external_source(claim: SourceClaim) -> Resolved:
    """The source as a place elsewhere.

    Raises:
        InvalidInput: the address is unsafe. TooLarge: it has more than 2,048 characters.
    """
    if len(claim.source) > SOURCE_LENGTH_MAX:
        raise TooLarge(
            f"A model version source exceeds the maximum length of {SOURCE_LENGTH_MAX} characters"
        )
    if not claim.placeholder:
        _check_address(claim.source)
    return Resolved(
        run_id=claim.run_id, logged_model_id=claim.logged_model_id, artifact_uri=claim.source
    )


def resolve_source(
    connection: Connection, artifacts: Artifacts, claim: SourceClaim, *, now: Instant
) -> Resolved:
    """Find out what the source means; reads the database only.

    Raises:
        InvalidInput: the address is unsafe, local, or belongs to another run or model than claimed.
        NotFound: the run, model, version or files do not exist. TooLarge: as `external_source`.
    """
    external = external_source(claim)
    if claim.placeholder:
        return external
    scheme = urlsplit(claim.source).scheme.lower()
    if scheme == "models":
        return _from_registry(connection, artifacts, claim, now=now)
    if scheme == "runs":
        return _from_run(connection, artifacts, claim)
    folder = _own_folder(claim)
    if folder is not None:
        return _from_folder(connection, artifacts, claim, folder)
    if scheme in {"", "file"} or len(scheme) == 1:  # one letter is a drive of Windows
        _check_local(connection, claim)
    if claim.logged_model_id:
        Tracking.logged_model(connection, claim.logged_model_id)
    return external


def _from_registry(
    connection: Connection, artifacts: Artifacts, claim: SourceClaim, *, now: Instant
) -> Resolved:
    if match := _LOGGED_MODEL.match(claim.source):
        model_id = match["id"]
        if claim.logged_model_id not in {"", model_id}:
            raise _outside(claim, "model_id")
        model = Tracking.logged_model(connection, model_id)
        return _of_logged_model(connection, artifacts, claim, model)
    found = find(connection, claim.source, now=now)
    row = found.version
    if claim.run_id not in {"", row.run_id} or claim.logged_model_id not in {
        "",
        row.logged_model_id,
    }:
        raise InvalidInput(
            f"Invalid model version source: '{printable(claim.source)}'. "
            "The run_id and model_id request parameters must match the referenced model version."
        )
    return Resolved(
        version=found,
        run_id=row.run_id,
        logged_model_id=row.logged_model_id,
        artifact_uri=row.artifact_uri,
    )


def _of_logged_model(
    connection: Connection, artifacts: Artifacts, claim: SourceClaim, model: LoggedModel
) -> Resolved:
    return Resolved(
        files=_freeze(connection, artifacts, model.artifact_uri),
        run_id=claim.run_id or model.source_run_id,
        logged_model_id=model.model_id,
        artifact_uri=model.artifact_uri,
    )


def _from_run(connection: Connection, artifacts: Artifacts, claim: SourceClaim) -> Resolved:
    match = _RUN.match(claim.source)
    if match is None or claim.run_id not in {"", match["run"]}:
        raise _outside(claim, "run_id")
    run, facts = Tracking.run_facts(connection, match["run"])
    path = parse_artifact_path(match["path"] or "")
    address = f"{run.artifact_uri}/{path}" if path else run.artifact_uri
    try:
        files = _freeze(connection, artifacts, address)
    except NotFound:
        # MLflow 3 keeps a run's models beside the run; the path is then the model's name.
        for link in reversed(facts.model_outputs):
            model = Tracking.logged_model(connection, link.model_id)
            if model.name == path:
                return _of_logged_model(connection, artifacts, claim, model)
        raise
    return Resolved(
        files=files,
        run_id=run.run_id,
        logged_model_id=claim.logged_model_id,
        artifact_uri=address,
    )


def _from_folder(
    connection: Connection, artifacts: Artifacts, claim: SourceClaim, folder: str
) -> Resolved:
    frozen = folder.startswith("sha256/")  # a registered version, safe to register again
    run_id = claim.run_id
    if claim.logged_model_id:
        model = _claimed_model(connection, claim)
        run_id = run_id or model.source_run_id
        if not frozen and not _is_inside(folder, model.artifact_uri):
            raise _outside(claim, "model_id")
    elif run_id and not frozen and not _is_inside(folder, _claimed_run_uri(connection, claim)):
        raise _outside(claim, "run_id")
    files = artifacts.freeze(connection, folder) if folder else ()
    if not files:
        raise _outside(claim, "run_id")
    return Resolved(files=files, run_id=run_id, logged_model_id=claim.logged_model_id)


def _claimed_run_uri(connection: Connection, claim: SourceClaim) -> str:
    try:
        return Tracking.run_facts(connection, claim.run_id)[0].artifact_uri
    except NotFound:
        raise _outside(claim, "run_id") from None


def _claimed_model(connection: Connection, claim: SourceClaim) -> LoggedModel:
    try:
        return Tracking.logged_model(connection, claim.logged_model_id)
    except NotFound:
        raise _outside(claim, "model_id") from None


def _freeze(connection: Connection, artifacts: Artifacts, uri: str) -> tuple[FileEntry, ...]:
    # A user may have put an experiment's artifacts elsewhere; then the version is external.
    return artifacts.freeze(connection, uri) if folder_of_uri(uri) is not None else ()


def _own_folder(claim: SourceClaim) -> str | None:
    """The path under this store's artifact root that the address names, or None if it lies elsewhere."""
    parts = urlsplit(claim.source)
    elsewhere = parts.netloc.lower() not in {"", claim.own_host.lower()}
    if parts.scheme == "mlflow-artifacts":
        return None if elsewhere else folder_of_uri(claim.source)
    prefix, proxied, path = parts.path.partition(PROXY_PATH)
    if parts.scheme in {"http", "https"} and proxied and not prefix and not elsewhere:
        return parse_artifact_path(path)
    return None


def _is_inside(folder: str, root_uri: str) -> bool:
    root = folder_of_uri(root_uri)
    return bool(root) and (folder == root or folder.startswith(f"{root}/"))


def _check_address(source: str) -> None:
    """MLflow's rule: an address that is absolute after all its decoding, without steps upwards."""
    text = source
    for _ in range(DECODINGS_MAX):
        decoded = unquote(text, errors="surrogateescape")
        if decoded == text:
            break
        text = decoded
    else:
        raise _relative(source)
    try:
        path = urlsplit(text).path
    except ValueError:
        raise _relative(source) from None
    steps = _BETWEEN_STEPS.split(text)
    if ".." in steps or "." in path.split("/") or _CONTROL.search(text):
        raise _relative(source)


def _check_local(connection: Connection, claim: SourceClaim) -> None:
    """A local path is accepted only inside the run's own local artifact directory."""
    if claim.run_id or claim.logged_model_id:
        try:
            root = (
                Tracking.logged_model(connection, claim.logged_model_id).artifact_uri
                if claim.logged_model_id
                else Tracking.run_facts(connection, claim.run_id)[0].artifact_uri
            )
        except NotFound:
            root = ""
        base, path = _local_path(root), _local_path(claim.source)
        if base and path and path.is_relative_to(base):
            return
    raise InvalidInput(
        f"Invalid model version source: '{printable(claim.source)}'. To use a local path as a model version "
        "source, the run_id request parameter has to be specified and the local path has to be "
        "contained within the artifact directory of the run specified by the run_id."
    )


def _local_path(uri: str) -> PurePosixPath | None:
    parts = urlsplit(uri)
    if parts.scheme not in {"", "file"} or parts.netloc not in {"", "localhost"}:
        return None
    path = PurePosixPath(unquote(parts.path))
    return path if path.is_absolute() and len(path.parts) > 1 else None


def _outside(claim: SourceClaim, parameter: str) -> InvalidInput:
    return InvalidInput(
        f"Invalid model version source: '{printable(claim.source)}'. The {parameter} request parameter must "
        "identify the resource that contains the source."
    )


def _relative(source: str) -> InvalidInput:
    return InvalidInput(
        f"Invalid model version source: '{printable(source)}'. If supplying a source as an http, https, "
        "local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be "
        "provided without relative path references present. Please provide an absolute path."
    )

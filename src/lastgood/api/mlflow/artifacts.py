"""The artifact proxy: uploads and downloads stream, listings are JSON.

Paths come from the client; `parse_artifact_path` decides what they may be.
"""

import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lastgood.api.mlflow.arrivals import done
from lastgood.api.mlflow.receiving import receive
from lastgood.api.mlflow.shapes import OfRun
from lastgood.api.mlflow.wire import Handler, MlflowRequest, decode, empty_reply, reply
from lastgood.api.sending import Download
from lastgood.engine.artifacts import (
    Artifacts,
    ArtifactWriter,
    Listed,
    StoredFile,
    folder_of_uri,
    parse_artifact_path,
)
from lastgood.errors import InvalidInput

__all__ = ["ARTIFACT_ROUTES", "ROUTES", "folder_of_run"]

WHOLE_SIZE_MAX = 1 << 20  # a file up to this is verified before its first byte is sent
UPLOAD_SIZE_MAX = 1 << 40  # bytes
PREFIX = "/api/2.0/mlflow-artifacts"

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z")


class _File(msgspec.Struct):
    path: str
    is_dir: bool
    file_size: int | msgspec.UnsetType = msgspec.UNSET


class _Files(msgspec.Struct, omit_defaults=True):
    root_uri: str = ""
    files: list[_File] = []


class _OfRun(OfRun, kw_only=True):
    path: str = ""


@dataclass(frozen=True, slots=True)
class _Span:
    """The bytes to send: from `start` up to, not including, `end`."""

    start: int
    end: int
    whole: bool


async def upload(request: MlflowRequest) -> Response:
    """Store a file; it replaces what was there once all of it has arrived and is durable."""
    artifacts = request.services.artifacts
    path = parse_artifact_path(request.path_params["path"])
    if request.path_params["path"].endswith("/"):
        raise InvalidInput("Invalid path: a file's name is missing after the last slash")
    try:
        named = await receive(
            request,
            begin=lambda: artifacts.open_writer(path),
            finish=ArtifactWriter.commit,
            size_max=UPLOAD_SIZE_MAX,
        )
        await done(named)
    except ClientDisconnect:  # nobody is left to read an answer, and nothing was stored
        return Response(status_code=400)
    return Response(status_code=200)


async def download(request: MlflowRequest) -> Response:
    """Send a file, or the part of it that a Range header asks for."""
    path = parse_artifact_path(request.path_params["path"])
    artifacts = request.services.artifacts
    # To hand a small file to a thread and back takes longer than all the rest.
    if (
        request.method == "GET"
        and not request.header(b"range")
        and (found := artifacts.at_hand(path))
    ):
        file, data = found
        return Response(data, headers=_headers(file, _Span(0, file.size, whole=True)))
    return await run_in_threadpool(_send, request, artifacts, path)


async def download_of_run(request: MlflowRequest) -> Response:
    """Send a file of a run, as the user interface asks for it."""
    sent = decode(request, _OfRun)

    def send() -> Response:
        path = _join(folder_of_run(request, sent.id), parse_artifact_path(sent.path))
        return _send(request, request.services.artifacts, path)

    return await run_in_threadpool(send)


async def download_of_model(request: MlflowRequest) -> Response:
    """Send a file of a logged model, as the user interface asks for it."""
    inner = parse_artifact_path(request.query_value("artifact_file_path"))

    def send() -> Response:
        model = request.services.tracking.logged_models.get(request.path_params["model_id"])
        return _send(request, request.services.artifacts, _join(_folder(model.artifact_uri), inner))

    return await run_in_threadpool(send)


async def list_folder(request: MlflowRequest) -> Response:
    """What is in a folder; nothing if there is no such folder."""
    path = parse_artifact_path(request.query_value("path"))
    listed = await run_in_threadpool(request.services.artifacts.list, path)
    return reply(_Files(files=[_shape(entry) for entry in listed]))


async def list_of_run(request: MlflowRequest) -> Response:
    """What is in a folder of a run; paths are relative to the run's root."""
    sent = decode(request, _OfRun)
    inner = parse_artifact_path(sent.path)

    def find() -> Response:
        run, _ = request.services.tracking.runs.get(sent.id)
        return _listing(request.services.artifacts, run.artifact_uri, inner)

    return await run_in_threadpool(find)


async def list_of_model(request: MlflowRequest) -> Response:
    """What is in a folder of a logged model; paths are relative to the model's root."""
    inner = parse_artifact_path(request.query_value("artifact_directory_path"))

    def find() -> Response:
        model = request.services.tracking.logged_models.get(request.path_params["model_id"])
        return _listing(request.services.artifacts, model.artifact_uri, inner)

    return await run_in_threadpool(find)


async def delete(request: MlflowRequest) -> Response:
    """Forget a file or folder. One that is not there is no error."""
    await done(request.services.artifacts.delete(parse_artifact_path(request.path_params["path"])))
    return empty_reply()


def _send(request: MlflowRequest, artifacts: Artifacts, path: str) -> Response:
    file = artifacts.file(path)
    span = _span(request.header(b"range"), file.size)
    if span is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{file.size}"})
    headers = _headers(file, span)
    status = 200 if span.whole else 206
    if request.method == "HEAD":
        return _HeadReply(status_code=status, headers=headers)
    if not artifacts.is_stored(file):
        next(artifacts.read(file), None)  # says what is missing, before a status is sent
    chunks = _chunks(artifacts, file, span)
    if file.size <= WHOLE_SIZE_MAX:
        return Response(b"".join(chunks), status_code=status, headers=headers)
    return Download(chunks, status_code=status, headers=headers)


class _HeadReply(Response):
    """Headers alone; the length is that of the body which a GET would send."""

    def init_headers(self, headers: object = None) -> None:
        given = headers if isinstance(headers, dict) else {}
        self.raw_headers = [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()]


def _chunks(artifacts: Artifacts, file: StoredFile, span: _Span) -> Iterator[bytes]:
    if span.whole:
        return artifacts.read(file)
    return artifacts.read(file, start=span.start, end=span.end)


def _span(header: str, size: int) -> _Span | None:
    """The part of the file that a Range header asks for; None if there is no such part."""
    match = _RANGE.match(header)
    if (
        match is None or match[0] == "bytes=-"
    ):  # absent, several ranges, another unit: the whole file
        return _Span(0, size, whole=True)
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return _Span(start, end, whole=False) if start < end else None


def _headers(file: StoredFile, span: _Span) -> dict[str, str]:
    name = file.path.rpartition("/")[2]
    headers = {
        "Content-Type": mimetypes.guess_type(name)[0] or "application/octet-stream",
        "Content-Length": str(span.end - span.start),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        "ETag": f'"{file.digest}"',
    }
    if not span.whole:
        headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{file.size}"
    return headers


def folder_of_run(request: MlflowRequest, run_id: str) -> str:
    """The path under the artifact root of a run's files. Raises NotFound, InvalidInput: they are elsewhere."""
    run, _ = request.services.tracking.runs.get(run_id)
    return _folder(run.artifact_uri)


def _folder(artifact_uri: str) -> str:
    folder = folder_of_uri(artifact_uri)
    if folder is None:
        raise InvalidInput(f"The artifacts are not in this server's store but at {artifact_uri}")
    return folder


def _listing(artifacts: Artifacts, root_uri: str, inner: str) -> Response:
    listed = artifacts.list(_join(_folder(root_uri), inner))
    prefix = f"{inner}/" if inner else ""
    return reply(_Files(root_uri=root_uri, files=[_shape(entry, prefix) for entry in listed]))


def _join(folder: str, inner: str) -> str:
    return f"{folder}/{inner}" if inner else folder


def _shape(entry: Listed, prefix: str = "") -> _File:
    size = msgspec.UNSET if entry.is_folder else entry.size
    return _File(prefix + entry.name, entry.is_folder, size)


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/artifacts/list"): list_of_run,
    ("GET", "/logged-models/{model_id}/artifacts/directories"): list_of_model,
    ("GET", "/logged-models/{model_id}/artifacts/files"): download_of_model,
}

ARTIFACT_ROUTES: dict[tuple[str, str], Handler] = {
    ("PUT", f"{PREFIX}/artifacts/{{path:path}}"): upload,
    ("GET", f"{PREFIX}/artifacts/{{path:path}}"): download,
    ("HEAD", f"{PREFIX}/artifacts/{{path:path}}"): download,
    ("DELETE", f"{PREFIX}/artifacts/{{path:path}}"): delete,
    ("GET", f"{PREFIX}/artifacts"): list_folder,
    ("GET", "/get-artifact"): download_of_run,
}
"""Full paths; ``{path:path}`` takes the rest of the path with its slashes."""

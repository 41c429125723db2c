"""Files in parts, and addresses at which clients reach the object store themselves.

Where the objects are in a bucket, parts go there; on local disk they come to this server, at
addresses that name upload, part and path. Clients use neither unless they are told to, or read in
`server_info` that they gain by it.
"""

from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lastgood.api.mlflow.artifacts import folder_of_run
from lastgood.api.mlflow.receiving import receive
from lastgood.api.mlflow.wire import Handler, Int64, MlflowRequest, decode, empty_reply, reply
from lastgood.engine.artifacts import parse_artifact_path
from lastgood.engine.uploads import Begun, Part
from lastgood.errors import InvalidInput, NotSupported

__all__ = ["MULTIPART_ROUTES", "PART_ROUTES", "ROUTES", "server_info"]

PREFIX = "/api/2.0/mlflow-artifacts"
PART_SIZE_MAX = 5 << 30  # bytes; S3's limit
NUMBER_LENGTH_MAX = 5
EXPIRATION_S_MAX = 604_800  # no store signs for longer
# Clients look for exactly these words, and then send the file in one piece.
NO_PARTS = "Multipart upload is not supported for the current artifact repository"
NO_ADDRESS = "Multipart download is not supported for the current artifact repository"


class _Create(msgspec.Struct):
    path: str
    num_parts: Int64 = 1


class _Credential(msgspec.Struct):
    url: str
    part_number: int
    headers: dict[str, str]


class _Created(msgspec.Struct):
    upload_id: str
    credentials: list[_Credential]


class _Part(msgspec.Struct):
    part_number: Int64 = 0
    etag: str = ""


class _Complete(msgspec.Struct):
    path: str
    upload_id: str
    parts: list[_Part]


class _Abort(msgspec.Struct):
    path: str
    upload_id: str


class _Address(msgspec.Struct):
    url: str
    headers: dict[str, str]
    file_size: int


class _OfUpload(msgspec.Struct):
    path: str
    run_id: str = ""
    model_id: str = ""


class _OfDownload(msgspec.Struct):
    run_id: str
    path: str
    expiration: Int64 = 300


class _Presigned(msgspec.Struct):
    presigned_url: str
    headers: dict[str, str]
    file_size: int


class _ServerInfo(msgspec.Struct):
    multipart_uploads_enabled: bool
    multipart_downloads_enabled: bool
    store_type: str = "SqlStore"
    workspaces_enabled: bool = False
    trace_archival_enabled: bool = False
    presigned_upload_run_id_supported: bool = False
    presigned_upload_model_id_supported: bool = False
    features_enabled: dict[str, bool] = {}


async def create(request: MlflowRequest) -> Response:
    """Begin a file in parts; says where each of them goes."""
    sent = decode(request, _Create)
    path = _target(request, sent.path)
    try:
        begun = await run_in_threadpool(
            request.services.uploads.begin, path, parts=int(sent.num_parts)
        )
    except NotSupported as error:
        raise NotSupported(NO_PARTS, hint=error.message) from error
    given = [_Credential(a.url, number, a.headers) for number, a in enumerate(begun.addresses, 1)]
    return reply(
        _Created(begun.id, given or _parts_here(request, begun, path, count=int(sent.num_parts)))
    )


async def put_part(request: MlflowRequest) -> Response:
    """Take a part; its ETag is asked for again when the file is put together."""
    uploads = request.services.uploads
    upload, number = request.path_params["upload"], request.path_params["number"]
    path = parse_artifact_path(request.path_params["path"])
    if not number.isdecimal() or len(number) > NUMBER_LENGTH_MAX:
        raise InvalidInput("The number of a part is a whole number")
    try:
        tag = await receive(
            request,
            begin=lambda: uploads.part_writer(upload, int(number), path=path),
            finish=lambda writer: writer.commit(),
            size_max=PART_SIZE_MAX,
        )
    except ClientDisconnect:  # nobody is left to read an answer, and nothing was stored
        return Response(status_code=400)
    return Response(status_code=200, headers={"ETag": f'"{tag}"'})


async def complete(request: MlflowRequest) -> Response:
    """Put the parts together; the path names the file from then on."""
    sent = decode(request, _Complete)
    parts = [Part(int(part.part_number), part.etag.strip('"')) for part in sent.parts]
    await run_in_threadpool(
        request.services.uploads.complete,
        sent.upload_id,
        path=_target(request, sent.path),
        parts=parts,
    )
    return empty_reply()


async def abort(request: MlflowRequest) -> Response:
    """Give the file up."""
    sent = decode(request, _Abort)
    await run_in_threadpool(
        request.services.uploads.abort, sent.upload_id, path=_target(request, sent.path)
    )
    return empty_reply()


async def presigned(request: MlflowRequest) -> Response:
    """Where the client can read a file itself."""
    path = parse_artifact_path(request.path_params["path"])
    services = request.services

    def find() -> _Address:
        file = services.artifacts.file(path)
        try:
            address = services.uploads.address(file)
        except NotSupported as error:
            raise NotSupported(NO_ADDRESS, hint=error.message) from error
        return _Address(address.url, address.headers, file.size)

    return reply(await run_in_threadpool(find))


async def presigned_download(request: MlflowRequest) -> Response:
    """Where the client can read a file of a run itself."""
    sent = decode(request, _OfDownload)
    inner, expiration = parse_artifact_path(sent.path), int(sent.expiration)
    if not 1 <= expiration <= EXPIRATION_S_MAX:
        raise InvalidInput(
            f"expiration must be between 1 and {EXPIRATION_S_MAX} seconds (got {expiration})."
        )
    services = request.services

    def find() -> _Presigned:
        file = services.artifacts.file(f"{folder_of_run(request, sent.run_id)}/{inner}")
        try:
            address = services.uploads.address(file, ttl_s=float(expiration))
        except NotSupported:
            raise _proxied("download") from None
        return _Presigned(address.url, address.headers, file.size)

    return reply(await run_in_threadpool(find))


async def presigned_upload(request: MlflowRequest) -> Response:
    """Refused: nobody would tell us when the file is there, and so its digest would stay unknown."""
    sent = decode(request, _OfUpload)
    if bool(sent.run_id) == bool(sent.model_id):
        raise InvalidInput("Exactly one of run_id and model_id must be provided.")
    parse_artifact_path(sent.path)
    if sent.run_id:
        request.services.tracking.runs.get(sent.run_id)
    else:
        request.services.tracking.logged_models.get(sent.model_id)
    raise _proxied("upload")


async def server_info(request: MlflowRequest) -> Response:
    """What MLflow 3 clients ask before they use optional parts of the protocol."""
    direct = await run_in_threadpool(request.services.uploads.are_direct)
    return reply(_ServerInfo(multipart_uploads_enabled=direct, multipart_downloads_enabled=direct))


def _target(request: MlflowRequest, name: str) -> str:
    """The path of the file: in the folder of the URL, called as the client's local file is."""
    file = name.replace("\\", "/").rpartition("/")[2]
    if not file:
        raise InvalidInput("Missing value for required parameter 'path'")
    folder = parse_artifact_path(request.path_params.get("path", ""))
    return parse_artifact_path(f"{folder}/{file}" if folder else file)


def _parts_here(
    request: MlflowRequest, begun: Begun, path: str, *, count: int
) -> list[_Credential]:
    # The client reached us under this name, and the name was checked.
    base = f"{request.scope.get('scheme', 'http')}://{request.header(b'host')}{PREFIX}/mpu/part"
    tail = quote(path, safe="/")
    return [_Credential(f"{base}/{begun.id}/{n}/{tail}", n, {}) for n in range(1, count + 1)]


def _proxied(what: str) -> InvalidInput:
    return InvalidInput(
        f"Presigned {what} is not supported for proxied artifact storage (artifact URI scheme: mlflow-artifacts)"
    )


ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/artifacts/presigned-upload-url"): presigned_upload,
    ("POST", "/artifacts/presigned-download-url"): presigned_download,
}

MULTIPART_ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", f"{PREFIX}/mpu/create/{{path:path}}"): create,
    ("POST", f"{PREFIX}/mpu/complete/{{path:path}}"): complete,
    ("POST", f"{PREFIX}/mpu/abort/{{path:path}}"): abort,
    ("POST", f"{PREFIX}/mpu/create"): create,
    ("POST", f"{PREFIX}/mpu/complete"): complete,
    ("POST", f"{PREFIX}/mpu/abort"): abort,
    ("GET", f"{PREFIX}/presigned/{{path:path}}"): presigned,
}
"""Full paths; ``{path:path}`` takes the rest of the path with its slashes."""

PART_ROUTES: dict[tuple[str, str], Handler] = {
    ("PUT", f"{PREFIX}/mpu/part/{{upload}}/{{number}}/{{path:path}}"): put_part,
}
"""Full paths; the handler reads the body itself."""

"""The upload by which MLflow's web pages put a small file into a run."""

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.limits import read_body
from lastgood.api.mlflow.wire import Handler, JsonReply, MlflowRequest
from lastgood.engine.artifacts import folder_of_uri, parse_artifact_path
from lastgood.errors import InvalidInput, TooLarge

__all__ = ["UPLOAD_ROUTES"]

SIZE_MAX = 10 * 2**20  # bytes


async def upload(request: MlflowRequest) -> Response:
    """Store the body as a file of a run; it replaces what was there."""
    run_id, inner = request.query_value("run_uuid"), request.query_value("path")
    for name, value in (("run_uuid", run_id), ("path", inner)):
        if not value:
            raise InvalidInput(f"Request must specify {name}.")
    path = parse_artifact_path(inner)
    try:
        data = await read_body(request.headers, request.receive, room=request.room, limit=SIZE_MAX)
    except TooLarge:
        raise TooLarge("Artifact size is too large. Max size is 10MB.") from None
    if not data:
        raise InvalidInput("Request must specify data.")
    run, _ = request.services.tracking.runs.get(run_id)
    folder = folder_of_uri(run.artifact_uri)
    if folder is None:
        raise InvalidInput(
            f"The artifacts are not in this server's store but at {run.artifact_uri}"
        )
    artifacts = request.services.artifacts

    def store() -> None:
        with artifacts.open_writer(f"{folder}/{path}") as writer:
            writer.write(data)
            writer.commit().result()

    await run_in_threadpool(store)
    return JsonReply(b"")


UPLOAD_ROUTES: dict[tuple[str, str], Handler] = {
    ("POST", "/api/2.0/mlflow/upload-artifact"): upload,
}
"""Full paths; the handler reads the body itself."""

"""Objects and manifests in and out, in bounded memory."""

import io
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import anyio
from anyio import from_thread, to_thread
from fastapi import APIRouter, Body, Request
from starlette.responses import Response, StreamingResponse

from lastgood.api.native.replies import reply
from lastgood.api.sending import Download
from lastgood.core.ids import Digest, parse_digest
from lastgood.core.manifest import Manifest
from lastgood.core.ports import Registry

__all__ = ["streaming_routes"]

DIGESTS_MAX = 200_000
UPLOADS_MAX = 16  # each holds a thread while its bytes arrive; more wait for their turn
AHEAD_BYTES_MAX = (
    8 * 2**20
)  # damage found within these is answered as an error instead of a torn body


def streaming_routes(registry: Registry) -> APIRouter:
    """Upload, download and check of objects."""
    routes = APIRouter(tags=["objects"])
    uploads = anyio.CapacityLimiter(UPLOADS_MAX)

    @routes.get("/manifests/{digest}", response_model=Manifest)
    def manifest(digest: str) -> Response:
        """A manifest, verified, as the bytes its digest is computed over."""
        found = registry.manifest(parse_digest(digest))
        return Response(found.encode(), media_type="application/json")

    @routes.post("/objects/missing", response_model=list[Digest])
    def missing(
        digests: Annotated[list[str], Body(embed=True, max_length=DIGESTS_MAX)],
    ) -> Response:
        """Those of the digests that are not stored, so that only they need to be sent."""
        return reply(registry.missing_objects([parse_digest(digest) for digest in digests]))

    @routes.put("/objects/{digest}", status_code=204)
    async def put_object(digest: str, request: Request) -> Response:
        """Store the body under its digest; refused if the bytes have another one."""
        wanted = parse_digest(digest)
        body = io.BufferedReader(_Body(request.stream()), buffer_size=2**20)
        await to_thread.run_sync(lambda: registry.put_object(body, digest=wanted), limiter=uploads)
        return Response(status_code=204)

    @routes.get("/objects/{digest}", response_class=StreamingResponse)
    def read_object(digest: str) -> Response:
        """The bytes. The body ends early, and the connection is closed, if they turn out to be damaged."""
        chunks = registry.read_object(parse_digest(digest))
        ahead, size = [], 0
        for chunk in chunks:
            ahead.append(chunk)
            size += len(chunk)
            if size >= AHEAD_BYTES_MAX:
                return Download(_joined(ahead, chunks), media_type="application/octet-stream")
        return StreamingResponse(
            iter(ahead),
            media_type="application/octet-stream",
            headers={"content-length": str(size)},
        )

    @routes.get("/objects/{digest}/check")
    def check_object(digest: str) -> Response:
        """Read and hash an object: its size, or the error that its download ends with."""
        return reply(
            {"size": sum(len(chunk) for chunk in registry.read_object(parse_digest(digest)))}
        )

    return routes


def _joined(ahead: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    yield from ahead
    ahead.clear()
    yield from rest


class _Body(io.RawIOBase):
    """The request's body for a reader in a worker thread: each read asks the client for more, none is queued."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]  # typeshed: any buffer
        while not self._left:
            chunk = from_thread.run(self._next)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    async def _next(self) -> bytes | None:
        return await anext(self._chunks, None)

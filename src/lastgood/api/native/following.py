"""Routes for gateways: what to serve, and what was seen."""

import asyncio
from typing import Annotated, Protocol

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lastgood.api.bell import AsyncBell
from lastgood.api.native.replies import reply
from lastgood.core.ids import ModelName, RefName, parse_model_name, parse_ref_name
from lastgood.core.observations import REPORT_ITEMS_MAX, GatewayReport
from lastgood.core.ports import Registry
from lastgood.core.views import Target
from lastgood.engine.bell import Bell
from lastgood.errors import TooLarge

__all__ = ["following_routes"]

WAIT_S_MAX = 60.0
SEQ_MAX = 2**63 - 1


class BellRope(Protocol):
    """Gives every request the one bell of its event loop."""

    def __call__(self) -> AsyncBell: ...


def following_routes(registry: Registry, bell: Bell) -> APIRouter:
    """The long-poll that gateways follow, and their reports."""
    routes = APIRouter(tags=["gateways"])
    rope = _rope(bell)

    @routes.get("/target/{model}/{ref}", response_model=Target)
    async def target(
        model: str,
        ref: str,
        after_seq: Annotated[int, Query(ge=-1, le=SEQ_MAX)] = -1,
        wait_s: Annotated[float, Query(ge=0, le=WAIT_S_MAX)] = 0.0,
    ) -> Response:
        """What a ref points to; waits up to `wait_s` seconds for a move after operation `after_seq`."""
        found = await _wait(
            registry,
            rope(),
            parse_model_name(model),
            parse_ref_name(ref),
            after_seq=after_seq,
            wait_s=wait_s,
        )
        return reply(found)

    @routes.post("/observations", status_code=204)
    async def observe(report: GatewayReport) -> Response:
        """What a gateway saw. Repeating a batch stores it once."""
        if max(len(report.events), len(report.traffic), len(report.receipts)) > REPORT_ITEMS_MAX:
            raise TooLarge(
                f"A report may hold {REPORT_ITEMS_MAX:,} items of each kind",
                hint="send more, smaller reports",
            )
        await run_in_threadpool(registry.observe, report)
        return Response(status_code=204)

    return routes


def _rope(bell: Bell) -> BellRope:
    """The asynchronous bell needs a running loop, so it is made by the first request."""
    made: list[AsyncBell] = []

    def rope() -> AsyncBell:
        if not made:
            made.append(AsyncBell(bell))
        return made[0]

    return rope


async def _wait(
    registry: Registry,
    bell: AsyncBell,
    model: ModelName,
    ref: RefName,
    *,
    after_seq: int,
    wait_s: float,
) -> Target:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        # The bell is read before the state: an operation between the two rings it, and none is missed.
        seen = bell.seq
        found = registry.target(model, ref)
        left = deadline - loop.time()
        if found.seq > after_seq or left <= 0:
            return found
        await bell.wait(seen=seen, timeout_s=left)

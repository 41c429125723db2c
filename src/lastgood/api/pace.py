"""How slowly bytes may flow: a client that stalls gives back its place.

A request that trickles in, or an answer that nobody reads, would hold a place among those that are
served for as long as its client likes.
"""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Send

from lastgood.errors import TooSlow

__all__ = ["STALL_TIMEOUT_S", "paced_receive", "paced_send"]

STALL_TIMEOUT_S = 60.0  # without a byte in either direction
RATE_MIN = 1024  # bytes a second that an upload must reach …
RATE_AFTER_S = 60.0  # … once this much time was spent waiting for it


def paced_receive(receive: Receive) -> Receive:
    """The body of an upload as it arrives, as long as it does arrive.

    Only the time spent waiting for the client counts, not what the store needs in between.

    Raises (the function returned):
        TooSlow: nothing came for a minute, or hardly anything.
    """
    loop = asyncio.get_running_loop()
    waited_s, received, complete = 0.0, 0, False

    async def receiving() -> Message:
        nonlocal waited_s, received, complete
        if complete:  # what is waited for now is only whether the client goes away
            return await receive()
        began = loop.time()
        try:
            async with asyncio.timeout(STALL_TIMEOUT_S):
                message = await receive()
        except TimeoutError:
            raise TooSlow(
                f"The upload stalled for {STALL_TIMEOUT_S:g} s; nothing was stored"
            ) from None
        waited_s += loop.time() - began
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if not complete and waited_s > RATE_AFTER_S and received < RATE_MIN * waited_s:
            raise TooSlow(
                f"The upload brought {received:,} bytes in {waited_s:.0f} s; nothing was stored",
                hint=f"a server waits for at least {RATE_MIN:,} bytes a second",
            )
        return message

    return receiving


def paced_send(send: Send) -> Send:
    """The answer to a client that takes it.

    Raises (the function returned):
        ClientDisconnect: it took nothing for a minute; to the server it is gone.
    """

    async def sending(message: Message) -> None:
        try:
            async with asyncio.timeout(STALL_TIMEOUT_S):
                await send(message)
        except TimeoutError:
            raise ClientDisconnect from None

    return sending

"""The gateway's end of a connection to a worker: frames in, frames out."""

import asyncio
import socket
from functools import partial
from typing import Protocol, cast

from lastgood.serve.worker_main import BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADER

__all__ = ["FrameChannel", "FrameListener", "connect"]


class FrameListener(Protocol):
    """Who wants to know what arrives on a channel."""

    def frame_received(self, head: bytes, body: bytes) -> None:
        """A whole frame arrived."""
        ...

    def channel_lost(self) -> None:
        """The other side is gone, or broke the protocol. Called once."""
        ...


class FrameChannel(asyncio.Protocol):
    """Cuts the byte stream of one worker connection into frames.

    A plain protocol rather than streams: an answer reaches the waiting request without a further
    task switch, which is most of what the gateway adds to a prediction.
    """

    def __init__(self, listener: FrameListener) -> None:
        self._listener = listener
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def send(self, head: bytes, body: bytes = b"") -> None:
        """Send one frame; does nothing if the connection is gone, of which the listener hears."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(HEADER.pack(len(head), len(body)) + head + body)

    def close(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        """Hand out every frame that is complete."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            head_length, body_length = HEADER.unpack_from(self._buffer)
            if head_length > HEAD_BYTES_MAX or body_length > BODY_BYTES_MAX:
                self.close()
                return
            body_at = HEADER.size + head_length
            end = body_at + body_length
            if len(self._buffer) < end:
                return
            head = bytes(self._buffer[HEADER.size : body_at])
            body = bytes(self._buffer[body_at:end])
            del self._buffer[:end]
            self._listener.frame_received(head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the listener."""
        self._transport = None
        self._listener.channel_lost()


async def connect(end: socket.socket, listener: FrameListener) -> FrameChannel:
    """Attach a channel to our end of a socket pair."""
    loop = asyncio.get_running_loop()
    _, channel = await loop.create_unix_connection(partial(FrameChannel, listener), sock=end)
    return channel

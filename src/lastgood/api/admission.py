"""How much is taken on at once; what is more is refused at once instead of waiting without end.

A request waits in one of three lanes: for an answer, for bytes to flow, or for something to happen.
Each has room for so many. A request that finds its lane full is refused with 503 and `Retry-After`
before it has changed anything, so that repeating it is always safe; MLflow's clients and ours do.
Refusing is cheap, which is why the server stays quick for those whom it took on, and why it is
back to normal as soon as there is less to do.

The rooms are so large that whoever was taken on gets an answer within the patience of a client: at
a thousand durable writes a second, the last of 512 waits half a second.

Everything here belongs to one event loop.
"""

from types import TracebackType

from lastgood.api.patience import Patience
from lastgood.errors import Overloaded

__all__ = ["Admission", "BodyRoom", "Lane"]

ANSWERING_MAX = 512  # requests that wait for the writer, a search or a look at files
STREAMING_MAX = 256  # uploads and downloads of artifacts and objects
WATCHING_MAX = 1024  # gateways that wait for a ref to move, up to a minute each
BODY_TIMEOUT_S = 60.0  # for a JSON body to arrive
BODY_BYTES_MAX = 256 * 2**20  # of all bodies that are in memory, arriving or being worked on
# Clients that are refused together come back one after the other. MLflow's clients repeat seven times
# and then give up: the pauses must add up to more than a moment.
RETRY_AFTER_S_MAX = 8


class _Refusals:
    """Counts what was refused, and spreads when it may come back."""

    def __init__(self) -> None:
        self._count = 0

    def refuse(self, what: str) -> Overloaded:
        self._count += 1
        return Overloaded(
            f"The server is busy: {what}; nothing was changed",
            hint="try again in a few seconds",
            retry_after_s=self._count % RETRY_AFTER_S_MAX + 1,
        )


class Lane:
    """Room for so many requests: a context manager that can be entered again and again.

    Raises:
        Overloaded: on entering, when it is full.
    """

    def __init__(self, room: int, what: str, refusals: _Refusals) -> None:
        self._room = room
        self._what = what
        self._refusals = refusals
        self.taken = 0

    def __enter__(self) -> None:
        if self.taken >= self._room:
            raise self._refusals.refuse(f"{self.taken:,} {self._what}")
        self.taken += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.taken -= 1


class BodyRoom:
    """The memory of one request's body: a context manager that gives it back in the end."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.patience = admission.patience
        self.taken = 0

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._admission.body_bytes -= self.taken

    def take(self, count: int) -> None:
        """Room for more bytes that arrived.

        Raises:
            Overloaded: all bodies together need too much.
        """
        self._admission.take_bytes(count)
        self.taken += count


class Admission:
    """The lanes of one server."""

    def __init__(
        self,
        *,
        answering_max: int = ANSWERING_MAX,
        streaming_max: int = STREAMING_MAX,
        watching_max: int = WATCHING_MAX,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        self._refusals = _Refusals()
        self._body_bytes_max = body_bytes_max
        self.body_bytes = 0
        self.patience = Patience(BODY_TIMEOUT_S)
        """With clients that send their body slowly."""
        self.answering = Lane(answering_max, "requests wait for an answer", self._refusals)
        self.streaming = Lane(streaming_max, "uploads and downloads are running", self._refusals)
        self.watching = Lane(watching_max, "gateways are waiting for a move", self._refusals)

    def take_bytes(self, count: int) -> None:
        """Count bytes in.

        Raises:
            Overloaded: there is no room for them.
        """
        if self.body_bytes + count > self._body_bytes_max:
            raise self._refusals.refuse(f"requests of {self.body_bytes:,} bytes are being read")
        self.body_bytes += count

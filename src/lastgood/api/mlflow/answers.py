"""Answers kept until what they say may have changed.

Clients ask the same few things over and over: what `champion` points to, which version is in
Production, the run whose page is open. All registry state is the fold of the operation log, so an
answer about it stays right exactly until the next operation; an answer about runs stays right until
the next commit. Both are asked for each time, and whoever made the change, it counts.
"""

from collections.abc import Callable

from lastgood.api.mlflow.wire import JsonReply

__all__ = ["Answers", "Question"]

Question = tuple[str, bytes, bytes]
"""Path, query and body."""

ANSWERS_MAX = 2_000
BYTES_MAX = 16 * 2**20
QUESTION_BYTES_MAX = 4_096  # longer questions are rarely asked twice


class Answers:
    """Belongs to one event loop.

    Args:
        state: A number that is another one once anything changed that answers depend on, whichever
            process changed it; None if nobody can tell, and nothing is kept.
    """

    def __init__(self, state: Callable[[], int | None]) -> None:
        self._ask_state = state
        self._state: int | None = None
        self._known: dict[Question, JsonReply] = {}
        self._bytes = 0

    def find(self, question: Question) -> tuple[JsonReply | None, int | None]:
        """The answer, if it is still right; and the state to keep a new one under."""
        state = self._ask_state()
        if state != self._state:
            self._forget(state)
        return self._known.get(question), state

    def keep(self, question: Question, answer: JsonReply, *, state: int | None) -> None:
        """Keep an answer that was worked out in that state or a later one."""
        size = len(answer.body) + len(question[1]) + len(question[2])
        if state is None or state != self._state:
            return
        if len(question[1]) + len(question[2]) > QUESTION_BYTES_MAX:
            return
        if len(self._known) >= ANSWERS_MAX or self._bytes + size > BYTES_MAX:
            self._forget(state)
        if size <= BYTES_MAX:
            self._known[question] = answer
            self._bytes += size

    def _forget(self, state: int | None) -> None:
        self._known.clear()
        self._bytes = 0
        self._state = state

"""Answers about the registry, kept until the registry changes.

Clients ask the same few things over and over: what `champion` points to, which version is in
Production, where its files are. All registry state is the fold of the operation log, so an answer
stays right exactly until the next operation, whoever commits it; the log's head is asked each time.
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
        head: The position of the newest operation, whichever process wrote it.
    """

    def __init__(self, head: Callable[[], int]) -> None:
        self._ask_head = head
        self._head = -1
        self._known: dict[Question, JsonReply] = {}
        self._bytes = 0

    def find(self, question: Question) -> tuple[JsonReply | None, int]:
        """The answer, if it is still right; and the head to keep a new one under."""
        head = self._ask_head()
        if head != self._head:
            self._forget(head)
        return self._known.get(question), head

    def keep(self, question: Question, answer: JsonReply, *, head: int) -> None:
        """Keep an answer that was worked out when the log's head was `head` or later."""
        size = len(answer.body) + len(question[1]) + len(question[2])
        if head != self._head or len(question[1]) + len(question[2]) > QUESTION_BYTES_MAX:
            return
        if len(self._known) >= ANSWERS_MAX or self._bytes + size > BYTES_MAX:
            self._forget(head)
        if size <= BYTES_MAX:
            self._known[question] = answer
            self._bytes += size

    def _forget(self, head: int) -> None:
        self._known.clear()
        self._bytes = 0
        self._head = head

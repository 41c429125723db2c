"""A worker of `lastgood server --workers N`: told what to do on stdin, says on stdout that it answers.

Its stdin stays open for as long as the process that started it lives: when that ends, however it
ends, so does the worker.
"""

import logging
import os
import socket
import sys

import msgspec

from lastgood.api.process import Duty, answer
from lastgood.errors import LastgoodError

__all__ = ["Order", "main"]

READY = b"ready\n"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told, as one line of JSON."""

    number: int
    listener: int
    """The file descriptor of the listening socket that all workers share."""
    duty: Duty


def main() -> int:
    """Answer requests until told to stop; returns the exit code."""
    stdin, stdout = sys.stdin.fileno(), sys.stdout.fileno()
    with os.fdopen(os.dup(stdin), "rb", buffering=0) as line:
        order = msgspec.json.decode(line.readline(), type=Order)

    def ready() -> None:
        os.write(stdout, READY)

    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s %(levelname)s worker {order.number}: %(message)s",
    )
    try:
        answer(
            socket.socket(fileno=order.listener),
            order.duty,
            on_ready=ready,
            lifeline=stdin,
        )
    except LastgoodError as error:
        logging.getLogger(__name__).error("%s", error.message)  # noqa: TRY400  # a sentence, no fault of ours
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

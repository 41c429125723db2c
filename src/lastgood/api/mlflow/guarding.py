"""Moves of refs that put versions before users: a version's bytes are read and hashed before such a move."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol, TypeVar

from starlette.concurrency import run_in_threadpool

from lastgood.api.mlflow.arrivals import done
from lastgood.engine.catalogue import Unchecked

__all__ = ["checked_if_guarded"]

T = TypeVar("T")


class Move(Protocol[T]):
    """An act of the catalogue; raises Unchecked, at once or through the future, if the check is needed."""

    def __call__(self, *, checked: bool) -> Future[T]: ...


async def checked_if_guarded(move: Move[T], *, check: Callable[[], None]) -> T:
    """Move, and do it after the check only where that is needed; most refs are not guarded.

    Raises:
        IntegrityFailure: a file is missing or damaged; nothing moved. Whatever `move` and `check` raise.
    """
    with suppress(Unchecked):
        return await done(move(checked=False))
    await run_in_threadpool(check)
    return await done(move(checked=True))

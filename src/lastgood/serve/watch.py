"""The thread that watches the ref."""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from lastgood.core.ports import RegistryFeed
from lastgood.core.views import Target
from lastgood.errors import NotFound
from lastgood.serve.options import ServeOptions

__all__ = ["Watch"]

BACKOFF_FIRST_S = 0.2
BACKOFF_MAX_S = 5.0
# A registry that does not wait as asked must not be asked in a tight loop.
UNCHANGED_PAUSE_S = 0.5

_log = logging.getLogger(__name__)


class Watch:
    """Asks the registry for the ref's target again and again, and passes on what changed.

    Args:
        feed: The registry.
        options: Which ref, and how long one question waits.
        loop: Where `on_target` is called.
        on_target: Called with every target that differs from the one before, the first included.
    """

    def __init__(
        self,
        feed: RegistryFeed,
        options: ServeOptions,
        *,
        loop: asyncio.AbstractEventLoop,
        on_target: Callable[[Target], None],
    ) -> None:
        self._feed = feed
        self._options = options
        self._loop = loop
        self._on_target = on_target
        self._stopping = threading.Event()
        self._started = time.monotonic()
        self._last: Target | None = None
        self.last_contact: float | None = None
        """Monotonic time of the registry's last answer."""
        self.error = ""
        """Why the last question was not answered; empty if it was."""
        self.first_answer = asyncio.Event()
        """Set once the registry answered or refused for the first time."""

    def start(self) -> None:
        """Begin to watch."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Ask no more. The thread is left to finish its last question alone."""
        self._stopping.set()

    def stale_s(self, other_contact: float | None) -> float:
        """Seconds since the registry was last heard of, here or in `other_contact`."""
        contacts = [moment for moment in (self.last_contact, other_contact) if moment is not None]
        return time.monotonic() - max(contacts, default=self._started)

    def _run(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while not self._stopping.is_set():
            asked = time.monotonic()
            try:
                target = self._ask()
            except (
                Exception
            ) as error:  # the thread's edge: watching must outlive whatever a feed raises
                self._note(str(error) or type(error).__name__, reached=isinstance(error, NotFound))
                self._stopping.wait(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # jitter
                backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
                continue
            backoff_s = BACKOFF_FIRST_S
            changed = target != self._last
            if changed:  # before the note: whoever waits for the first answer finds the order there
                self._last = target
                self._call(self._on_target, target)
            self._note("", reached=True)
            if not changed and time.monotonic() - asked < UNCHANGED_PAUSE_S:
                self._stopping.wait(UNCHANGED_PAUSE_S)

    def _ask(self) -> Target:
        options = self._options
        last = self._last
        if last is None:
            return self._feed.target(options.model, options.ref)
        wait_s = options.watch_wait_s
        return self._feed.target(options.model, options.ref, after_seq=last.seq, wait_s=wait_s)

    def _note(self, error: str, *, reached: bool) -> None:
        if reached:
            self.last_contact = time.monotonic()
        if error and error != self.error:
            _log.warning("cannot follow %s@%s: %s", self._options.model, self._options.ref, error)
        self.error = error
        self._call(self.first_answer.set)

    def _call(self, act: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody listens any more
            self._loop.call_soon_threadsafe(act, *arguments)

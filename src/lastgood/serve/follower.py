"""Follows the orders: brings up what the ref points to, swaps it in, drains what it replaced."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any

from lastgood.core.ids import Digest
from lastgood.core.observations import SlotEvent, SlotEventKind
from lastgood.core.views import Target
from lastgood.errors import LastgoodError, Unverified
from lastgood.serve.bundle import BundleCache
from lastgood.serve.loader import Loader
from lastgood.serve.options import ServeOptions
from lastgood.serve.plan import Placed, Plan, write_plan
from lastgood.serve.receipts import TrafficMeter
from lastgood.serve.reporter import Reporter, now_ms
from lastgood.serve.slot import LoadedWorker, Slot
from lastgood.serve.steps import Failure, Situation, Step, failed_again, next_step
from lastgood.serve.table import Router, Table, Tenure
from lastgood.serve.threads import in_thread
from lastgood.serve.worker import WorkerFailed

__all__ = ["Follower"]

PLAN_FILE = "plan.json"

_log = logging.getLogger(__name__)


class Follower:
    """The one writer of the routing table. Lives on one event loop; `run` does one thing at a time."""

    def __init__(
        self,
        options: ServeOptions,
        *,
        router: Router,
        loader: Loader,
        cache: BundleCache,
        reporter: Reporter,
        plan: Plan | None,
    ) -> None:
        self._options = options
        self._router = router
        self._loader = loader
        self._cache = cache
        self._reporter = reporter
        self._changed = asyncio.Event()
        self._ready: dict[Digest, Slot] = {}
        self._failures: dict[Digest, Failure] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._fallback: tuple[Target, ...] = ()
        self._rewarm: Target | None = None
        if plan is not None:
            placed = [plan.active] if plan.previous is None else [plan.active, plan.previous]
            self._fallback = tuple(one.target(options.model, options.ref) for one in placed)
            self._rewarm = self._fallback[1] if len(placed) > 1 and options.keep_warm else None
        self.wanted: Target | None = None
        """The newest order."""
        self.loading: Target | None = None
        self.plan_error = ""
        """Why the plan could not be written; empty if it was."""
        self.cached = False
        """Whether what serves was taken from the plan, not from an order of the registry."""

    @property
    def failures(self) -> dict[Digest, Failure]:
        """Versions that could not be brought up."""
        return dict(self._failures)

    def order(self, target: Target) -> None:
        """The ref points there now. The newest order wins, whatever is under way."""
        previous, self.wanted = self.wanted, target
        if previous is None or previous.seq != target.seq:
            self._failures.clear()
        if previous is None:
            self._tell("following", target)
        if target.version is None:
            self._tell(
                "unfollowed",
                target,
                "the ref points nowhere; answers come from what is loaded, if anything is",
            )
        self._changed.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self._changed.clear()
            step = next_step(self._situation(), clock=time.monotonic())
            match step:
                case Step(kind="swap", target=Target() as target):
                    await self._swap(target)
                case Step(kind="load", target=Target() as target):
                    await self._bring_up(target)
                case Step(kind="warm", target=Target() as target):
                    await self._bring_up(target)
                    self._place_warm(target)
                case _:
                    await self._wait(step.until)

    async def stop(self) -> None:
        """End all workers. Call it when `run` has ended and no request is left."""
        slots = self._router.table.slots() | frozenset(self._ready.values())
        self._router.table = Table()
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(
            *(slot.stop() for slot in slots), *self._background, return_exceptions=True
        )

    def _situation(self) -> Situation:
        table = self._router.table
        active = table.active if table.active is not None and not table.active.slot.broken else None
        candidates = {tenure.digest for tenure in table.tenures()}
        loaded = {digest for digest in candidates if table.slot_of(digest) is not None} | set(
            self._ready
        )
        return Situation(
            wanted=self.wanted,
            serving=active.target if active is not None else None,
            loaded=frozenset(loaded),
            failures=self._failures,
            fallback=self._fallback if table.active is None else (),
            rewarm=self._rewarm if not table.warm else None,
        )

    async def _wait(self, until: float | None) -> None:
        timeout_s = None if until is None else max(0.0, until - time.monotonic())
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _bring_up(self, target: Target) -> None:
        """Load a version, unless an order makes it unwanted before it is ready."""
        self.loading = target
        self._tell("loading", target)
        asked = self.wanted
        task = asyncio.create_task(self._load(target), name="load")
        try:
            while not task.done():
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait({task, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if not task.done() and self._overtaken(asked, target):
                    return
                self._changed.clear()
            self._loaded(target, task.result())
        except (LastgoodError, WorkerFailed) as error:
            self._failed(target, str(error))
        finally:
            self.loading = None
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    def _overtaken(self, asked: Target | None, target: Target) -> bool:
        """Whether a newer order than `asked` wants something else than `target`."""
        wanted = self.wanted
        return (
            wanted is not None
            and wanted is not asked
            and wanted.digest not in {None, target.digest}
        )

    async def _load(self, target: Target) -> LoadedWorker:
        if target.digest is None:
            raise Unverified(
                f"Version {target.version} is external: it has no digest, so its bytes cannot be verified",
                hint="lastgood adopt makes it a verified version",
            )
        return await self._loader.load(target.digest)

    def _loaded(self, target: Target, fresh: LoadedWorker) -> None:
        digest = target.digest
        assert digest is not None
        self._failures.pop(digest, None)
        self._ready[digest] = Slot(
            digest,
            first=fresh,
            reload=partial(self._loader.load, digest),
            on_crash=self._crashed,
            on_back=self._back,
            on_broken=self._broken,
        )
        detail = f"{fresh.loaded.warm_up}; loaded in {fresh.loaded.load_ms:.0f} ms"
        if fresh.differing:
            detail += "; packages differ from those recorded: " + ", ".join(fresh.differing)
        self._tell("loaded", target, detail)

    def _failed(self, target: Target, reason: str) -> None:
        key = target.digest if target.digest is not None else Digest("")
        earlier = self._failures.get(key)
        self._failures[key] = failed_again(
            earlier, seq=target.seq, reason=reason, clock=time.monotonic()
        )
        self._tell("load_failed", target, reason)
        _log.error("version %s cannot be loaded: %s", target.version, reason)

    async def _swap(self, target: Target) -> None:
        """Write the plan, then replace the table. The order may change while the plan is written."""
        assert target.digest is not None
        slot = self._ready.get(target.digest) or self._router.table.slot_of(target.digest)
        if slot is None:  # it broke between the decision and now
            return
        asked = self.wanted
        tenure = self._tenure(target, slot)
        before = self._router.table
        after = before.with_active(tenure, keep_warm=self._options.keep_warm)
        await self._write_plan(after)
        if self.wanted is not asked or slot.broken or before is not self._router.table:
            self._changed.set()
            return
        self._ready.pop(target.digest, None)
        self._reporter.watch_meter(tenure.meter)
        self._router.table = after
        self.cached = (
            self.wanted is None or self.wanted.version is None or self.wanted.seq != target.seq
        )
        self._fallback = ()
        self._tell("serving", target)
        _log.info("version %s serves (operation %s)", target.version, target.seq)
        self._retire(before, after)

    def _place_warm(self, target: Target) -> None:
        assert target.digest is not None
        slot = self._ready.pop(target.digest, None)
        self._rewarm = None
        if slot is not None:
            tenure = self._tenure(target, slot)
            self._reporter.watch_meter(tenure.meter)
            self._router.table = self._router.table.with_warm(tenure)

    def _tenure(self, target: Target, slot: Slot) -> Tenure:
        assert target.version is not None
        assert target.digest is not None
        meter = TrafficMeter(
            model=self._options.model,
            ref=self._options.ref,
            version=target.version,
            digest=target.digest,
            seq=target.seq,
            since=now_ms(),
        )
        return Tenure(target, slot, meter)

    async def _write_plan(self, table: Table) -> None:
        """Failing to write it must not keep an order from being carried out; the status shows it."""
        placed = [
            _placed(tenure) for tenure in (table.active, *table.warm[:1]) if tenure is not None
        ]
        options = self._options
        plan = Plan(
            model=options.model,
            ref=options.ref,
            active=placed[0],
            previous=placed[1] if len(placed) > 1 else None,
        )
        try:
            await in_thread(partial(write_plan, options.cache_dir / PLAN_FILE, plan), name="plan")
            self.plan_error = ""
        except OSError as error:
            self.plan_error = str(error)
            _log.warning(
                "the plan cannot be written; a restart without registry will not know: %s", error
            )

    def _retire(self, before: Table, after: Table) -> None:
        """Drain the tenure that was replaced; end the slots that nobody needs; drop old bundles."""
        unneeded = set(before.slots() - after.slots())
        for digest in list(self._ready):  # loaded, then overtaken by a newer order
            unneeded.add(self._ready.pop(digest))
        if before.active is not None:
            self._spawn(self._drain(before.active))
        for tenure in before.tenures():
            if tenure not in after.tenures():
                self._spawn(self._forget(tenure))
        for slot in unneeded:
            self._spawn(self._end(slot))
        self._spawn(self._prune({tenure.digest for tenure in after.tenures()}))

    async def _drain(self, tenure: Tenure) -> None:
        timeout_s = self._options.drain_timeout_s
        idle = await tenure.idle(timeout_s=timeout_s)
        detail = "" if idle else f"{tenure.leases} requests still run after {timeout_s:g} s"
        self._tell("drained", tenure.target, detail)

    async def _forget(self, tenure: Tenure) -> None:
        """Its last window is the last: it cannot answer any more, not even for a broken version."""
        await tenure.idle(timeout_s=self._options.drain_timeout_s)
        self._reporter.close_meter(tenure.meter)

    async def _end(self, slot: Slot) -> None:
        await slot.quiet(timeout_s=self._options.drain_timeout_s)
        await slot.stop()

    async def _prune(self, keep: set[Digest]) -> None:
        try:
            await in_thread(partial(self._cache.prune, keep), name="prune")
        except OSError as error:
            _log.warning("old bundles cannot be removed from the cache: %s", error)

    def _crashed(self, slot: Slot, detail: str) -> None:
        self._tell("crashed", self._target_of(slot), detail)
        _log.error("%s", detail)

    def _back(self, slot: Slot, detail: str) -> None:
        """Whoever was told of the death of what serves must hear that it serves again."""
        active = self._router.table.active
        if active is not None and active.slot is slot:
            self._tell("serving", active.target, detail)

    def _broken(self, slot: Slot, reason: str) -> None:
        target = self._target_of(slot)
        self._tell("crashed", target, f"{reason}; it is not restarted for now")
        _log.error("%s", reason)
        if self._ready.get(slot.digest) is slot:
            del self._ready[slot.digest]
        earlier = self._failures.get(slot.digest)
        self._failures[slot.digest] = failed_again(
            earlier, seq=target.seq, reason=reason, clock=time.monotonic()
        )
        table = self._router.table
        if table.active is None or table.active.slot is not slot:
            self._router.table = table.without(slot)
            self._spawn(slot.stop())
        self._changed.set()

    def _target_of(self, slot: Slot) -> Target:
        table = self._router.table
        for tenure in table.tenures():
            if tenure.slot is slot:
                return tenure.target
        options = self._options
        return Target(model=options.model, ref=options.ref, seq=0, version=None, digest=slot.digest)

    def _tell(self, kind: SlotEventKind, target: Target, detail: str = "") -> None:
        self._reporter.event(
            SlotEvent(
                at_ms=now_ms(),
                kind=kind,
                model=self._options.model,
                ref=self._options.ref,
                version=target.version,
                digest=target.digest,
                seq=target.seq,
                detail=detail,
            )
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _placed(tenure: Tenure) -> Placed:
    return Placed(version=tenure.version, digest=tenure.digest, seq=tenure.seq)

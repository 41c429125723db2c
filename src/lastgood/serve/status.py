"""What `GET /status` shows."""

import os
import time
from typing import Any

from lastgood.core.ids import GatewayId
from lastgood.core.views import Target
from lastgood.serve.follower import Follower
from lastgood.serve.gateway import Counters
from lastgood.serve.options import ServeOptions
from lastgood.serve.reporter import Reporter
from lastgood.serve.spares import SpareWorkers
from lastgood.serve.table import Router, Tenure
from lastgood.serve.watch import Watch

__all__ = ["describe"]


def describe(
    *,
    options: ServeOptions,
    gateway_id: GatewayId,
    router: Router,
    follower: Follower,
    watch: Watch,
    reporter: Reporter,
    spares: SpareWorkers,
    counters: Counters,
) -> dict[str, Any]:
    """Everything that a person asks a gateway when something looks wrong."""
    table = router.table
    return {
        "gateway": gateway_id,
        "pid": os.getpid(),
        "model": options.model,
        "ref": options.ref,
        "ordered": _target(follower.wanted),
        "loading": _target(follower.loading),
        "active": _tenure(table.active),
        "warm": [_tenure(tenure) for tenure in table.warm],
        "served_from_cache": follower.cached,
        "failures": [
            {
                "digest": digest,
                "seq": failure.seq,
                "attempts": failure.attempts,
                "reason": failure.reason,
                "retry_in_s": round(max(0.0, failure.retry_at - time.monotonic()), 1),
            }
            for digest, failure in follower.failures.items()
        ],
        "plan_error": follower.plan_error,
        "registry_stale_s": round(watch.stale_s(reporter.last_contact), 1),
        "registry_error": watch.error or reporter.last_error,
        "spare_pid": spares.pid,
        "worker_python": spares.python,
        "worker_mlflow": spares.mlflow,
        "requests": counters.requests,
        "failed": counters.failures,
        "bad_input": counters.bad_input,
        "timeouts": counters.timeouts,
        "rejected": counters.rejected,
        "in_flight": counters.in_flight,
        "receipts_waiting": reporter.waiting,
        "receipts_dropped": reporter.dropped,
    }


def _target(target: Target | None) -> dict[str, Any] | None:
    if target is None:
        return None
    return {"version": target.version, "digest": target.digest, "seq": target.seq}


def _tenure(tenure: Tenure | None) -> dict[str, Any] | None:
    if tenure is None:
        return None
    slot = tenure.slot
    state = "broken" if slot.broken else "restarting" if slot.restarting else "ready"
    return {
        "version": tenure.version,
        "digest": tenure.digest,
        "seq": tenure.seq,
        "state": state,
        "problem": slot.broken,
        "pid": slot.pid,
        "leases": tenure.leases,
        "requests": tenure.meter.requests,
        "failures": tenure.meter.failures,
        "crashes": slot.crashes,
        "warm_up": slot.loaded.warm_up,
        "packages_differ": list(slot.differing),
    }

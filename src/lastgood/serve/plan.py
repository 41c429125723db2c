"""The plan: what the gateway serves, written down so that a restart needs no registry."""

import logging
from pathlib import Path

import msgspec

from lastgood.core.ids import Digest, ModelName, RefName, VersionNumber, parse_digest
from lastgood.core.views import Target
from lastgood.errors import InvalidInput
from lastgood.serve.bundle import write_durably

__all__ = ["Placed", "Plan", "read_plan", "write_plan"]

PLAN_SCHEMA = 1

_log = logging.getLogger(__name__)


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """One version and the operation that ordered it."""

    version: VersionNumber
    digest: Digest
    seq: int

    def target(self, model: ModelName, ref: RefName) -> Target:
        """As the registry would have said it."""
        return Target(model=model, ref=ref, seq=self.seq, version=self.version, digest=self.digest)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, and what was served before it."""

    model: ModelName
    ref: RefName
    active: Placed
    previous: Placed | None = None
    schema: int = PLAN_SCHEMA


def write_plan(path: Path, plan: Plan) -> None:
    """Replace the plan durably. Raises OSError."""
    write_durably(path, msgspec.json.encode(plan))


def read_plan(path: Path, *, model: ModelName, ref: RefName) -> Plan | None:
    """The plan for that ref; None if there is none that can be used.

    A damaged plan must not stop a gateway: the registry knows better anyway.
    """
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
        for placed in (plan.active, plan.previous):
            if placed is not None:
                parse_digest(placed.digest)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, InvalidInput) as error:
        _log.warning("the plan %s cannot be read and is ignored: %s", path, error)
        return None
    if (plan.model, plan.ref) != (model, ref) or plan.schema != PLAN_SCHEMA:
        _log.warning("the plan %s is for %s@%s and is ignored", path, plan.model, plan.ref)
        return None
    return plan

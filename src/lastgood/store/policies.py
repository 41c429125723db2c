"""Reads of the policies that were ever in force."""

from dataclasses import dataclass

import sqlalchemy as sa

from lastgood.core.ids import Digest, Instant
from lastgood.store.database import Connection
from lastgood.store.schema import policies
from lastgood.store.statement import Statement

__all__ = ["PolicyRow", "policy_at", "policy_now"]


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy; `digest` None: there was none any more."""

    seq: int
    at_ms: Instant
    digest: Digest | None
    text: str


_p = policies.c
_row = sa.select(_p.seq, _p.at_ms, _p.digest, _p.text).order_by(_p.seq.desc()).limit(1)
_now = Statement(_row)
_at = Statement(_row.where(_p.seq <= sa.bindparam("seq")))


def policy_now(connection: Connection) -> PolicyRow | None:
    """The policy in force."""
    row = _now.first(connection)
    return PolicyRow(*row) if row else None


def policy_at(connection: Connection, seq: int) -> PolicyRow | None:
    """The policy that was in force when that operation was the newest."""
    row = _at.first(connection, {"seq": seq})
    return PolicyRow(*row) if row else None

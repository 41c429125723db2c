"""The policy in force, read once per text."""

from functools import lru_cache

from lastgood.core.ids import Digest
from lastgood.core.policy import NO_POLICY, Policy, parse_policy
from lastgood.store.database import Connection
from lastgood.store.policies import policy_now

__all__ = ["policy_in_force"]

_parsed = lru_cache(maxsize=16)(parse_policy)


def policy_in_force(connection: Connection) -> tuple[Policy, Digest | None]:
    """The policy, with its digest; without one: a policy that names no environment."""
    row = policy_now(connection)
    if row is None or row.digest is None:
        return NO_POLICY, None
    return _parsed(row.text), row.digest

"""What `live` makes of the events of a gateway."""

import pytest

from lastgood.core.observations import GatewayReport, SlotEvent


def tell(world, kind, version, *, detail=""):
    """The gateway reports something about a version under the operation that last ordered it."""
    registry = world.registry
    seq = next(e.seq for e in registry.log() if e.reason == f"release {version}")
    digest = registry.show(f"churn/{version}").digest
    event = SlotEvent(
        at_ms=world.time[0],
        kind=kind,
        model="churn",
        ref="production",
        version=version,
        digest=digest,
        seq=seq,
        detail=detail,
    )
    world.batch += 1
    registry.observe(
        GatewayReport(gateway="gateway-1", host="host", url="u", events=(event,), batch=world.batch)
    )
    (view,) = registry.live("churn")
    return view.observed[0]


@pytest.mark.parametrize("kind", ["loading", "loaded", "load_failed", "crashed"])
def test_what_happens_to_a_version_kept_warm_is_not_said_of_the_one_that_serves(three, kind):
    seen = tell(three, kind, 2)
    assert (seen.state, seen.version, seen.agrees) == ("serving", 3, True)
    # The control: the same said of the version that serves does count.
    seen = tell(three, "crashed", 3, detail="it died")
    assert (seen.state, seen.detail, seen.agrees) == ("crashed", "it died", False)
    assert tell(three, "serving", 3, detail="it is back").agrees

"""lastgood.toml: what is right is read in order, what cannot be right is refused with what was meant."""

from datetime import UTC, datetime

import pytest

from lastgood.core.freezes import FreezeWindow
from lastgood.core.gates import AnyOfSpec, MetricSpec, SignatureSpec
from lastgood.core.policy import parse_policy
from lastgood.errors import InvalidInput, TooLarge

GOOD = """
[environments.staging]
bake = "10m"

[environments.production]
promote = ["ana", "ci"]
gates = [
  { type = "metric", metric = "auc", min = 0.8 },
  { type = "any_of", gates = [{ type = "signature" }, { type = "tags", required = ["reviewed"] }] },
]

[models."churn".environments.production]
promote = ["bob"]
"""


def test_environments_keep_their_order_and_models_override_key_by_key():
    policy = parse_policy(GOOD)
    assert list(policy.environments) == ["staging", "production"]
    assert policy.before("production") == "staging"
    assert policy.before("staging") is None
    other, churn = policy.of("fraud", "production"), policy.of("churn", "production")
    assert other.promote == ("ana", "ci")
    assert churn.promote == ("bob",)
    assert churn.gates == other.gates
    assert churn.gates[0] == MetricSpec(metric="auc", min=0.8)
    assert isinstance(churn.gates[1], AnyOfSpec)
    assert churn.gates[1].gates[0] == SignatureSpec()
    assert policy.of("churn", "elsewhere") is None
    assert policy.of("churn", "staging").bake_s == 600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[environments.p]\ngate = []", "did you mean `gates`"),
        ("aply = ['ana']\n[environments.p]", "did you mean `apply`"),
        ("[enviroments.p]", "did you mean `environments`"),
        ("[environments.p]\ngates = [{type = 'metrik', metric = 'a'}]", "did you mean `metric`"),
        ("[environments.p]\ngates = [{type = 'metric', metric = 'a', mim = 1}]", "mean `min`"),
        ("[environments.p]\ngates = [{type = 'metric', metric = 'a'}]", "needs min or max"),
        ("[environments.p]\ngates = [{type = 'metric', metric = 'a', min = nan}]", "numbers"),
        ("[environments.p]\ngates = [{type = 'any_of', gates = []}]", "any_of needs gates"),
        ("[environments.p]\ngates = [{type = 'reproducible', items = ['comit']}]", "mean `commit`"),
        ("[environments.p]\ngates = [{type = 'command', command = ['x']}]", "needs a name"),
        ("[environments.p]\nbake = '10 minutes'", "not a span of time"),
        ("[environments.p]\nunknown = 'pass'", "unknown"),
        ("[environments.p]\nfreeze = [{weekly = 'fri 16:00'}]", "fri 16:00 - mon 08:00"),
        ("[environments.p]\nfreeze = [{weekly = 'fri 16:00 - mon 08:00', timezone = 'X'}]", "zone"),
        ("[environments.p]\n[models.c.environments.q]", "does not have"),
        ("[environments.p]\n[models.c.environments.p]\nbacke = '1s'", "did you mean `bake`"),
        ("[environments.'a b']", "Invalid alias name"),
        ("x = ", "Invalid value"),
    ],
)
def test_what_cannot_be_right_is_refused(text, said):
    with pytest.raises(InvalidInput, match="policy cannot be right") as caught:
        parse_policy(text)
    assert said in caught.value.message


def test_a_policy_has_a_size():
    with pytest.raises(TooLarge):
        parse_policy("#" * 70_000)


def at(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "frozen"),
    [
        ("2026-11-20T14:59", False),  # a Friday, 15:59 in Berlin
        ("2026-11-20T15:00", True),
        ("2026-11-22T12:00", True),
        ("2026-11-23T06:59", True),
        ("2026-11-23T07:00", False),
        ("2026-07-17T13:59", False),  # summer time: 15:59 in Berlin
        ("2026-07-17T14:00", True),
    ],
)
def test_a_weekly_freeze_goes_over_the_end_of_the_week_in_its_own_time_zone(moment, frozen):
    window = FreezeWindow(weekly="fri 16:00 - mon 08:00", timezone="Europe/Berlin")
    assert window.holds_at(at(moment)) is frozen


def test_a_freeze_from_one_time_to_another():
    window = FreezeWindow(begin="2026-12-20T00:00", end="2027-01-02T00:00", timezone="UTC")
    assert [window.holds_at(at(t)) for t in ("2026-12-19T23:59", "2026-12-20T00:00", "2027-01-02T00:00")] == [False, True, False]  # fmt: skip

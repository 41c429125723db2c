"""Last good is evidence, not version N-1: a table of histories against the expected answer."""

from dataclasses import dataclass, field

import pytest

from lastgood.core.goodness import GoodRule, Tenure, judge, last_good

RULE = GoodRule(requests_min=100, seconds_min=60, failure_share_max=0.01)
G = frozenset({"gateway-1"})


def stay(version, seq, *, requests=1000, failures=0, seconds=600, followers=G, loaded=G):
    start = seq * 1_000_000
    return Tenure(
        version=version,
        seq=seq,
        from_ms=start,
        to_ms=start + 900_000,
        followers=followers,
        loaded=loaded,
        requests=requests,
        failures=failures,
        first_ms=start if requests else None,
        last_ms=start + seconds * 1000 if requests else None,
    )


@dataclass
class History:
    what: str
    tenures: list
    current: int | None
    expected: int | None
    marks: dict = field(default_factory=dict)
    held: tuple = ()
    unavailable: dict = field(default_factory=dict)


HISTORIES = [
    History("nothing was ever live", [], None, None),
    History("only the live version ever served", [stay(1, 1)], 1, None),
    History("the ordinary case", [stay(1, 1), stay(2, 2)], 2, 1),
    History(
        "the predecessor never served a request",
        [stay(1, 1), stay(2, 2, requests=0), stay(3, 3)],
        3,
        1,
    ),
    History(
        "the predecessor served too few", [stay(1, 1), stay(2, 2, requests=99), stay(3, 3)], 3, 1
    ),
    History(
        "the predecessor served too briefly", [stay(1, 1), stay(2, 2, seconds=59), stay(3, 3)], 3, 1
    ),
    History(
        "the predecessor failed more than its own",
        [stay(1, 1), stay(2, 2, failures=5), stay(3, 3)],
        3,
        1,
    ),
    History(
        "the predecessor failed, but no more than its own",
        [stay(1, 1, failures=5), stay(2, 2, failures=5), stay(3, 3)],
        3,
        2,
    ),
    History(
        "the first version failed within what is allowed",
        [stay(1, 1, failures=10), stay(2, 2)],
        2,
        1,
    ),
    History("the first version failed too much", [stay(1, 1, failures=11), stay(2, 2)], 2, None),
    History(
        "nobody followed the environment", [stay(1, 1, followers=frozenset()), stay(2, 2)], 2, None
    ),
    History(
        "one of two gateways never loaded it",
        [stay(1, 1), stay(2, 2, followers=frozenset({"gateway-1", "gateway-2"})), stay(3, 3)],
        3,
        1,
    ),
    History(
        "flapping between two good ones", [stay(1, 1), stay(2, 2), stay(1, 3), stay(2, 4)], 2, 1
    ),
    History("flapping ended on the older one", [stay(1, 1), stay(2, 2), stay(1, 3)], 1, 2),
    History(
        "an archived candidate that failed its gate was never live",
        [stay(1, 1), stay(2, 2)],  # version 3 was registered, staged and archived: no tenure
        2,
        1,
    ),
    History(
        "two bad in a row, the first rolled back",
        [stay(1, 1), stay(2, 2), stay(1, 3, requests=3, seconds=1), stay(3, 4)],
        3,
        1,
        held=(2,),
    ),
    History(
        "two bad in a row, both held, nothing older",
        [stay(2, 2), stay(3, 3), stay(4, 4)],
        4,
        None,
        held=(2, 3),
    ),
    History(
        "after a rollback the next one goes further back",
        [stay(1, 1), stay(2, 2), stay(3, 3), stay(2, 4)],
        2,
        1,
        held=(3,),
    ),
    History(
        "the good one was marked bad since",
        [stay(1, 1), stay(2, 2), stay(3, 3)],
        3,
        1,
        marks={2: "bad"},
    ),
    History(
        "the good one was yanked", [stay(1, 1), stay(2, 2), stay(3, 3)], 3, 1, marks={2: "yanked"}
    ),
    History(
        "a mark of good stands in for traffic",
        [stay(1, 1), stay(2, 2, requests=0), stay(3, 3)],
        3,
        2,
        marks={2: "good"},
    ),
    History(
        "a mark of good does not lift a hold",
        [stay(1, 1), stay(2, 2), stay(3, 3)],
        3,
        1,
        marks={2: "good"},
        held=(2,),
    ),
    History("marked good without ever having been live", [stay(3, 3)], 3, 2, marks={2: "good"}),
    History(
        "the artifact was deleted",
        [stay(1, 1), stay(2, 2), stay(3, 3)],
        3,
        1,
        unavailable={2: "it was deleted"},
    ),
    History(
        "all artifacts were deleted",
        [stay(1, 1), stay(2, 2)],
        2,
        None,
        unavailable={1: "it was deleted"},
    ),
    History("the environment is empty now", [stay(1, 1), stay(2, 2)], None, 2),
    History(
        "an old good stay counts although a newer one of the same version was short",
        [stay(1, 1), stay(2, 2), stay(1, 3, requests=1), stay(2, 4, requests=1), stay(3, 5)],
        3,
        2,
    ),
    History(
        "a veto holds for older stays of the version too",
        [stay(2, 1), stay(1, 2, requests=0), stay(2, 3), stay(3, 4)],
        3,
        None,
        held=(2,),
    ),
]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda h: h.what.replace(" ", "-"))
def test_last_good_of(history):
    found, passed_over = last_good(
        history.tenures,
        current=history.current,
        rule=RULE,
        marks=history.marks,
        held=history.held,
        unavailable=history.unavailable,
    )
    assert (found.version if found else None) == history.expected
    assert all(candidate.because and not candidate.good for candidate in passed_over)
    if found:
        assert found.because
        assert found.version not in {c.version for c in passed_over}


def test_version_n_minus_1_would_be_wrong_for_most_of_the_table():
    """The control: the rule that everybody uses by default answers many of these histories wrongly."""

    def n_minus_1(history):
        return history.current - 1 if history.current and history.current > 1 else None

    wrong = [h.what for h in HISTORIES if n_minus_1(h) != h.expected]
    assert len(wrong) > len(HISTORIES) / 2


@pytest.mark.parametrize("missing", ["requests", "time", "followers"])
def test_missing_evidence_is_never_good_even_under_a_rule_that_asks_for_nothing(missing):
    lax = GoodRule(requests_min=0, seconds_min=0, failure_share_max=1)
    tenure = {
        "requests": stay(1, 1, requests=0),
        "time": stay(1, 1, requests=0, seconds=0),
        "followers": stay(1, 1, followers=frozenset()),
    }[missing]
    good, because = judge(tenure, None, lax)
    assert not good
    assert because

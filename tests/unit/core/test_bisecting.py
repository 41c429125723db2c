"""The search for the first bad version, against every possible answer."""

import math

import pytest

from lastgood.core.bisecting import Found, between, next_step
from lastgood.errors import InvalidInput


def search(versions, verdict_of):
    verdicts = {}
    while not isinstance(step := next_step(versions, verdicts), Found):
        assert step not in verdicts
        assert step not in {versions[0], versions[-1]}
        verdicts[step] = verdict_of(step)
    return step, len(verdicts)


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 33, 100])
def test_it_finds_the_first_bad_one_in_about_log2_trials(count):
    versions = [3 * n for n in range(1, count + 1)]
    for first in range(1, count):
        found, trials = search(
            versions, lambda v, bad=versions[first]: "bad" if v >= bad else "good"
        )
        assert (found.first_bad, found.last_good) == (versions[first], versions[first - 1])
        assert found.suspects == ()
        assert trials <= math.ceil(math.log2(count))


def test_what_cannot_be_told_is_left_open():
    versions = list(range(1, 10))
    for first in range(1, 9):
        for skipped in ({2, 3, 4}, {5}, {8}, set(range(2, 9))):
            found, _ = search(
                versions,
                lambda v, bad=versions[first], untold=skipped: (
                    "skip" if v in untold else "bad" if v >= bad else "good"
                ),
            )
            assert versions[first] in {found.first_bad, *found.suspects}
            assert set(found.suspects) <= skipped


def test_good_has_to_be_older():
    assert between([5, 1, 3, 2], good=2, bad=5) == (2, 3, 5)
    for good, bad in ((3, 3), (4, 3)):
        with pytest.raises(InvalidInput, match="older"):
            between([3, 4], good=good, bad=bad)

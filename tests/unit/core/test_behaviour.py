import pytest

from lastgood.core.behaviour import compare_answers


@pytest.mark.parametrize(
    ("before", "after", "changed", "share", "largest"),
    [
        ([0.1, 0.2], [0.1, 0.2 + 1e-9], 0, 0.0, pytest.approx(1e-9)),
        ([0.1, 0.2], [0.1, 0.5], 1, 0.5, pytest.approx(0.3)),
        (["yes", "no"], ["no", "no"], 1, 0.5, None),
        ([{"p": 1.0}], [{"p": 2.0}], 1, 1.0, None),
        ([1, 2], [1], 1, 0.5, None),
        ([], [], 0, None, None),
        ("text", "text", 0, 0.0, None),
    ],
)
def test_changed_answers_are_counted_one_by_one(before, after, changed, share, largest):
    found = compare_answers(before, after, tolerance=1e-6)
    assert (found.changed, found.share, found.largest) == (changed, share, largest)
    assert bool(found.first) == (changed > 0)

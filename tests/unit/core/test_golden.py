import math

import pytest

from lastgood.core.golden import GOLDEN_SIZE_MAX, Golden, decode_golden
from lastgood.errors import IntegrityFailure


def kept(answers):
    """As they come back from the object that keeps them."""
    return decode_golden(Golden(input="input_example.json", answers=answers).encode())


@pytest.mark.parametrize(
    ("then", "now", "differs"),
    [
        ([1.5, 2.5], [1.5, 2.5], False),
        ([1.5, 2.5], [1.5 + 1e-12, 2.5], False),
        ([1.5, 2.5], [1.501, 2.5], True),
        ([0.0], [1e-8], True),  # the absolute tolerance is the smaller one
        ([{"p": 0.5}], [{"p": 0.5}], False),
        ([{"p": 0.5}], [{"q": 0.5}], True),
        ([1.0, math.nan], [1.0, math.nan], False),
        ([1.0, math.nan], [1.0, 2.0], True),
        ([True], [1.0], True),
        (["yes"], ["no"], True),
        ([1], [1, 2], True),
    ],
)
def test_answers_are_compared_with_those_that_were_kept(then, now, differs):
    assert bool(kept(then).difference(now)) == differs


def test_what_was_written_is_what_is_read():
    golden = Golden(input="x.json", answers=[{"p": 0.5}], deterministic=False)
    assert decode_golden(golden.encode()) == golden
    assert Golden(input="x.json", answers="a" * GOLDEN_SIZE_MAX).encode() is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"schema": 1, "input": 3, "answers": 1}'])
def test_what_holds_no_golden_answers_is_told(body):
    with pytest.raises(IntegrityFailure, match="cannot be read"):
        decode_golden(body)

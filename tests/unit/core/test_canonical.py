"""The quick encoder gives the very bytes of the reference implementation, or is not used."""

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from lastgood.core.canonical import canonical

NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
@example({"\ue000": 1, "\U0001f600": 2})  # UTF-16 and UTF-8 sort these two differently
@example({"b": "".join(map(chr, range(0x100))), "a": "\u2028\u2029\ufeff"})
@example({"value": 1e21, "small": 5e-324, "whole": 1.0, "zero": -0.0})
def test_the_bytes_are_those_of_the_standard(value):
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value", [2**53, -(2**53), float("nan"), "\ud800", {1: 2}, {"a": b"bytes"}]
)
def test_what_the_standard_cannot_carry_is_refused(value):
    with pytest.raises((rfc8785.CanonicalizationError, ValueError, TypeError)):
        canonical(value)

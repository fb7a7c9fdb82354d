"""Exact sums, against `math.fsum`, which rounds the exact sum of its terms once."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from runtime.core.exact import exact, nearest

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)


@given(FINITE)
def test_a_float_is_its_multiple_of_the_smallest_float(value: float) -> None:
    assert Fraction(exact(value), 1 << 1074) == Fraction(value)
    assert nearest(exact(value)) == value


@given(st.lists(st.floats(-1e300, 1e300), max_size=30), st.data())
def test_any_grouping_and_order_gives_the_exact_sum(
    values: list[float], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(values)))
    shuffled = data.draw(st.permutations(values))
    parts = sum(map(exact, shuffled[:cut])), sum(map(exact, shuffled[cut:]))
    assert nearest(sum(parts)) == math.fsum(values)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_has_no_exact_sum(value: float) -> None:
    with pytest.raises((OverflowError, ValueError)):
        exact(value)

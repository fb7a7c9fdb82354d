"""Tukey's rule, against matplotlib's box plot and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from matplotlib.cbook import boxplot_stats

from runtime.report.outliers import distance_beyond, tukey_fences

POSITIVE = st.lists(st.floats(1e-3, 1e6), min_size=3, max_size=40)


def test_the_fences_by_hand() -> None:
    # quartiles 2 and 4
    fences = tukey_fences("q", [1.0, 2.0, 3.0, 4.0, 5.0], "linear")
    assert (fences.low, fences.high) == (-1.0, 7.0)
    assert distance_beyond(fences, [7.0, 9.0, -5.0]) == [0.0, 1.0, 2.0]


def test_on_a_logarithmic_scale_half_is_as_far_as_twice() -> None:
    fences = tukey_fences("q", [1.0, 2.0, 4.0, 8.0, 16.0], "log")
    assert (fences.low, fences.high) == pytest.approx((0.25, 64.0))
    assert distance_beyond(fences, [0.125, 128.0]) == pytest.approx([0.5, 0.5])


@given(POSITIVE)
def test_the_outliers_are_the_fliers_of_a_box_plot(values: list[float]) -> None:
    fences = tukey_fences("q", values, "log")
    (box,) = boxplot_stats(np.log(values), whis=1.5)
    low, high = box["q1"] - 1.5 * box["iqr"], box["q3"] + 1.5 * box["iqr"]
    for value, beyond in zip(np.log(values), distance_beyond(fences, values), strict=True):
        if min(abs(value - low), abs(value - high)) > 1e-8:  # on a fence, rounding decides
            assert (value in box["fliers"]) == (beyond > 0.0)


@given(POSITIVE, st.floats(0.01, 100.0))
def test_a_change_of_unit_changes_no_outlier(values: list[float], factor: float) -> None:
    scaled = [factor * value for value in values]
    before = tukey_fences("q", values, "log")
    after = tukey_fences("q", scaled, "log")
    assert (after.low, after.high) == pytest.approx((factor * before.low, factor * before.high))


def test_where_nearly_all_values_are_one_any_other_is_infinitely_far() -> None:
    fences = tukey_fences("q", [2.0] * 9, "log")
    assert distance_beyond(fences, [2.0, 3.0]) == [0.0, math.inf]


def test_without_values_there_are_no_fences() -> None:
    fences = tukey_fences("q", [], "log")
    assert math.isnan(fences.low)
    assert distance_beyond(fences, []) == []

"""The two-sample test and its correction, against counting by hand."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import ks_2samp

from runtime.report.two_sample import compare_splits, holm


def largest_distance(first: list[float], second: list[float]) -> float:
    """D from its definition: at every value, how many of each are at or below it."""
    return max(
        abs(sum(a <= x for a in first) / len(first) - sum(b <= x for b in second) / len(second))
        for x in [*first, *second]
    )


def test_the_statistic_and_its_p_are_those_counted_over_all_ways_to_deal_the_values() -> None:
    first, second = [1.0, 2.0, 3.0, 4.0], [2.5, 3.5, 4.5, 5.5]
    (test,) = compare_splits({"q": {"a": first, "b": second}})
    assert test.statistic == 0.5  # at 2: half of the first, none of the second
    values = sorted(first + second)
    deals = list(combinations(values, 4))
    as_far = sum(
        largest_distance(list(deal), [v for v in values if v not in deal]) >= 0.5 for deal in deals
    )
    assert test.p_value == pytest.approx(as_far / len(deals))
    assert test.holm_p_value == test.p_value


def test_each_quantity_is_compared_for_each_pair_of_splits() -> None:
    rng = np.random.default_rng(0)
    values = {
        quantity: {
            split: rng.normal(size=n).tolist() for split, n in (("a", 30), ("b", 20), ("c", 9))
        }
        for quantity in ("x", "y")
    }
    tests = compare_splits(values)
    assert [(t.quantity, t.first, t.second) for t in tests] == [
        (q, *pair) for q in "xy" for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    for test in tests:
        expected = ks_2samp(values[test.quantity][test.first], values[test.quantity][test.second])
        assert (test.statistic, test.p_value) == (expected.statistic, expected.pvalue)
        sizes = (len(values[test.quantity][s]) for s in (test.first, test.second))
        assert (test.first_n, test.second_n) == tuple(sizes)


def test_what_differs_is_found_and_what_does_not_is_not() -> None:
    rng = np.random.default_rng(1)
    same, other = (rng.normal(size=300).tolist() for _ in range(2))
    shifted = (rng.normal(size=300) + 0.5).tolist()
    tests = compare_splits({"q": {"a": same, "b": other, "c": shifted}})
    assert [test.holm_p_value < 0.01 for test in tests] == [False, True, True]


def test_a_split_without_values_cannot_be_compared_and_does_not_count() -> None:
    tests = compare_splits({"q": {"a": [1.0, 2.0], "b": [], "c": [3.0, 4.0]}})
    assert [math.isnan(test.p_value) for test in tests] == [True, False, True]
    assert tests[1].holm_p_value == tests[1].p_value


def test_one_split_has_nothing_to_be_compared_with() -> None:
    assert compare_splits({"q": {"a": [1.0]}}) == ()


def test_holms_correction_by_hand() -> None:
    # 0.01 x 3; 0.03 x 2; 0.04 x 1 would be less than the one before
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6))
def test_holms_correction_is_closed_testing_with_bonferroni(p_values: list[float]) -> None:
    # Marcus, Peritz, Gabriel 1976: a hypothesis falls when every set that holds it falls.
    indices = range(len(p_values))
    sets = [s for size in range(1, len(p_values) + 1) for s in combinations(indices, size)]
    expected = [
        max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in sets if i in s) for i in indices
    ]
    assert holm(p_values) == pytest.approx(expected)

"""The paper's claims: true where curves are made to have them, false or open where not."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from bench.study.claims.claim import Claim, Measure, exactly, over_trainings
from runtime.scoring.intervals import Interval


def test_a_measure_over_trainings_has_students_interval() -> None:
    values = [0.2, 0.35, 0.3, 0.24]
    found = over_trainings("gain", values, above=0.0).value
    low, high = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), low, high))


def test_ratios_are_averaged_by_their_logarithms() -> None:
    values = [2.0, 8.0, 3.0]
    found = over_trainings("ratio", values, above=1.0, ratio=True)
    low, high = np.exp(ttest_1samp(np.log(values), 0.0).confidence_interval(0.95))
    expected = np.cbrt(48.0), low, high
    assert (found.value.value, found.value.low, found.value.high) == pytest.approx(expected)
    assert found.by_training == (2.0, 8.0, 3.0)
    assert over_trainings("ratio", [2.0, 0.0, 3.0], above=1.0, ratio=True).verdict == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "above", "expected"),
    [
        (0.1, 0.2, True, "agrees"),
        (0.1, 0.2, False, "disagrees"),
        (-0.2, -0.1, True, "disagrees"),
        (-0.2, -0.1, False, "agrees"),
        (-0.1, 0.1, True, "undecided"),
        (0.0, 0.1, True, "undecided"),
        (0.0, 0.0, True, "disagrees"),
        (math.nan, math.nan, True, "undecided"),
    ],
)
def test_a_measure_needs_its_whole_interval_beyond_the_limit(
    low: float, high: float, above: bool, expected: str
) -> None:
    assert Measure("", Interval(0.0, low, high), above, 0.0).verdict == expected


def test_a_claim_agrees_with_all_its_measures_and_disagrees_with_one() -> None:
    yes, no = exactly("", 1.0, above=0.0), exactly("", -1.0, above=0.0)
    unclear = Measure("", Interval(0.0, -1.0, 1.0), True, 0.0)
    for measures, expected in (
        ((yes, yes), "agrees"),
        ((yes, unclear), "undecided"),
        ((yes, unclear, no), "disagrees"),
        ((), "undecided"),
    ):
        assert Claim("a", "", "", measures).verdict == expected
    assert Claim("a", "", "", (yes,), note="another machine").verdict == "undecided"

"""The median's interval against the binomial distribution, and against what it promises."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from bench.medians import LEVEL, RANKING_LEVEL, median, verdict_of
from runtime.scoring.intervals import Interval

stats = pytest.importorskip("scipy.stats")


@settings(deadline=None)
@given(st.integers(1, 300), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_its_ends_are_the_innermost_order_statistics_that_keep_the_level(
    count: int, level: float
) -> None:
    binomial = stats.binom(count, 0.5)
    found = median(np.random.default_rng(count).permutation(count).astype(float), level)
    assert found.value == (count - 1) / 2
    if math.isnan(found.low):
        assert 1.0 - 2.0 * binomial.cdf(0) < level
        return
    rank = int(found.low)  # from 0; the sample is 0, 1, ..., count - 1
    assert found.high == count - 1 - rank
    assert 1.0 - 2.0 * binomial.cdf(rank) >= level
    assert 1.0 - 2.0 * binomial.cdf(rank + 1) < level


def test_it_holds_the_true_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    intervals = [median(rng.exponential(size=25)) for _ in range(4000)]
    held = np.mean([i.low <= math.log(2.0) <= i.high for i in intervals])
    # Order statistics come in steps: 25 samples hold it in 95.7 %.
    assert held == pytest.approx(0.957, abs=0.012)


@pytest.mark.parametrize(("level", "fewest"), [(0.95, 6), (0.99, 8)])
def test_a_few_samples_have_no_interval(level: float, fewest: int) -> None:
    assert math.isnan(median(np.arange(fewest - 1.0), level).low)
    enough = median(np.arange(float(fewest)), level)
    assert (enough.low, enough.high) == (0.0, fewest - 1.0)
    assert math.isnan(median(np.array([]), level).value)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.8, 0.9, "faster"), (1.1, 1.2, "slower"), (0.9, 1.1, "not ranked"),
     (0.9, 1.0, "not ranked"), (1.0, 1.1, "not ranked")],
)  # fmt: skip
def test_a_ratio_is_ranked_where_its_whole_interval_is_on_one_side_of_one(
    low: float, high: float, verdict: str
) -> None:
    assert verdict_of(Interval((low + high) / 2, low, high)) == verdict


def test_latencies_are_ranked_at_99_per_cent() -> None:
    assert (LEVEL, RANKING_LEVEL) == (0.95, 0.99)
    samples = np.arange(40.0)
    assert median(samples, RANKING_LEVEL).low < median(samples).low

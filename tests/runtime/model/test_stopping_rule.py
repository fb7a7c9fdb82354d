"""The stopping rule: a precise median, or many runs, end a timing."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from runtime.core.errors import ConfigError
from runtime.model.stopping_rule import StoppingRule, median_interval


def test_the_rule_stops_when_the_median_is_sure_or_runs_are_many() -> None:
    rule = StoppingRule(precision=0.01, min_runs=30, max_runs=100, max_seconds=10.0)
    steady = np.full(100, 0.02)
    noisy = np.random.default_rng(0).lognormal(-4.0, 1.0, 100)
    assert not rule.is_met(steady[:29])
    assert rule.is_met(steady[:30])
    assert not rule.is_met(noisy[:99])
    assert rule.is_met(noisy[:100])


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_seconds_that_are_no_limit_are_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="expected seconds and a precision above 0"):
        StoppingRule(max_seconds=seconds)


def test_an_exact_rule_does_not_look_at_the_median() -> None:
    rule = StoppingRule.exactly(7)
    steady = np.full(7, 0.02)
    assert not rule.is_met(steady[:6])
    assert rule.is_met(steady)


def test_the_precision_is_half_the_width_of_the_interval_as_a_share_of_the_median() -> None:
    seconds = np.random.default_rng(0).normal(1.0, 0.02, 51)
    low, high = median_interval(seconds, 0.95)
    precision = (high - low) / 2 / float(np.median(seconds))
    assert StoppingRule(precision=1.001 * precision).is_met(seconds)
    assert not StoppingRule(precision=0.999 * precision).is_met(seconds)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_interval_is_that_of_the_binomial_distribution(level: float) -> None:
    for count in range(1, 120):
        below = binom.cdf(np.arange(count - 1), count, 0.5)
        rank = int(np.count_nonzero(below <= (1 - level) / 2))
        expected = (rank - 1, count - rank) if rank else (math.nan, math.nan)
        found = median_interval(np.arange(count, dtype=np.float64), level)
        assert found == pytest.approx(expected, nan_ok=True)

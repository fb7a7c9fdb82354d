"""The stopping rule: a precise median, or many runs, end a timing."""

import math

import numpy as np
import pytest

from runtime.core.errors import ConfigError
from runtime.model.stopping import StoppingRule


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

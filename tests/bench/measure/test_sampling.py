"""Percentiles, the stopping rule, and verdicts that keep their promise."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, strategies as st

from bench.measure.sampling import StoppingRule, compare_latency, summarize
from runtime.core.errors import ConfigError

SECONDS = st.lists(st.floats(1e-4, 10.0), min_size=2, max_size=300)


@given(SECONDS)
def test_percentiles_are_those_of_the_standard_library(seconds: list[float]) -> None:
    found = summarize(np.array(seconds))
    cuts = statistics.quantiles((1e3 * s for s in seconds), n=100, method="inclusive")
    assert (found.p50, found.p90, found.p99) == pytest.approx((cuts[49], cuts[89], cuts[98]))
    assert found.mean == pytest.approx(1e3 * statistics.fmean(seconds))
    assert found.runs == len(seconds)


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


def two_models(rng: np.random.Generator, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Two models on a machine that drifts by tens of percent while they take turns."""
    drift = np.exp(np.cumsum(rng.normal(0.0, 0.05, 60)))
    noise = rng.lognormal(0.0, 0.05, (2, 60))
    return 0.01 * ratio * drift * noise[0], 0.01 * drift * noise[1]


def test_equal_models_are_hardly_ever_ranked_and_different_ones_are() -> None:
    rng = np.random.default_rng(0)
    equal = [compare_latency("a", "b", *two_models(rng, 1.0)).verdict for _ in range(1000)]
    assert equal.count("not ranked") >= 975
    faster = [compare_latency("a", "b", *two_models(rng, 0.93)).verdict for _ in range(100)]
    assert faster.count("faster") >= 95
    slower = [compare_latency("a", "b", *two_models(rng, 1.08)).verdict for _ in range(100)]
    assert slower.count("slower") >= 95


def test_only_common_rounds_are_compared_and_few_rank_nothing() -> None:
    one, other = np.full(20, 1.0), np.array([2.0] * 7 + [0.1] * 2)
    found = compare_latency("a", "b", one, other)
    assert (found.rounds, found.ratio, found.verdict) == (9, 0.5, "not ranked")
    few = compare_latency("a", "b", one, other[:7])
    assert few.verdict == "not ranked"
    assert math.isnan(few.low)
    assert compare_latency("a", "b", one, np.full(8, 2.0)).verdict == "faster"

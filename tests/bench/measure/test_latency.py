"""Percentiles, and verdicts that are right as often as they promise."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, strategies as st

from bench.measure.latency import compare_latency, summarize

SECONDS = st.lists(st.floats(1e-4, 10.0), min_size=2, max_size=300)


@given(SECONDS)
def test_percentiles_are_those_of_the_standard_library(seconds: list[float]) -> None:
    found = summarize(np.array(seconds))
    cuts = statistics.quantiles((1e3 * s for s in seconds), n=100, method="inclusive")
    assert (found.p50, found.p90, found.p99) == pytest.approx((cuts[49], cuts[89], cuts[98]))
    assert found.mean == pytest.approx(1e3 * statistics.fmean(seconds))
    assert found.runs == len(seconds)


def two_models(rng: np.random.Generator, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Two models on a machine that drifts by tens of percent while they are timed interleaved."""
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

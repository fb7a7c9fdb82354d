"""Limits of a budget: their range, and how they read."""

import pytest

from bench.frontier.budget import Budget
from runtime.core.errors import ConfigError


@pytest.mark.parametrize("limit", [-1.0, float("inf"), float("nan")])
def test_limits_out_of_range_are_refused(limit: float) -> None:
    with pytest.raises(ConfigError, match="max_memory_mb: expected 0 or more"):
        Budget(max_memory_mb=limit)


def test_a_budget_names_its_limits() -> None:
    assert str(Budget()) == ""
    assert not Budget().is_given
    assert str(Budget(max_latency_ms=20, max_memory_mb=150)) == (
        "p90 of at most 20 ms, a peak of at most 150 MB"
    )
    assert Budget(min_iou=0.0).is_given
    assert not Budget(min_iou=0.5).limits_cost

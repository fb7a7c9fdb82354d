"""Latency, on a clock that the test turns: every run is counted, and the networks take turns."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import runtime.model.latency
from runtime.model.latency import WARM_UP, measure_latency


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


def stub(name: str, clock: Clock, seconds: list[float], turns: list[str]) -> Any:
    def run(image: np.ndarray) -> None:
        assert image.shape == (1, 3, 16, 32)
        turns.append(name)
        ran = turns.count(name) - 1
        # The first of each two fills the caches: its time is another, and counts for nothing.
        clock.now += seconds[ran // 2 % len(seconds)] if ran % 2 else 5.0

    return SimpleNamespace(size=(16, 32), threads=2, run=run)


def test_percentiles_are_those_of_every_run_after_the_warm_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, turns = Clock(), []  # type: ignore[var-annotated]
    monkeypatch.setattr(runtime.model.latency, "time", clock)
    times = [9.0] * WARM_UP + [0.001 * (1 + n) for n in range(20)]
    steady, slow = (stub(n, clock, t, turns) for n, t in (("a", [0.004]), ("b", times)))
    first, second = measure_latency([steady, slow], runs=20)
    assert first.p50_ms == pytest.approx(4.0)
    assert first.p99_ms == pytest.approx(4.0)
    expected = np.quantile(np.arange(1.0, 21.0), (0.5, 0.9, 0.99))
    assert (second.p50_ms, second.p90_ms, second.p99_ms) == pytest.approx(tuple(expected))
    assert second.mean_ms == pytest.approx(10.5)
    assert (second.runs, second.threads) == (20, 2)
    assert turns == ["a", "a", "b", "b"] * (WARM_UP + 20)

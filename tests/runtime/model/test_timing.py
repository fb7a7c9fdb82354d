"""Interleaved timing: each network once a round, in random order; a failing one stops no other."""

import time
from collections import Counter
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import runtime.model.timing
from runtime.core.errors import MeasurementError
from runtime.core.progress import Progress
from runtime.model.stopping_rule import StoppingRule
from runtime.model.timing import (
    WARM_UP_ROUNDS,
    InterleavedTiming,
    TimedRun,
    measure_latency,
    time_interleaved,
    timed,
)

RULE = StoppingRule(min_runs=10, max_runs=40)


def steady(name: str, order: list[str], seconds: float = 0.01) -> TimedRun:
    def run() -> float:
        order.append(name)
        return seconds

    return run


def test_every_round_runs_each_model_once_in_an_order_that_changes() -> None:
    order: list[str] = []
    rng = np.random.default_rng(0)
    timing = InterleavedTiming(
        [lambda: order.append("a") or float(rng.random()), steady("b", order)],  # type: ignore[func-returns-value]
        StoppingRule(min_runs=40, max_runs=40),
    )
    timing.run()
    rounds = [tuple(order[i : i + 2]) for i in range(0, len(order), 2)]
    assert len(rounds) == WARM_UP_ROUNDS + 40
    assert {frozenset(r) for r in rounds} == {frozenset("ab")}
    assert 10 <= Counter(rounds)["a", "b"] <= 33
    assert len(timing.seconds(0)) == len(timing.seconds(1)) == 40


def test_all_continue_until_each_has_enough() -> None:
    order: list[str] = []
    rng = np.random.default_rng(0)
    timing = InterleavedTiming([steady("a", order), lambda: float(rng.lognormal())], RULE)
    seen: list[Progress] = []
    timing.run(seen.append)
    assert [len(timing.seconds(i)) for i in range(2)] == [40, 40]
    assert order == ["a"] * (WARM_UP_ROUNDS + 40)
    assert [(p.done, p.total) for p in seen] == [(n, 40) for n in range(1, 41)]


def test_the_shared_time_ends_the_timing_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    rng = np.random.default_rng(0)

    def taking(seconds: float) -> TimedRun:
        def run() -> float:
            now[0] += seconds
            return float(rng.lognormal())

        return run

    timing = InterleavedTiming([taking(1.0), taking(3.0)], StoppingRule(max_seconds=10.0))
    timing.run()
    assert [len(timing.seconds(i)) for i in range(2)] == [5, 5]


def test_a_model_that_fails_is_not_run_again_and_its_error_is_there() -> None:
    order: list[str] = []
    calls = iter(range(WARM_UP_ROUNDS + 4))

    def failing() -> float:
        if next(calls, None) is None:
            raise MeasurementError("fell over")
        return 0.01

    timing = InterleavedTiming([failing, steady("b", order)], RULE)
    timing.run()
    assert (str(timing.failure(0)), timing.failure(1)) == ("fell over", None)
    assert [len(timing.seconds(i)) for i in range(2)] == [4, 10]


def test_what_was_sampled_before_an_interruption_is_there() -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 5:
            raise KeyboardInterrupt

    timing = InterleavedTiming([steady("a", [])], RULE)
    with pytest.raises(KeyboardInterrupt):
        timing.run(stop)
    assert timing.seconds(0).tolist() == [0.01] * 5


class Clock:
    """A clock that only moves when a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_stubs_of_known_time_are_measured_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(runtime.model.timing, "time", clock)
    runs = [timed(partial(clock.sleep, seconds), untimed=1) for seconds in (0.05, 0.08)]
    for seconds, known in zip(time_interleaved(runs, 11), (0.05, 0.08), strict=True):
        assert seconds == pytest.approx(known)


def test_a_failure_among_interleaved_runs_is_raised() -> None:
    def failing() -> float:
        raise MeasurementError("fell over")

    with pytest.raises(MeasurementError, match="fell over"):
        time_interleaved([lambda: 0.01, failing], 3)


def stub(name: str, clock: Clock, seconds: list[float], order: list[str]) -> Any:
    def run(image: np.ndarray) -> None:
        assert image.shape == (1, 3, 16, 32)
        order.append(name)
        ran = order.count(name) - 1
        # The first of each two fills the caches: its time is another, and counts for nothing.
        clock.now += seconds[ran // 2 % len(seconds)] if ran % 2 else 5.0

    return SimpleNamespace(size=(16, 32), threads=2, run=run)


def test_latency_percentiles_are_those_of_every_run_after_the_warm_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, order = Clock(), []  # type: ignore[var-annotated]
    monkeypatch.setattr(runtime.model.timing, "time", clock)
    times = [9.0] * 3 + [0.001 * (1 + n) for n in range(20)]
    steady, slow = (stub(n, clock, t, order) for n, t in (("a", [0.004]), ("b", times)))
    first, second = measure_latency([steady, slow], runs=20)
    assert first.p50_ms == pytest.approx(4.0)
    assert first.p99_ms == pytest.approx(4.0)
    expected = np.quantile(np.arange(1.0, 21.0), (0.5, 0.9, 0.99))
    assert (second.p50_ms, second.p90_ms, second.p99_ms) == pytest.approx(tuple(expected))
    assert second.mean_ms == pytest.approx(10.5)
    assert (second.runs, second.threads) == (20, 2)
    assert order[::2] == order[1::2], "each timed run follows an untimed one"
    rounds = [tuple(order[i : i + 4 : 2]) for i in range(0, len(order), 4)]
    assert len(rounds) == 3 + 20
    assert set(rounds) == {("a", "b"), ("b", "a")}

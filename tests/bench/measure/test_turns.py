"""Models take turns: each once a round, in changing order, and one that fails holds up no other."""

import time
from collections import Counter

import numpy as np
import pytest

from bench.measure.sampling import StoppingRule, summarize
from bench.measure.turns import WARM_UP, Subject, Turns
from runtime.core.errors import MeasurementError

RULE = StoppingRule(min_runs=10, max_runs=40)


def steady(name: str, order: list[str], seconds: float = 0.01) -> Subject:
    def run() -> float:
        order.append(name)
        return seconds

    return run


def test_every_round_runs_each_model_once_in_an_order_that_changes() -> None:
    order: list[str] = []
    rng = np.random.default_rng(0)
    turns = Turns(
        [lambda: order.append("a") or float(rng.random()), steady("b", order)],  # type: ignore[func-returns-value]
        StoppingRule(min_runs=40, max_runs=40),
    )
    turns.run()
    rounds = [tuple(order[i : i + 2]) for i in range(0, len(order), 2)]
    assert len(rounds) == WARM_UP + 40
    assert {frozenset(r) for r in rounds} == {frozenset("ab")}
    assert 10 <= Counter(rounds)["a", "b"] <= 33
    assert len(turns.seconds(0)) == len(turns.seconds(1)) == 40


def test_all_go_on_until_each_has_enough() -> None:
    order: list[str] = []
    rng = np.random.default_rng(0)
    turns = Turns([steady("a", order), lambda: float(rng.lognormal())], RULE)
    seen: list[int] = []
    turns.run(seen.append)
    assert [len(turns.seconds(i)) for i in range(2)] == [40, 40]
    assert order == ["a"] * (WARM_UP + 40)
    assert seen == list(range(1, 41))


def test_the_time_of_all_ends_the_turns_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    rng = np.random.default_rng(0)

    def taking(seconds: float) -> Subject:
        def run() -> float:
            now[0] += seconds
            return float(rng.lognormal())

        return run

    turns = Turns([taking(1.0), taking(3.0)], StoppingRule(max_seconds=10.0))
    turns.run()
    assert [len(turns.seconds(i)) for i in range(2)] == [5, 5]


def test_a_model_that_fails_is_left_out_with_its_reason() -> None:
    order: list[str] = []
    calls = iter(range(WARM_UP + 4))

    def failing() -> float:
        if next(calls, None) is None:
            raise MeasurementError("fell over")
        return 0.01

    turns = Turns([failing, steady("b", order)], RULE)
    turns.run()
    assert (turns.failure(0), turns.failure(1)) == ("fell over", None)
    assert [len(turns.seconds(i)) for i in range(2)] == [4, 10]


def test_what_was_sampled_before_an_interruption_is_there() -> None:
    def stop(rounds: int) -> None:
        if rounds == 5:
            raise KeyboardInterrupt

    turns = Turns([steady("a", [])], RULE)
    with pytest.raises(KeyboardInterrupt):
        turns.run(stop)
    assert turns.seconds(0).tolist() == [0.01] * 5


def test_a_stub_of_known_time_is_measured_to_two_percent() -> None:
    """It sleeps, so that a busy machine delays it only where no core is free to wake it."""

    def sleeping(seconds: float) -> Subject:
        def run() -> float:
            start = time.perf_counter()
            time.sleep(seconds)
            return time.perf_counter() - start

        return run

    turns = Turns(
        [sleeping(0.05), sleeping(0.08)], StoppingRule(min_runs=11, max_runs=11), warm_up=1
    )
    turns.run()
    for index, known in enumerate((50.0, 80.0)):
        assert summarize(turns.seconds(index)).p50 == pytest.approx(known, rel=0.02)

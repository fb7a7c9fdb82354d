"""Timing networks interleaved, so that a slow minute of the machine slows all of them.

A round runs each network once, in an order that is drawn anew each time, so that no network always
follows the same other one.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from runtime.core.errors import SegmentationError
from runtime.core.progress import Progress, ProgressCallback
from runtime.model.predictor import Predictor
from runtime.model.stopping_rule import Doubles, StoppingRule

TimedRun = Callable[[], float]
"""Runs a network once and returns how many seconds that took."""

WARM_UP_ROUNDS = 1
_LATENCY_WARM_UP_ROUNDS = 3


def timed(run: Callable[[], object], *, untimed: int = 0) -> TimedRun:
    """Return a function that calls `run` and returns the seconds that its last call took.

    Args:
        untimed: calls before the timed one. They fill caches that another network has emptied, and
            outlast its threads, which spin for a while after each run.

    Example:
        >>> calls = []
        >>> timed(lambda: calls.append("run"), untimed=1)() >= 0.0
        True
        >>> calls
        ['run', 'run']
    """

    def call() -> float:
        for _ in range(untimed):
            run()
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return call


@dataclass(slots=True)
class _Series:
    seconds: list[float] = field(default_factory=list)
    spent: float = 0.0
    failure: SegmentationError | None = None


class InterleavedTiming:
    """Timed runs of several networks, whose samples can be read while more are taken.

    Args:
        runs: one for each network. One that raises a SegmentationError is not run again; the
            others continue.
        rule: when a network has enough samples. Rounds continue until every network has, so that
            all samples are of the same rounds, or until the shared time is up.
        warm_up_rounds: rounds before the first that counts.
        seed: of the order in each round.

    Example:
        >>> timing = InterleavedTiming([lambda: 0.01, lambda: 0.02], StoppingRule.exactly(3))
        >>> timing.run()
        >>> timing.seconds(1).tolist()
        [0.02, 0.02, 0.02]
    """

    def __init__(
        self,
        runs: Sequence[TimedRun],
        rule: StoppingRule,
        *,
        warm_up_rounds: int = WARM_UP_ROUNDS,
        seed: int = 0,
    ) -> None:
        self._runs = runs
        self._rule = rule
        self._warm_up_rounds = warm_up_rounds
        self._rng = np.random.default_rng(seed)
        self._series = [_Series() for _ in runs]

    def run(
        self,
        on_progress: ProgressCallback | None = None,
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take samples until every network has enough of them, or the shared time is up.

        Args:
            on_progress: called after each round that counts, with the rounds done and the most
                there can be.
            stop: asked before each round; True ends the timing.
        """
        for _ in range(self._warm_up_rounds):
            if stop():
                return
            self._round(counts=False)
        rounds = 0
        while not self._is_done() and not stop():
            self._round(counts=True)
            rounds += 1
            if on_progress is not None:
                on_progress(Progress(rounds, self._rule.max_runs, "timing"))

    def seconds(self, index: int) -> Doubles:
        """Return a network's samples so far, one for each round from the first on."""
        return np.array(self._series[index].seconds)

    def failure(self, index: int) -> SegmentationError | None:
        """Return the error after which a network was not run again."""
        return self._series[index].failure

    @property
    def time_share(self) -> float:
        """The part of the shared time that is spent: 1 or more where it is up."""
        running = self._running()
        spent = sum(series.spent for series in running)
        return spent / (self._rule.max_seconds * len(running)) if running else 1.0

    def _running(self) -> list[_Series]:
        return [series for series in self._series if series.failure is None]

    def _is_done(self) -> bool:
        return self.time_share >= 1.0 or all(
            self._rule.is_met(np.array(series.seconds)) for series in self._running()
        )

    def _round(self, *, counts: bool) -> None:
        for index in self._rng.permutation(len(self._runs)):
            series = self._series[index]
            if series.failure is not None:
                continue
            start = time.perf_counter()
            try:
                seconds = self._runs[index]()
            except SegmentationError as error:
                series.failure = error
                continue
            if counts:
                series.spent += time.perf_counter() - start
                series.seconds.append(seconds)


def time_interleaved(
    runs: Sequence[TimedRun], count: int, *, warm_up_rounds: int = WARM_UP_ROUNDS
) -> list[Doubles]:
    """Time `count` rounds, and return the seconds of each network.

    Raises:
        SegmentationError: a run failed.
    """
    timing = InterleavedTiming(runs, StoppingRule.exactly(count), warm_up_rounds=warm_up_rounds)
    timing.run()
    for index in range(len(runs)):
        if (failure := timing.failure(index)) is not None:
            raise failure
    return [timing.seconds(index) for index in range(len(runs))]


@dataclass(frozen=True, slots=True)
class PredictionLatency:
    """Wall time of a network's single runs at batch 1, in milliseconds; no outlier is removed.

    Attributes:
        runs: number of timed runs.
        threads: of ONNX Runtime.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    runs: int
    threads: int


def measure_latency(
    predictors: Sequence[Predictor], *, runs: int = 30
) -> tuple[PredictionLatency, ...]:
    """Time each network on a prepared input, interleaved, in `runs` rounds.

    An untimed run comes before each timed one. Decoding, resizing and everything after the network
    are not included.

    Raises:
        ModelError: a network cannot be run.
    """
    rng = np.random.default_rng(0)
    inputs = [rng.random((1, 3, *p.size), np.float32) for p in predictors]
    found = time_interleaved(
        [timed(partial(p.run, x), untimed=1) for p, x in zip(predictors, inputs, strict=True)],
        runs,
        warm_up_rounds=_LATENCY_WARM_UP_ROUNDS,
    )
    return tuple(_summary(row, p.threads) for row, p in zip(found, predictors, strict=True))


def _summary(seconds: Doubles, threads: int) -> PredictionLatency:
    p50, p90, p99 = (float(q) for q in np.quantile(seconds * 1e3, (0.5, 0.9, 0.99)))
    return PredictionLatency(p50, p90, p99, float(seconds.mean() * 1e3), seconds.size, threads)

"""Running several models in turn, so that a slow minute of the machine slows them all.

A round runs each model once, in an order that is drawn anew each time, so that no model always
follows the same other.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.measure.sampling import Doubles, StoppingRule
from runtime.core.errors import SegmentationError

Subject = Callable[[], float]
"""Runs a model once and returns how many seconds that took."""

WARM_UP = 1


@dataclass(slots=True)
class _Series:
    seconds: list[float] = field(default_factory=list)
    spent: float = 0.0
    failure: str | None = None


class Turns:
    """Samples of several models, which can be asked for while they are taken.

    Args:
        subjects: the models. One that raises a SegmentationError is left out from then on.
        rule: when a model has been run often enough. All go on together until each has, so that
            all samples are of the same rounds, or until the time of all of them is up.
        warm_up: rounds before the first that counts.
    """

    def __init__(
        self,
        subjects: Sequence[Subject],
        rule: StoppingRule,
        *,
        warm_up: int = WARM_UP,
        seed: int = 0,
    ) -> None:
        self._subjects = subjects
        self._rule = rule
        self._warm_up = warm_up
        self._rng = np.random.default_rng(seed)
        self._series = [_Series() for _ in subjects]

    def run(
        self,
        on_round: Callable[[int], None] = lambda _: None,
        *,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take samples until every model has enough of them, or all have had their time.

        Args:
            on_round: called with the number of rounds that are done.
            stop: asked before each round; True ends the turns there.
        """
        for _ in range(self._warm_up):
            if stop():
                return
            self._round(keep=False)
        rounds = 0
        while not self._is_done() and not stop():
            self._round(keep=True)
            rounds += 1
            on_round(rounds)

    def seconds(self, index: int) -> Doubles:
        """Return a model's samples so far, one for each round from the first on."""
        return np.array(self._series[index].seconds)

    def failure(self, index: int) -> str | None:
        """Return why a model was left out."""
        return self._series[index].failure

    def _is_done(self) -> bool:
        running = [series for series in self._series if series.failure is None]
        spent = sum(series.spent for series in running)
        return spent >= self._rule.max_seconds * len(running) or all(
            self._rule.is_met(np.array(series.seconds)) for series in running
        )

    def _round(self, *, keep: bool) -> None:
        for index in self._rng.permutation(len(self._subjects)):
            series = self._series[index]
            if series.failure is not None:
                continue
            start = time.perf_counter()
            try:
                seconds = self._subjects[index]()
            except SegmentationError as error:
                series.failure = str(error)
                continue
            if keep:
                series.spent += time.perf_counter() - start
                series.seconds.append(seconds)

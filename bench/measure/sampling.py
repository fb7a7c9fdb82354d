"""What raw samples of a latency tell: percentiles, how sure the median is, and when to stop.

Nothing is left out as an outlier.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.medians import RANKING_LEVEL, Verdict, median, verdict_of
from runtime.core.errors import ConfigError

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Latency:
    """Wall time of single runs, in milliseconds.

    Attributes:
        low, high: ends of the 95 % interval of the median; NaN with fewer than 6 runs.
    """

    p50: float
    p90: float
    p99: float
    mean: float
    runs: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When a model has been run often enough: its median is sure, or it has had its share.

    Attributes:
        precision: half the width of the median's interval, as a share of the median, that is sure
            enough.
        min_runs: not before that many, unless time is up.
        max_seconds: of wall time for one model, untimed runs included; models that are run in turn
            share theirs.

    Raises:
        ConfigError: a number is out of its range.
    """

    precision: float = 0.01
    min_runs: int = 30
    max_runs: int = 1000
    max_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not (0.0 < self.max_seconds < math.inf and self.precision > 0.0):
            raise ConfigError(
                f"expected seconds and a precision above 0, found {self.max_seconds:g} and "
                f"{self.precision:g}"
            )

    def is_met(self, seconds: Doubles) -> bool:
        """Tell whether a model's samples are enough, but for the time they took."""
        if len(seconds) >= self.max_runs:
            return True
        if len(seconds) < self.min_runs:
            return False
        found = median(seconds)
        return found.high - found.low <= 2.0 * self.precision * found.value


@dataclass(frozen=True, slots=True)
class LatencyRatio:
    """How the latency of one model compares with another's in the same rounds.

    Attributes:
        ratio: median over rounds of the latency of `one` divided by that of `other`.
        low, high: ends of its 99 % interval; NaN with fewer than 8 rounds.
        verdict: what `one` is; "not ranked" where the run is too noisy, or too short, to tell.
    """

    one: str
    other: str
    ratio: float
    low: float
    high: float
    rounds: int
    verdict: Verdict


def summarize(seconds: Doubles) -> Latency:
    """Return percentiles, mean and interval of at least one sample."""
    milliseconds = seconds * 1e3
    p90, p99 = (float(q) for q in np.quantile(milliseconds, (0.9, 0.99)))
    p50 = median(milliseconds)
    mean = float(milliseconds.mean())
    return Latency(p50.value, p90, p99, mean, len(seconds), p50.low, p50.high)


def compare_latency(one: str, other: str, first: Doubles, second: Doubles) -> LatencyRatio:
    """Compare the samples of two models that were run in turn, round by round.

    A slow minute of the machine slows both, and leaves their ratio. The samples of rounds that only
    one of them ran in are left aside.

    Args:
        first, second: seconds of `one` and `other`, from the same first round on.
    """
    rounds = min(len(first), len(second))
    ratio = median(first[:rounds] / second[:rounds], RANKING_LEVEL)
    return LatencyRatio(one, other, ratio.value, ratio.low, ratio.high, rounds, verdict_of(ratio))

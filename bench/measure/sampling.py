"""What raw samples of a latency tell: percentiles, how sure the median is, and when to stop.

Nothing is left out as an outlier. The interval of a median is that of order statistics, which
holds whatever the samples' distribution (David, Nagaraja 2003, section 7.1), for samples that are
independent of each other.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Verdict = Literal["faster", "slower", "not ranked"]

LEVEL = 0.95
RANKING_LEVEL = 0.99
"""Of the intervals by which two models are ranked: surer, since many pairs are looked at."""


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
        max_seconds: of wall time for one model, untimed runs included.
    """

    precision: float = 0.01
    min_runs: int = 30
    max_runs: int = 1000
    max_seconds: float = 30.0

    def is_met(self, seconds: Doubles, spent: float) -> bool:
        """Tell whether samples, which took `spent` seconds, are enough."""
        if len(seconds) >= self.max_runs or spent >= self.max_seconds:
            return True
        if len(seconds) < self.min_runs:
            return False
        low, high = median_interval(seconds)
        return bool(high - low <= 2.0 * self.precision * np.median(seconds))


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


def summarise(seconds: Doubles) -> Latency:
    """Return percentiles, mean and interval of at least one sample."""
    milliseconds = seconds * 1e3
    p50, p90, p99 = (float(q) for q in np.quantile(milliseconds, (0.5, 0.9, 0.99)))
    low, high = median_interval(milliseconds)
    return Latency(p50, p90, p99, float(milliseconds.mean()), len(seconds), low, high)


def median_interval(samples: Doubles, level: float = LEVEL) -> tuple[float, float]:
    """Return the ends of the median's interval, NaN where there are too few samples for one."""
    rank = _rank(len(samples), level)
    if rank == 0:
        return math.nan, math.nan
    ordered = np.sort(samples)
    return float(ordered[rank - 1]), float(ordered[-rank])


def compare_latency(one: str, other: str, first: Doubles, second: Doubles) -> LatencyRatio:
    """Compare the samples of two models that were run in turn, round by round.

    A slow minute of the machine slows both, and leaves their ratio. The samples of rounds that only
    one of them ran in are left aside.

    Args:
        first, second: seconds of `one` and `other`, from the same first round on.
    """
    rounds = min(len(first), len(second))
    ratios = first[:rounds] / second[:rounds]
    low, high = median_interval(ratios, RANKING_LEVEL)
    ratio = float(np.median(ratios)) if rounds else math.nan
    verdict: Verdict = "faster" if high < 1.0 else "slower" if low > 1.0 else "not ranked"
    return LatencyRatio(one, other, ratio, low, high, rounds, verdict)


def _rank(samples: int, level: float) -> int:
    """Return the largest r with P(B < r) <= (1 - level) / 2, B binomial of `samples` and 1/2.

    The r-th smallest and the r-th largest sample are the ends of the interval; 0 for none.
    """
    bound = (1.0 - level) / 2.0
    term, below, rank = 1, 0, 0
    while rank <= samples // 2:
        below += term
        # Integers of any length divide exactly where floats would underflow.
        if below / (1 << samples) > bound:
            return rank
        term = term * (samples - rank) // (rank + 1)
        rank += 1
    return rank

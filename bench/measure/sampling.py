"""What raw samples of a latency tell: percentiles, and how sure the median is.

Nothing is left out as an outlier.
"""

from dataclasses import dataclass

import numpy as np

from bench.medians import RANKING_LEVEL, Verdict, median, verdict_of
from runtime.model.stopping import Doubles


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

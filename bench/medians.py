"""Medians with their confidence intervals, and the verdicts that rank latencies by them."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.model.stopping import median_interval
from runtime.scoring.bootstrap import Interval

Verdict = Literal["faster", "slower", "not ranked"]

LEVEL = 0.95
RANKING_LEVEL = 0.99
"""Of the intervals by which latencies are ranked: surer, since many pairs are looked at."""


def median(samples: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """Return the median with its interval.

    NaN for what too few samples do not tell: 6 are the fewest for an interval at 95 %, 8 at 99 %.
    """
    if len(samples) == 0:
        return Interval(math.nan, math.nan, math.nan)
    return Interval(float(np.median(samples)), *median_interval(samples, level))


def verdict_of(ratio: Interval) -> Verdict:
    """Return what a ratio of latencies says: below 1 is faster, if the interval leaves out 1."""
    if ratio.high < 1.0:
        return "faster"
    return "slower" if ratio.low > 1.0 else "not ranked"

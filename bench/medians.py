"""The interval of a median, by order statistics (David, Nagaraja 2003, section 7.1).

It holds for any distribution of independent samples.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.scoring.comparison import Interval

Verdict = Literal["faster", "slower", "not ranked"]

LEVEL = 0.95
RANKING_LEVEL = 0.99
"""Of the intervals by which latencies are ranked: surer, since many pairs are looked at."""


def median(samples: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """Return the median with its interval.

    NaN for what too few samples do not tell: 6 are the fewest for an interval at 95 %, 8 at 99 %.
    """
    count = len(samples)
    if count == 0:
        return Interval(math.nan, math.nan, math.nan)
    ordered = np.sort(samples)
    rank = _rank(count, (1.0 - level) / 2.0)
    low, high = (ordered[rank - 1], ordered[-rank]) if rank else (math.nan, math.nan)
    return Interval(float(np.median(ordered)), float(low), float(high))


def verdict_of(ratio: Interval) -> Verdict:
    """Return what a ratio of latencies says: below 1 is faster, if the interval leaves out 1."""
    if ratio.high < 1.0:
        return "faster"
    return "slower" if ratio.low > 1.0 else "not ranked"


def _rank(count: int, tail: float) -> int:
    """Return the largest r with P(B < r) <= `tail`, B binomial of `count` and 1/2; 0 for none."""
    term, below, rank = 1, 0, 0
    while True:
        below += term
        # Integers of any length divide exactly where floats would underflow.
        if below / (1 << count) > tail:
            return rank
        term = term * (count - rank) // (rank + 1)
        rank += 1

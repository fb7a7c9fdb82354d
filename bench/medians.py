"""Medians with their confidence intervals, and the verdicts that rank latencies by them."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.model.stopping_rule import median_interval
from runtime.scoring.intervals import Interval

Verdict = Literal["faster", "slower", "not ranked"]

LEVEL = 0.95
RANKING_LEVEL = 0.99
"""Level of the intervals that rank latencies; higher, because many pairs are compared."""


def median(samples: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """Return the median with its confidence interval.

    Args:
        samples: independent samples, float64 [N].
        level: confidence level of the interval, in (0, 1).

    Returns:
        The median in the unit of the samples. The ends of the interval are NaN with too few
        samples: 95 % needs at least 6, 99 % at least 8. All is NaN without samples.

    Example:
        >>> found = median(np.arange(1.0, 8.0))
        >>> found.value, found.low, found.high
        (4.0, 1.0, 7.0)
        >>> median(np.array([3.0, 1.0, 2.0])).low
        nan
    """
    if len(samples) == 0:
        return Interval(math.nan, math.nan, math.nan)
    return Interval(float(np.median(samples)), *median_interval(samples, level))


def verdict_of(ratio: Interval) -> Verdict:
    """Return the verdict on a latency ratio; it is not ranked if the interval contains 1.

    Example:
        >>> verdict_of(Interval(0.90, 0.85, 0.95)), verdict_of(Interval(0.98, 0.95, 1.01))
        ('faster', 'not ranked')
        >>> verdict_of(Interval(0.50, math.nan, math.nan))  # too few rounds
        'not ranked'
    """
    if ratio.high < 1.0:
        return "faster"
    return "slower" if ratio.low > 1.0 else "not ranked"

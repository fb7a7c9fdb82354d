"""Measures of a curve over the epochs: how it rises, converges, fluctuates, peaks.

A curve is float64 [epochs]: a value for each epoch, from the first. "A fifth" is a fifth of the
epochs, at least one: five of the study's 25. Undefined measures are NaN, as of curves that are too
short or have NaN.
"""

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

CONVERGED = 0.05
"""Largest late change, as a share of the curve's range, of one that has converged."""
BAND = 0.1
"""Half the width of the band around the final level, as a share of the curve's range."""
OUTLYING = 3.0
"""Deviations from the median of its neighbors from which on a value is a peak (Hampel 1974)."""
_MAD_TO_STD = 1.4826


def trend(curve: Curve) -> float:
    """Return Kendall's rank correlation of a curve with its epochs, in [-1, 1].

    It is the measure of trend in Mann's test (Kendall 1938; Mann 1945): 1 where every value is
    above all before it, 0 without a trend.

    Example:
        >>> trend(np.array([1.0, 2.0, 3.0, 4.0])), trend(np.array([4.0, 3.0, 1.0]))
        (1.0, -1.0)
    """
    from scipy.stats import kendalltau

    if len(curve) < 2 or np.isnan(curve).any():
        return float("nan")
    if np.ptp(curve) == 0.0:
        return 0.0
    return float(kendalltau(np.arange(len(curve)), curve).statistic)


def final_level(curve: Curve) -> float:
    """Return the mean of the last fifth.

    Example:
        >>> final_level(np.arange(10.0))
        8.5
    """
    return float(curve[-_fifth(curve) :].mean())


def late_change(curve: Curve) -> float:
    """Return the change from the fifth before the last to the last, as a share of the range.

    A curve has converged where it is small; the share is below 0 where the curve falls.

    Example:
        >>> late_change(np.array([0.0, 4.0, 7.0, 9.0, 10.0]))
        0.1
    """
    fifth, span = _fifth(curve), _range(curve)
    if len(curve) < 2 * fifth:
        return float("nan")
    change = curve[-fifth:].mean() - curve[-2 * fifth : -fifth].mean()
    return float(change / span) if span != 0.0 else 0.0


def settling_epoch(curve: Curve) -> float:
    """Return the first epoch from which on a curve stays near its final level.

    Near is within `BAND` of the range: the settling time of control engineering (Ogata 2010,
    section 5-3), with a wider band since training is noisy.

    Example:
        >>> settling_epoch(np.array([0.0, 5.0, 9.5, 10.0, 10.0]))
        3.0
    """
    if np.isnan(curve).any():
        return float("nan")
    outside = np.flatnonzero(np.abs(curve - final_level(curve)) > BAND * _range(curve))
    return float(outside[-1] + 2) if outside.size else 1.0


def fluctuation(curve: Curve) -> float:
    """Return the standard deviation of a curve around a smooth course.

    It follows from each value's difference from the line between its neighbors (Gasser, Sroka,
    Jennen-Steinmetz 1986), by the median, so that a bend of the course counts little. A straight
    curve has none.

    Example:
        >>> fluctuation(np.array([1.0, 2.0, 3.0, 4.0]))
        0.0
        >>> round(fluctuation(np.array([0.0, 1.0, 0.0, 1.0])), 3)
        1.211
    """
    if len(curve) < 3:
        return float("nan")
    residuals = curve[1:-1] - (curve[:-2] + curve[2:]) / 2.0
    return float(np.sqrt(2.0 / 3.0) * _MAD_TO_STD * np.median(np.abs(residuals)))


def smallest_rise(curve: Curve) -> float:
    """Return the smallest rise from the mean of one fifth to that of the next.

    It is above 0 where the curve rises throughout.

    Example:
        >>> smallest_rise(np.array([0.0, 4.0, 7.0, 9.0, 10.0]))
        1.0
    """
    if len(curve) < 5:
        return float("nan")
    means = [part.mean() for part in np.array_split(curve, 5)]
    return float(np.diff(means).min())


def steepest_epoch(curve: Curve) -> float:
    """Return the epoch around which a curve rises most, from the one before to the one after.

    Example:
        >>> steepest_epoch(np.array([0.0, 0.1, 0.2, 0.6, 1.0, 1.1]))
        4.0
    """
    if len(curve) < 3 or np.isnan(curve).any():
        return float("nan")
    return float(np.argmax(curve[2:] - curve[:-2]) + 2)


def peak(curve: Curve) -> tuple[int, float]:
    """Return the epoch of the highest peak of one epoch, and its height in deviations.

    The height is above the median of up to four neighbors. It is divided by the deviation of all
    such differences: their median absolute one, scaled as for a normal distribution (Hampel 1974;
    Davies, Gather 1993).

    Example:
        >>> peak(np.array([0.1, 0.2, 0.3, 0.9, 0.4, 0.5, 0.6]))[0]
        4
    """
    excess = np.array([_excess(curve, place) for place in range(len(curve))])
    if len(curve) < 5 or np.isnan(excess).any():
        return 1, float("nan")
    place = int(np.argmax(excess))
    deviation = _MAD_TO_STD * float(np.median(np.abs(excess - np.median(excess))))
    return place + 1, float(excess[place]) / deviation if deviation > 0.0 else 0.0


def excess_at(curve: Curve, epoch: int) -> float:
    """Return by how much a value is above the median of up to four neighbors.

    Example:
        >>> excess_at(np.array([0.5, 0.5, 0.2, 0.5, 0.5]), 3)
        -0.3
    """
    return _excess(curve, epoch - 1)


def _excess(curve: Curve, place: int) -> float:
    around = np.concatenate([curve[max(0, place - 2) : place], curve[place + 1 : place + 3]])
    return float(curve[place] - np.median(around)) if around.size else float("nan")


def _fifth(curve: Curve) -> int:
    return max(1, len(curve) // 5)


def _range(curve: Curve) -> float:
    return float(curve.max() - curve.min())

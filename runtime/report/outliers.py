"""Outliers by Tukey's fences (Exploratory Data Analysis, 1977)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

REACH = 1.5
"""Distance of a fence from its quartile, in interquartile ranges."""


@dataclass(frozen=True, slots=True)
class Fences:
    """Tukey's fences of one quantity over all splits together.

    Attributes:
        low, high: Q1 - 1.5 IQR and Q3 + 1.5 IQR, in the quantity's unit; NaN without values.
        logarithmic: whether they were computed from the logarithms of the values, on which half and
            twice a size are equally far away.
    """

    quantity: str
    low: float
    high: float
    logarithmic: bool


@dataclass(frozen=True, slots=True)
class Outlier:
    """An image or a box outside the fences, or an image without annotation.

    Attributes:
        quantity: the unusual quantity; "annotation" if there is none.
        value: in the quantity's unit; None for a missing annotation.
        beyond: distance from the fence, in interquartile ranges; infinite if that range is 0, and
            for a missing annotation.
        reason: in words.
    """

    split: str
    file_name: str
    quantity: str
    value: float | None
    beyond: float
    reason: str


def tukey_fences(quantity: str, values: Sequence[float], scale: Literal["log", "linear"]) -> Fences:
    """Return the fences of `values`, which must be positive if `scale` is "log".

    Example:
        >>> fences = tukey_fences("area", [1.0, 2.0, 3.0, 4.0, 5.0], "linear")
        >>> fences.low, fences.high
        (-1.0, 7.0)
    """
    if not len(values):
        return Fences(quantity, float("nan"), float("nan"), scale == "log")
    q1, q3 = np.quantile(_scaled(values, scale == "log"), (0.25, 0.75))
    low, high = q1 - REACH * (q3 - q1), q3 + REACH * (q3 - q1)
    if scale == "log":
        low, high = np.exp(low), np.exp(high)
    return Fences(quantity, float(low), float(high), scale == "log")


def distance_beyond(fences: Fences, values: Sequence[float]) -> list[float]:
    """Return the distance of each value from the fences, in interquartile ranges; 0 inside.

    Example:
        >>> distance_beyond(Fences("area", -1.0, 7.0, logarithmic=False), [3.0, 9.0])
        [0.0, 1.0]
    """
    if not len(values):
        return []
    low, high = _scaled((fences.low, fences.high), fences.logarithmic)
    scaled = _scaled(values, fences.logarithmic)
    outside = np.maximum(np.maximum(low - scaled, scaled - high), 0.0)
    # A rounding error of the logarithm is not a distance.
    outside[outside < 1e-9] = 0.0
    span = (high - low) / (1.0 + 2.0 * REACH)
    if span <= 0.0:
        return [float("inf") if distance else 0.0 for distance in outside]
    return [float(distance) for distance in outside / span]


def _scaled(
    values: Sequence[float], logarithmic: bool
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    array = np.asarray(values, np.float64)
    return np.log(array) if logarithmic else array

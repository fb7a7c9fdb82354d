"""What lies far from the rest of a data set, by Tukey's rule (Exploratory Data Analysis, 1977)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

REACH = 1.5
"""How far beyond the quartiles a fence stands, in interquartile ranges."""


@dataclass(frozen=True, slots=True)
class Fences:
    """Tukey's fences of one quantity over all splits together.

    Attributes:
        low, high: Q1 - 1.5 IQR and Q3 + 1.5 IQR, in the quantity's own unit; NaN without values.
        logarithmic: whether they were found on the logarithm of the values, so that a size half as
            large is as far away as one twice as large.
    """

    quantity: str
    low: float
    high: float
    logarithmic: bool


@dataclass(frozen=True, slots=True)
class Outlier:
    """An image, or a box of it, that lies outside the fences, or has no annotation.

    Attributes:
        quantity: what is unusual; "annotation" where there is none.
        value: in the quantity's own unit; None for a missing annotation.
        beyond: how far outside the fence, in interquartile ranges; infinite where that range is 0
            and for a missing annotation.
        reason: in words.
    """

    split: str
    file_name: str
    quantity: str
    value: float | None
    beyond: float
    reason: str


def tukey_fences(quantity: str, values: Sequence[float], scale: Literal["log", "linear"]) -> Fences:
    """Return the fences of `values`, which are positive where `scale` is "log"."""
    if not len(values):
        return Fences(quantity, float("nan"), float("nan"), scale == "log")
    q1, q3 = np.quantile(_scaled(values, scale == "log"), (0.25, 0.75))
    low, high = q1 - REACH * (q3 - q1), q3 + REACH * (q3 - q1)
    if scale == "log":
        low, high = np.exp(low), np.exp(high)
    return Fences(quantity, float(low), float(high), scale == "log")


def distance_beyond(fences: Fences, values: Sequence[float]) -> list[float]:
    """Return how far outside the fences each value lies, in interquartile ranges; 0 inside."""
    if not len(values):
        return []
    low, high = _scaled((fences.low, fences.high), fences.logarithmic)
    scaled = _scaled(values, fences.logarithmic)
    outside = np.maximum(np.maximum(low - scaled, scaled - high), 0.0)
    # What a value loses on its way to the fence's scale and back is no distance.
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

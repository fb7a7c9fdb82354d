"""The calibration of probabilities: do they match the observed frequencies?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.core.exact import exact, nearest

CALIBRATION_BINS = 15
_BLOCK = 8192
"""Pixels per step; the intermediate arrays of so many fit into a core's cache."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The agreement of probabilities with observed frequencies, over all pixels.

    Attributes:
        brier: mean of (p - y)^2 (Brier 1950).
        ece: expected calibration error, the mean over pixels of |observed share - mean p| in
            equally wide bins of p (Naeini, Cooper, Hauskrecht 2015, for the binary case).
        bin_pixels: number of pixels in each bin.
        bin_probability: mean p in each bin; NaN for an empty bin.
        bin_observed: share of foreground in each bin; NaN for an empty bin.
    """

    brier: float
    ece: float
    bin_pixels: tuple[int, ...]
    bin_probability: tuple[float, ...]
    bin_observed: tuple[float, ...]


class CalibrationSums:
    """Accumulates the calibration of many images in constant memory.

    The sums over images are exact: those of parts of a data set add up to those of the whole, in
    any order.

    Args:
        sums: of earlier images, as `sums` returns them; none by default.

    Example:
        >>> images = CalibrationSums()
        >>> images.add(np.array([0.25, 0.25, 0.75, 1.0]), np.array([0, 0, 1, 1]))
        >>> images.result().brier
        0.046875
        >>> (images + CalibrationSums(images.sums)).result().bin_pixels[11]
        2
    """

    def __init__(self, sums: Sequence[int] = (0,) * (3 * CALIBRATION_BINS + 1)) -> None:
        if len(sums) != 3 * CALIBRATION_BINS + 1:
            raise ValueError(f"expected {3 * CALIBRATION_BINS + 1} sums, found {len(sums)}")
        self._sums = list(sums)

    @property
    def sums(self) -> tuple[int, ...]:
        """The pixels without foreground by bin, those with it, then two kinds of `exact` sums.

        They are the sum of p by bin, and the sum of (p - y)^2.
        """
        return tuple(self._sums)

    def __add__(self, other: "CalibrationSums") -> "CalibrationSums":
        return CalibrationSums([a + b for a, b in zip(self._sums, other._sums, strict=True)])

    def add(self, probability: NDArray[np.floating[Any]], mask: NDArray[Any]) -> None:
        """Add an image, p in [0, 1] and y in {0, 1}; raise ValueError if their shapes differ."""
        if probability.shape != mask.shape:
            raise ValueError(
                "expected a probability and a mask of the same shape, found "
                f"{probability.shape} and {mask.shape}"
            )
        counts = np.zeros(2 * CALIBRATION_BINS, np.int64)
        floats = np.zeros(CALIBRATION_BINS + 1, np.float64)
        flat, target = probability.ravel(), mask.ravel().astype(bool, copy=False)
        for start in range(0, flat.size, _BLOCK):
            end = start + _BLOCK
            _add_pixels(flat[start:end], target[start:end], counts, floats)
        image = [*counts.tolist(), *map(exact, floats.tolist())]
        self._sums = [a + b for a, b in zip(self._sums, image, strict=True)]

    def result(self) -> Calibration:
        """Return the calibration of all added images; NaN if there are none."""
        counts = np.array(self._sums[: 2 * CALIBRATION_BINS], np.int64).reshape(2, -1)
        *sums, squared_error = map(nearest, self._sums[2 * CALIBRATION_BINS :])
        probability, pixels = np.array(sums), counts.sum(axis=0)
        total = int(pixels.sum())
        with np.errstate(invalid="ignore"):
            mean = probability / pixels
            observed = counts[1] / pixels
        gap = np.abs(counts[1] - probability).sum()
        return Calibration(
            brier=squared_error / total if total else math.nan,
            ece=float(gap) / total if total else math.nan,
            bin_pixels=tuple(int(n) for n in pixels),
            bin_probability=tuple(float(p) for p in mean),
            bin_observed=tuple(float(o) for o in observed),
        )


def _add_pixels(
    flat: NDArray[np.floating[Any]],
    target: NDArray[np.bool],
    counts: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """Add pixels to an image's counts [2 x bins], and to its sums of p by bin and of (p - y)^2."""
    bins = CALIBRATION_BINS
    index = (flat * bins).astype(np.intp)
    np.minimum(index, bins - 1, out=index)
    values = flat.astype(np.float64)
    sums[:bins] += np.bincount(index, values, bins)
    inside = np.bincount(index[target], minlength=bins)
    counts[bins:] += inside
    counts[:bins] += np.bincount(index, minlength=bins) - inside
    values -= target
    sums[bins] += float(np.dot(values, values))

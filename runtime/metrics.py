"""The study's soft metrics, their thresholded twins, and how far probabilities can be trusted.

With y in {0, 1} the mask and p in [0, 1] the network's output, over the N pixels of one image
(equations 2 to 5 of the study):

    accuracy  = (1/N) sum(y p + (1 - y)(1 - p))
    recall    = sum(y p) / sum(y)
    precision = sum(y p) / sum(p)
    IoU       = sum(y p) / sum(y + p - y p)

No threshold; sums in float64; NaN where a denominator is zero. Everything follows from four sums
of an image, so that an image is read once and averages of any kind come afterwards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
CALIBRATION_BINS = 15
_BLOCK = 8192
"""Pixels at once, whose intermediate arrays a core's cache holds."""


@dataclass(frozen=True, slots=True)
class PixelSums:
    """Sums over the pixels of one image, or of many.

    Attributes:
        pixels: N, how many pixels.
        target: sum of y.
        predicted: sum of p.
        overlap: sum of y p.
    """

    pixels: int
    target: float
    predicted: float
    overlap: float

    def __add__(self, other: "PixelSums") -> "PixelSums":
        return PixelSums(
            self.pixels + other.pixels,
            self.target + other.target,
            self.predicted + other.predicted,
            self.overlap + other.overlap,
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """Accuracy, recall, precision, IoU and Dice, each in [0, 1], or NaN where it is undefined."""

    accuracy: float
    recall: float
    precision: float
    iou: float
    dice: float


METRICS = tuple(field.name for field in fields(Scores))
STUDY_METRICS = METRICS[:4]


def pixel_sums(probability: NDArray[Any], mask: NDArray[Any]) -> PixelSums:
    """Sum over an image.

    Args:
        probability: floats in [0, 1], or booleans, of any shape.
        mask: 0 and 1, or booleans, of the same shape.

    Raises:
        ValueError: the shapes differ, or there are no pixels.
    """
    if probability.shape != mask.shape or mask.size == 0:
        raise ValueError(
            f"expected a probability and a mask of one shape, found {probability.shape} "
            f"and {mask.shape}"
        )
    foreground = mask.astype(bool, copy=False)
    predicted = float(probability.sum(dtype=np.float64))
    overlap = float(probability[foreground].sum(dtype=np.float64))
    return PixelSums(
        pixels=mask.size,
        target=float(np.count_nonzero(foreground)),
        predicted=predicted,
        # Summed in another order, a part may come out larger than the whole by a rounding.
        overlap=min(overlap, predicted),
    )


def thresholded_sums(probability: NDArray[Any], mask: NDArray[Any]) -> PixelSums:
    """Sum over an image after deciding each pixel: foreground where p >= 0.5."""
    return pixel_sums(probability >= THRESHOLD, mask)


def scores(sums: PixelSums) -> Scores:
    """Return the metrics of one image's sums, or the pooled ones of many images' sums.

    Dice = 2 sum(y p) / (sum(y) + sum(p)); on p in {0, 1} it is the usual one.
    """
    return Scores(**{name: _ratio(*fraction) for name, fraction in fractions(sums).items()})


def fractions(sums: PixelSums) -> dict[str, tuple[float, float]]:
    """Return each metric's numerator and denominator.

    Both are linear in the sums: those of many images are the sums of theirs.
    """
    union = sums.target + sums.predicted - sums.overlap
    agreeing = sums.pixels - sums.target - sums.predicted + 2.0 * sums.overlap
    return {
        "accuracy": (agreeing, sums.pixels),
        "recall": (sums.overlap, sums.target),
        "precision": (sums.overlap, sums.predicted),
        "iou": (sums.overlap, union),
        "dice": (2.0 * sums.overlap, sums.target + sums.predicted),
    }


def pooled(images: Iterable[PixelSums]) -> Scores:
    """Return the metrics of all pixels of all images together."""
    return scores(sum(images, start=PixelSums(0, 0.0, 0.0, 0.0)))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0.0 else float("nan")


@dataclass(frozen=True, slots=True)
class Spread:
    """How one metric is distributed over images; NaN values are left out and counted.

    Attributes:
        std: standard deviation with the divisor n - 1; NaN for fewer than two values.
        left_out: images where the metric is undefined.
    """

    mean: float
    std: float
    q25: float
    median: float
    q75: float
    left_out: int


def spread(values: Sequence[float]) -> Spread:
    """Summarize one metric over images."""
    array = np.asarray(values, np.float64)
    valid = array[~np.isnan(array)]
    if valid.size == 0:
        nan = float("nan")
        return Spread(nan, nan, nan, nan, nan, array.size)
    q25, median, q75 = (float(q) for q in np.quantile(valid, (0.25, 0.5, 0.75)))
    std = float(valid.std(ddof=1)) if valid.size > 1 else float("nan")
    return Spread(float(valid.mean()), std, q25, median, q75, array.size - valid.size)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far probabilities can be trusted as probabilities, over all pixels.

    Attributes:
        brier: mean of (p - y)^2 (Brier 1950).
        ece: expected calibration error, the mean over pixels of |observed share - mean p| in
            equally wide bins of p (Naeini, Cooper, Hauskrecht 2015, for the binary case).
        bin_pixels, bin_probability, bin_observed: a bin's pixels, mean p and share of foreground.
    """

    brier: float
    ece: float
    bin_pixels: tuple[int, ...]
    bin_probability: tuple[float, ...]
    bin_observed: tuple[float, ...]


class CalibrationSums:
    """Accumulates calibration over images in memory that does not grow."""

    def __init__(self, bins: int = CALIBRATION_BINS) -> None:
        self._bins = bins
        self._counts = np.zeros((2, bins), np.int64)
        self._probability = np.zeros(bins, np.float64)
        self._squared_error = 0.0

    def add(self, probability: NDArray[np.floating[Any]], mask: NDArray[Any]) -> None:
        """Add an image: p in [0, 1] and y in {0, 1}; raise ValueError where their shapes differ."""
        if probability.shape != mask.shape:
            raise ValueError(f"expected one shape, found {probability.shape} and {mask.shape}")
        flat, target = probability.ravel(), mask.ravel().astype(bool, copy=False)
        for start in range(0, flat.size, _BLOCK):
            self._add(flat[start : start + _BLOCK], target[start : start + _BLOCK])

    def _add(self, flat: NDArray[np.floating[Any]], target: NDArray[np.bool]) -> None:
        index = (flat * self._bins).astype(np.intp)
        np.minimum(index, self._bins - 1, out=index)
        values = flat.astype(np.float64)
        self._probability += np.bincount(index, values, self._bins)
        inside = np.bincount(index[target], minlength=self._bins)
        self._counts += np.bincount(index, minlength=self._bins) - inside, inside
        values -= target
        self._squared_error += float(np.dot(values, values))

    def result(self) -> Calibration:
        """Return the calibration of everything added; NaN where nothing was."""
        pixels = self._counts.sum(axis=0)
        total = int(pixels.sum())
        with np.errstate(invalid="ignore"):
            mean = self._probability / pixels
            observed = self._counts[1] / pixels
        gap = np.abs(self._counts[1] - self._probability).sum()
        return Calibration(
            brier=_ratio(self._squared_error, total),
            ece=_ratio(float(gap), total),
            bin_pixels=tuple(int(n) for n in pixels),
            bin_probability=tuple(float(p) for p in mean),
            bin_observed=tuple(float(o) for o in observed),
        )

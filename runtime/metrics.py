"""The study's soft metrics, and the same metrics at a threshold.

With y in {0, 1} the mask and p in [0, 1] the network's output, over the N pixels of one image
(equations 2 to 5 of the study):

    accuracy  = (1/N) sum(y p + (1 - y)(1 - p))
    recall    = sum(y p) / sum(y)
    precision = sum(y p) / sum(p)
    IoU       = sum(y p) / sum(y + p - y p)

There is no threshold, sums are in float64, and a metric is undefined (NaN) where its denominator is
zero. All metrics follow from four sums per image (`PixelSums`). So each image is read once, and
averages of any kind are computed afterwards.

Means over images have one rule for images without foreground (`image_scores`): they count for
accuracy only. What is predicted on them is reported apart, as false positives.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class PixelSums:
    """Sums over the pixels of one image or of many; the sums of two images can be added.

    Attributes:
        pixels: number of pixels, N.
        target: sum of y.
        predicted: sum of p.
        overlap: sum of y p.

    Example:
        >>> PixelSums(4, 2.0, 1.5, 1.0) + PixelSums(4, 0.0, 0.5, 0.0)
        PixelSums(pixels=8, target=2.0, predicted=2.0, overlap=1.0)
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
class PixelColumns:
    """The sums of many images: float64 [images] for each number of `PixelSums`."""

    pixels: NDArray[np.float64]
    target: NDArray[np.float64]
    predicted: NDArray[np.float64]
    overlap: NDArray[np.float64]

    def total(self) -> PixelSums:
        """Return the sums of all images, added one after the other."""
        columns = self.pixels, self.target, self.predicted, self.overlap
        # Not `sum`: NumPy adds pairs, which rounds differently than a loop over images.
        pixels, *sums = (float(np.cumsum(column)[-1:].sum()) for column in columns)
        return PixelSums(int(pixels), *sums)


@dataclass(frozen=True, slots=True)
class Scores:
    """Accuracy, recall, precision, IoU and Dice, each in [0, 1], or NaN where undefined."""

    accuracy: float
    recall: float
    precision: float
    iou: float
    dice: float


METRICS = tuple(field.name for field in fields(Scores))
STUDY_METRICS = METRICS[:4]
OVERLAP_METRICS = METRICS[1:]
"""The metrics of how a prediction overlaps the foreground."""


def pixel_sums(probability: NDArray[Any], mask: NDArray[Any]) -> PixelSums:
    """Return the sums over the pixels of one image.

    Args:
        probability: floats in [0, 1], or booleans, of any shape.
        mask: integers 0 and 1, or booleans, of the same shape.

    Raises:
        ValueError: the shapes differ, or there are no pixels.

    Example:
        >>> pixel_sums(np.array([1.0, 0.5, 0.25, 0.0]), np.array([1, 1, 0, 0]))
        PixelSums(pixels=4, target=2.0, predicted=1.75, overlap=1.5)
    """
    if probability.shape != mask.shape or mask.size == 0:
        raise ValueError(
            "expected a probability and a mask of the same, non-empty shape, found "
            f"{probability.shape} and {mask.shape}"
        )
    foreground = mask.astype(bool, copy=False)
    predicted = float(probability.sum(dtype=np.float64))
    overlap = float(probability[foreground].sum(dtype=np.float64))
    return PixelSums(
        pixels=mask.size,
        target=float(np.count_nonzero(foreground)),
        predicted=predicted,
        # Summed in a different order, a part may exceed the whole by a rounding error.
        overlap=min(overlap, predicted),
    )


def thresholded_sums(probability: NDArray[Any], mask: NDArray[Any]) -> PixelSums:
    """Return the sums of one image after each pixel became 1 where p >= 0.5, and 0 elsewhere.

    Args and errors are those of `pixel_sums`.

    Example:
        >>> thresholded_sums(np.array([1.0, 0.5, 0.25, 0.0]), np.array([1, 1, 0, 0]))
        PixelSums(pixels=4, target=2.0, predicted=2.0, overlap=2.0)
    """
    return pixel_sums(probability >= THRESHOLD, mask)


def scores(sums: PixelSums) -> Scores:
    """Return the metrics that follow from the sums of one image, or of many (pooled).

    Dice is 2 sum(y p) / (sum(y) + sum(p)), which for p in {0, 1} is the usual definition.

    Example:
        >>> scores(PixelSums(pixels=4, target=2.0, predicted=2.0, overlap=1.0))
        Scores(accuracy=0.5, recall=0.5, precision=0.5, iou=0.3333333333333333, dice=0.5)
        >>> scores(PixelSums(pixels=4, target=0.0, predicted=1.0, overlap=0.0)).recall
        nan
    """
    return Scores(**{name: _ratio(*fraction) for name, fraction in fractions(sums).items()})


def image_scores(sums: PixelSums) -> Scores:
    """Return the metrics of one image as means over images count them.

    Without foreground, the overlap with it says nothing: recall, precision, IoU and Dice are NaN,
    whatever was predicted. MONAI's metrics have the same default (`ignore_empty=True`).

    Example:
        >>> image_scores(PixelSums(pixels=4, target=0.0, predicted=1.0, overlap=0.0))
        Scores(accuracy=0.75, recall=nan, precision=nan, iou=nan, dice=nan)
    """
    found = scores(sums)
    if sums.target > 0.0:
        return found
    return replace(found, **dict.fromkeys(OVERLAP_METRICS, float("nan")))


def image_values(images: PixelColumns) -> dict[str, NDArray[np.float64]]:
    """Return the `image_scores` of many images: float64 [images] for each metric.

    Example:
        >>> sums = PixelColumns(*np.array([[4.0, 4.0], [2.0, 0.0], [2.0, 1.0], [1.0, 0.0]]))
        >>> values = image_values(sums)
        >>> values["accuracy"].tolist(), values["recall"].tolist()
        ([0.5, 0.75], [0.5, nan])
    """
    values = {}
    for name, (numerator, denominator) in fractions(images).items():
        defined = denominator > 0.0
        if name in OVERLAP_METRICS:
            defined &= images.target > 0.0
        undefined = np.full_like(numerator, np.nan)
        values[name] = np.divide(numerator, denominator, out=undefined, where=defined)
    return values


@overload
def fractions(sums: PixelSums) -> dict[str, tuple[float, float]]: ...


@overload
def fractions(
    sums: PixelColumns,
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]: ...


def fractions(sums: PixelSums | PixelColumns) -> Any:
    """Return the numerator and the denominator of each metric, by its name.

    Both are linear in the sums, so fractions of several images can be added term by term.

    Example:
        >>> fractions(PixelSums(pixels=4, target=2.0, predicted=2.0, overlap=1.0))["iou"]
        (1.0, 3.0)
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
    """Return the metrics over all pixels of all images together (micro average).

    Example:
        >>> images = [PixelSums(4, 2.0, 2.0, 2.0), PixelSums(4, 2.0, 1.0, 0.0)]
        >>> pooled(images).recall
        0.5
    """
    return scores(sum(images, start=PixelSums(0, 0.0, 0.0, 0.0)))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0.0 else float("nan")


@dataclass(frozen=True, slots=True)
class Spread:
    """The distribution of one metric over the images where it is defined.

    Attributes:
        mean: the metric per image (macro average).
        std: standard deviation with the divisor n - 1; NaN for fewer than two values.
        q25, median, q75: quartiles, interpolated linearly.
        images: number of images where the metric is defined; the mean is over these.
        undefined: number of the other images.
    """

    mean: float
    std: float
    q25: float
    median: float
    q75: float
    images: int
    undefined: int


def spread(values: Sequence[float] | NDArray[Any]) -> Spread:
    """Return the distribution of one metric over images; NaN marks undefined values.

    Example:
        >>> found = spread([0.5, 1.0, float("nan")])
        >>> found.mean, found.q25, found.images, found.undefined
        (0.75, 0.625, 2, 1)
    """
    array = np.asarray(values, np.float64)
    valid = array[~np.isnan(array)]
    counts = valid.size, array.size - valid.size
    if valid.size == 0:
        nan = float("nan")
        return Spread(nan, nan, nan, nan, nan, *counts)
    q25, median, q75 = (float(q) for q in np.quantile(valid, (0.25, 0.5, 0.75)))
    std = float(valid.std(ddof=1)) if valid.size > 1 else float("nan")
    return Spread(float(valid.mean()), std, q25, median, q75, *counts)

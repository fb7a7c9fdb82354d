"""Lesion-wise scores: lesions that were found, missed, or predicted where there are none.

A lesion is a connected component of the mask of a picture or of a volume. Elements that touch at a
corner belong together: 8 neighbors of a pixel, 26 of a voxel. Its size is its equivalent diameter:
that of a circle of its area, or of a ball of its volume.

* A lesion is found if a predicted lesion has an element in common with it, and missed otherwise.
* A predicted lesion is false if it has no element in common with the foreground.

Lesions smaller than the stated size are not counted, neither of the mask nor of the prediction.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.core.settings import LengthUnit
from runtime.scoring.intervals import Interval
from runtime.scoring.surface import ScoredUnit
from runtime.scoring.trainings import Doubles

SIZES = (5.0, 10.0, 20.0, 40.0, 80.0)
"""Limits between the classes of size: equivalent diameters, in mm or pixels."""


@dataclass(frozen=True, slots=True)
class LesionCounts:
    """Numbers of lesions in each class of size; those of two images can be added.

    Attributes:
        found, missed: lesions of the mask.
        false: predicted lesions away from the foreground.

    Example:
        >>> one = LesionCounts((1, 0), (0, 1), (0, 0))
        >>> one + one
        LesionCounts(found=(2, 0), missed=(0, 2), false=(0, 0))
    """

    found: tuple[int, ...] = (0,) * (len(SIZES) + 1)
    missed: tuple[int, ...] = (0,) * (len(SIZES) + 1)
    false: tuple[int, ...] = (0,) * (len(SIZES) + 1)

    def __add__(self, other: "LesionCounts") -> "LesionCounts":
        pairs = (
            (self.found, other.found),
            (self.missed, other.missed),
            (self.false, other.false),
        )
        return LesionCounts(*(tuple(map(sum, zip(*pair, strict=True))) for pair in pairs))

    @classmethod
    def of(cls, counts: Doubles) -> "LesionCounts":
        """Return numbers [3, sizes] of found, missed and false lesions, which are whole."""
        return cls(*(tuple(map(int, row)) for row in counts.tolist()))

    @property
    def recall(self) -> float:
        """The share of lesions that were found; NaN if there are none."""
        lesions = sum(self.found) + sum(self.missed)
        return sum(self.found) / lesions if lesions else math.nan


@dataclass(frozen=True, slots=True)
class LesionSummary:
    """The lesions of a split.

    Attributes:
        unit: of all sizes.
        smallest: equivalent diameter of the smallest lesion that counts.
        sizes: equivalent diameters between the classes of size.
        counts: of all of them, in each class.
        recall: share of all lesions that were found.
        false_per_image: mean number of false lesions, over all images or volumes.
        of: lesions are components of the masks of images, or of volumes.
    """

    unit: LengthUnit
    smallest: float
    sizes: tuple[float, ...]
    counts: LesionCounts
    recall: Interval
    false_per_image: Interval
    of: ScoredUnit = "image"


def lesion_counts(
    predicted: NDArray[np.bool],
    target: NDArray[np.bool],
    *,
    pixel: Sequence[float] = (1.0, 1.0),
    smallest: float = 0.0,
) -> LesionCounts:
    """Count the lesions of one image or volume.

    Args:
        predicted, target: masks, bool [H, W] or [slices, H, W].
        pixel: sides of a pixel or voxel, one for each axis, in mm or another unit.
        smallest: equivalent diameter of the smallest lesion that counts, in the same unit.

    Example:
        >>> target = np.zeros((32, 32), bool)
        >>> target[2:6, 2:6] = target[20:30, 20:30] = True
        >>> predicted = np.zeros((32, 32), bool)
        >>> predicted[25:29, 22:27] = predicted[2:4, 20:22] = True
        >>> counts = lesion_counts(predicted, target)
        >>> counts.found[:3], counts.missed[:3], counts.false[:3]
        ((0, 0, 1), (1, 0, 0), (1, 0, 0))
    """
    inside = _bounds(predicted | target)
    predicted, target = predicted[inside], target[inside]
    lesions, size = _components(target, pixel)
    predictions, predicted_size = _components(predicted, pixel)
    counted, counted_predicted = size >= smallest, predicted_size >= smallest
    found = np.zeros(len(size) + 1, bool)
    found[lesions[np.concatenate([[False], counted_predicted])[predictions]]] = True
    true = np.zeros(len(predicted_size) + 1, bool)
    true[predictions[target]] = True
    return LesionCounts(
        found=_classes(size[counted & found[1:]]),
        missed=_classes(size[counted & ~found[1:]]),
        false=_classes(predicted_size[counted_predicted & ~true[1:]]),
    )


def _bounds(mask: NDArray[np.bool]) -> tuple[slice, ...]:
    """Return the smallest part that holds the foreground: components of a whole volume take long.

    Example:
        >>> _bounds(np.array([[False, False, False], [False, True, True]]))
        (slice(1, 2, None), slice(1, 3, None))
    """
    found = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        found.append(slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0))
    return tuple(found)


def _components(
    mask: NDArray[np.bool], pixel: Sequence[float]
) -> tuple[NDArray[np.int32], Doubles]:
    """Return the component of each element, 0 for the background, and each one's diameter."""
    from scipy.ndimage import label

    labels, number = label(mask, np.ones((3,) * mask.ndim, np.int64))
    sizes = np.bincount(labels.ravel(), minlength=number + 1)[1:] * math.prod(pixel)
    if mask.ndim == 3:
        return labels, np.cbrt(6.0 * sizes / math.pi)
    return labels, 2.0 * np.sqrt(sizes / math.pi)


def _classes(sizes: Doubles) -> tuple[int, ...]:
    """Return the number of lesions in each class of size."""
    classes = np.searchsorted(SIZES, sizes, side="right")
    return tuple(int(n) for n in np.bincount(classes, minlength=len(SIZES) + 1))


def total_lesions(images: Iterable[LesionCounts]) -> LesionCounts:
    """Return the lesions of several images together."""
    return sum(images, start=LesionCounts())


def lesion_terms(counts: Doubles) -> Doubles:
    """Return the numbers of found lesions, of all, and of false ones, float64 [images, 3].

    They are NaN for slices of a volume whose lesions stand in another slice.

    Args:
        counts: of found, missed and false lesions of each size, float64 [images, 3, sizes].
    """
    found, missed, false = counts.sum(axis=-1).T
    return np.stack([found, found + missed, false], axis=1)

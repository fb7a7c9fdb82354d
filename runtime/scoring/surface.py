"""Surface scores: how far the outline of a predicted mask lies from the outline of the target.

The outline is the foreground pixels with a background pixel above, below, left or right; beyond the
image is background. That of a volume is the voxels with a background voxel beyond one of their six
faces. Distances are Euclidean, between the centers of pixels or voxels.

* hd95: the Hausdorff distance at the 95th percentile. Each outline has a distance to the other one
  from each of its pixels, and a 95th percentile of them. The larger of the two is hd95.
* nsd: the normalized surface distance at a tolerance (Nikolov et al. 2018): the share of both
  outlines that is no farther from the other one. Pixels stand in the place of surface elements.

Both are as in MONAI, `compute_hausdorff_distance(percentile=95)` and `compute_surface_dice`. They
differ where a mask is empty. A target that is missed completely has the worst values: the diagonal
of the image or volume, and 0. Without foreground there is no surface to be near to: NaN.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.core.settings import LengthUnit
from runtime.scoring.intervals import Estimate
from runtime.scoring.trainings import Doubles

ScoredUnit = Literal["image", "volume", "image or volume"]
"""What outlines and lesions are of: slices of one volume are scored together."""
PERCENTILE = 95
_ROUNDING = 1e-9
"""Relative; a distance of ten pixels of 0.2 mm is within 2 mm, however it was rounded."""


@dataclass(frozen=True, slots=True)
class SurfaceScores:
    """The surface scores of one image or volume, or their means over those of a patient.

    Attributes:
        hd95: in mm or pixels.
        nsd: in [0, 1].
    """

    hd95: float
    nsd: float


@dataclass(frozen=True, slots=True)
class SurfaceSummary:
    """The surface scores of a split, over its images or volumes with foreground.

    Attributes:
        unit: of `tolerance` and of `hd95`.
        tolerance: of `nsd`.
        hd95, nsd: the distribution of each over these images or volumes.
        missed: number of them without any predicted pixel; they have the worst values.
        of: outlines are those of images, or of volumes.
    """

    unit: LengthUnit
    tolerance: float
    hd95: Estimate
    nsd: Estimate
    missed: int
    of: ScoredUnit = "image"


def surface_scores(
    predicted: NDArray[np.bool],
    target: NDArray[np.bool],
    *,
    pixel: Sequence[float] = (1.0, 1.0),
    tolerance: float,
    numbers: Sequence[int] | None = None,
) -> SurfaceScores:
    """Return the surface scores of one image or volume; NaN where the target is empty.

    Args:
        predicted, target: masks, bool [H, W] or [slices, H, W].
        pixel: sides of a pixel or voxel, one for each axis, in mm or another unit.
        tolerance: of `nsd`, in the same unit.
        numbers: of the slices, ascending, where some are missing; by default none are.

    Example:
        >>> target = np.zeros((8, 8), bool)
        >>> target[2:5, 2:5] = True
        >>> surface_scores(np.roll(target, 1, axis=1), target, tolerance=0.5)
        SurfaceScores(hd95=1.0, nsd=0.5)
        >>> surface_scores(np.zeros((6, 8), bool), np.ones((6, 8), bool), tolerance=0.5)
        SurfaceScores(hd95=10.0, nsd=0.0)
    """
    from scipy.spatial import KDTree

    if not target.any():
        return SurfaceScores(math.nan, math.nan)
    order = np.arange(len(target)) if numbers is None else np.asarray(numbers)
    if not predicted.any():
        sides = np.array([order[-1] - order[0] + 1, *target.shape[1:]]) * pixel
        return SurfaceScores(math.hypot(*sides), 0.0)
    one, other = (_points(mask, order) * pixel for mask in (predicted, target))
    distances = KDTree(other).query(one)[0], KDTree(one).query(other)[0]
    reach = tolerance * (1.0 + _ROUNDING)
    near = sum(int(np.count_nonzero(each <= reach)) for each in distances)
    hd95 = max(float(np.percentile(each, PERCENTILE)) for each in distances)
    return SurfaceScores(hd95, near / (len(one) + len(other)))


def _points(mask: NDArray[np.bool], order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the places of an outline, [elements, axes]; the first ones are those in `order`."""
    points = np.argwhere(outline(mask))
    return np.column_stack([order[points[:, 0]], points[:, 1:]])


def outline(mask: NDArray[np.bool]) -> NDArray[np.bool]:
    """Return the foreground elements with a background neighbor along an axis.

    Example:
        >>> outline(np.ones((3, 3), bool)).astype(int)
        array([[1, 1, 1],
               [1, 0, 1],
               [1, 1, 1]])
    """
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(mask.ndim):
        for neighbor in (slice(None, -2), slice(2, None)):
            inner &= padded[
                tuple(neighbor if a == axis else slice(1, -1) for a in range(mask.ndim))
            ]
    return mask & ~inner


def surface_values(images: Sequence[SurfaceScores], name: str) -> Doubles:
    """Return one score of each image, float64 [images]; NaN without foreground."""
    return np.array([getattr(image, name) for image in images], np.float64)


def mean_surface(images: Sequence[SurfaceScores]) -> SurfaceScores:
    """Return the means over the images with foreground; NaN if there are none.

    Example:
        >>> mean_surface([SurfaceScores(4.0, 0.5), SurfaceScores(math.nan, math.nan)])
        SurfaceScores(hd95=4.0, nsd=0.5)
    """
    known = [image for image in images if not math.isnan(image.hd95)]
    if not known:
        return SurfaceScores(math.nan, math.nan)
    return SurfaceScores(*(float(surface_values(known, name).mean()) for name in ("hd95", "nsd")))

"""Small gray versions of images as unit vectors, whose scalar products are correlations."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from runtime.core.machine import available_cores
from runtime.core.workers import map_ahead
from runtime.data.orientation import Size
from runtime.data.samples import Sample

THUMBNAIL: Size = (32, 32)
ORIENTATIONS = (
    "as stored",
    "mirrored left to right",
    "mirrored top to bottom",
    "turned by 180 degrees",
    "mirrored across the diagonal",
    "turned clockwise by 90 degrees",
    "turned counterclockwise by 90 degrees",
    "mirrored across the other diagonal",
)
"""The eight symmetries of the square, in the order of `orders`."""


def orders() -> NDArray[np.intp]:
    """Return the order of a thumbnail's pixels in each orientation, [8, 1024].

    Example:
        >>> flipped = np.arange(1024)[orders()[1]].reshape(32, 32)
        >>> flipped[0, :3]
        array([31, 30, 29])
    """
    grid = np.arange(THUMBNAIL[0] * THUMBNAIL[1]).reshape(THUMBNAIL)
    turned = [
        flipped[:, ::mirror]
        for base in (grid, grid.T)
        for flipped in (base, base[::-1])
        for mirror in (1, -1)
    ]
    return np.stack([pixels.ravel() for pixels in turned])


def thumbnails(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return 32x32 gray versions as unit vectors, float32 [samples, 1024]: 4 kB for each image.

    The scalar product of two rows is the correlation of the two images, in [-1, 1]. It depends
    neither on brightness nor on contrast.

    Raises:
        ImageError: an image cannot be read.
    """
    units = np.empty((len(samples), THUMBNAIL[0] * THUMBNAIL[1]), np.float32)
    for row, unit in zip(units, iter_thumbnails(samples), strict=True):
        row[:] = unit
    return units


def iter_thumbnails(samples: Sequence[Sample]) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of `thumbnails` one by one, in memory that does not grow.

    The row of an image with a single gray level is zero: it correlates with nothing.

    Raises:
        ImageError: an image cannot be read.
    """

    def thumbnail(sample: Sample) -> NDArray[np.float32]:
        gray = sample.load(THUMBNAIL).pixels.mean(axis=2, dtype=np.float32).ravel()
        centered = gray - gray.mean()
        unit: NDArray[np.float32] = centered / max(float(np.linalg.norm(centered)), 1e-12)
        return unit

    cores = available_cores()
    return map_ahead(thumbnail, samples, workers=cores, ahead=8 * cores)

"""How alike two scans look: the correlation of their small gray versions."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from runtime.core.machine import available_cores
from runtime.core.workers import map_ahead
from runtime.data.images import Size, load_scan
from runtime.data.samples import Sample

THUMBNAIL: Size = (32, 32)


def thumbnails(samples: tuple[Sample, ...]) -> NDArray[np.float32]:
    """Return float32 [samples, 1024] whose scalar products are correlations, in [-1, 1].

    Raises:
        ImageError: an image cannot be read.
    """
    return np.stack(list(each_thumbnail(samples)))


def each_thumbnail(samples: tuple[Sample, ...]) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of `thumbnails` one by one, so that any number of them takes no memory.

    A scan of one gray alone has no correlation with any other; its row is zero.

    Raises:
        ImageError: an image cannot be read.
    """

    def thumbnail(sample: Sample) -> NDArray[np.float32]:
        gray = load_scan(sample.path, THUMBNAIL).pixels.mean(axis=2, dtype=np.float32).ravel()
        centerd = gray - gray.mean()
        unit: NDArray[np.float32] = centerd / max(float(np.linalg.norm(centerd)), 1e-12)
        return unit

    cores = available_cores()
    return map_ahead(thumbnail, samples, workers=cores, ahead=8 * cores)

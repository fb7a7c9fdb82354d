"""Predicting volumes, slice by slice."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from runtime.data.images import load_scan
from runtime.data.orientation import Size
from runtime.data.resizing import resize_map
from runtime.data.volumes.gray import VolumeSpec, gray_slices
from runtime.data.volumes.volume import Volume
from runtime.model.predictor import Predictor


def predict_slices(
    predictor: Predictor, volume: Volume, spec: VolumeSpec
) -> Iterator[NDArray[np.float32]]:
    """Yield the probability map of each slice, float32 [rows, columns] in [0, 1], in order.

    Slices are read and computed ahead, as many as the predictor holds; memory does not grow with
    the number of slices.

    Raises:
        ImageError: a slice cannot be read.
        ModelError: the network's output is not a probability map.
    """
    gray = gray_slices(volume, spec)

    def load(index: int) -> tuple[NDArray[np.uint8], Size]:
        scan = load_scan(gray(index), predictor.size)
        return scan.pixels, scan.original_size

    for probability, size in predictor.run_ahead(range(volume.shape[0]), load):
        yield resize_map(probability, size)


def predict_volume(predictor: Predictor, volume: Volume, spec: VolumeSpec) -> NDArray[np.float32]:
    """Return a volume's probabilities, float32 [slices, rows, columns] in [0, 1], on its own grid.

    The result is in memory as a whole; `predict_slices` yields it slice by slice.

    Args:
        spec: how slices become gray images, as in the network's training.

    Raises:
        ImageError, ModelError: as `predict_slices`.

    Example:
        >>> from runtime.data.volumes.volume import volume_of
        >>> predictor = Predictor("artifacts/unet-scratch-w16.onnx")
        >>> volume = volume_of(np.zeros((2, 40, 50), np.float32))
        >>> predict_volume(predictor, volume, VolumeSpec()).shape
        (2, 40, 50)
    """
    result = np.empty(volume.shape, np.float32)
    for index, probability in enumerate(predict_slices(predictor, volume, spec)):
        result[index] = probability
    return result

"""Predicting volumes, slice by slice."""

import mmap
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from runtime.core.errors import OutputError
from runtime.core.progress import ProgressCallback, report_progress
from runtime.data.orientation import Size
from runtime.data.resizing import resize_map
from runtime.data.volumes.spec import VolumeSpec
from runtime.data.volumes.volume import Volume
from runtime.model.predictor import Predictor


def volume_rule(predictor: Predictor) -> VolumeSpec | None:
    """Return how slices become images for a network, as in its training; None if it is unknown."""
    metadata = predictor.metadata
    return None if metadata is None else metadata.input.volumes


def predict_slices(
    predictor: Predictor, volume: Volume, gray: Callable[[int], NDArray[np.uint8]]
) -> Iterator[NDArray[np.float32]]:
    """Yield the probability map of each slice, float32 [rows, columns] in [0, 1], in order.

    Slices are read and computed ahead, as many as the predictor holds; memory does not grow with
    the number of slices.

    Args:
        gray: reads slice i as a gray image, uint8 [rows, columns]
            (`runtime.data.volumes.gray.gray_slices`).

    Raises:
        ImageError: a slice cannot be read.
        ModelError: the network's output is not a probability map.
    """

    def load(index: int) -> tuple[NDArray[np.uint8], Size]:
        scan = predictor.load(gray(index))
        return scan.pixels, scan.original_size

    for probability, size in predictor.run_ahead(range(volume.shape[0]), load):
        yield resize_map(probability, size)


def predict_volume(
    predictor: Predictor,
    volume: Volume,
    gray: Callable[[int], NDArray[np.uint8]],
    on_progress: ProgressCallback | None = None,
) -> NDArray[np.float32]:
    """Return a volume's probabilities, float32 [slices, rows, columns] in [0, 1], on its own grid.

    The result is a read-only view of an unnamed temporary file, so that memory does not grow with
    the number of slices (`runtime.data.volumes.mapped`).

    Args:
        gray: as for `predict_slices`, by the rule of the network's training (`volume_rule`).
        on_progress: called after each slice, with numbers of slices.

    Raises:
        ImageError, ModelError: as `predict_slices`.
        OutputError: there is no space for the temporary file.

    Example:
        >>> from runtime.data.volumes.gray import gray_slices
        >>> from runtime.data.volumes.volume import volume_of
        >>> predictor = Predictor("artifacts/unet-scratch-w16.onnx")
        >>> volume = volume_of(np.zeros((2, 40, 50), np.float32))
        >>> predict_volume(predictor, volume, gray_slices(volume, VolumeSpec())).shape
        (2, 40, 50)
    """
    try:
        with tempfile.TemporaryFile() as file:
            for index, probability in enumerate(predict_slices(predictor, volume, gray)):
                file.write(probability.tobytes())
                report_progress(on_progress, "predict", index + 1, volume.shape[0])
            file.flush()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise OutputError(f"{volume.source}: no temporary file: {error.strerror}") from error
    return np.ndarray(volume.shape, np.float32, mapped)

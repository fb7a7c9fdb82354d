"""Resizing of images and probability maps, and the network's input.

The filter is Pillow's bilinear one, which is antialiased, for training, calibration, evaluation and
prediction alike.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.core.errors import ConfigError
from runtime.data.orientation import Size

RESIZE_FILTER = "bilinear"
MAX_SIDE = 8192
SCALE = np.float32(1.0) / np.float32(255.0)
"""Factor from a uint8 level to the network's input in [0, 1]; training multiplies by it too."""


def check_size(size: Size) -> None:
    """Raise ConfigError if a side of the (height, width) is not in 1 to 8192.

    Example:
        >>> check_size((256, 0))
        Traceback (most recent call last):
        runtime.core.errors.ConfigError: size: expected 1 to 8192 pixels a side, found (256, 0)
    """
    if not all(0 < side <= MAX_SIDE for side in size):
        raise ConfigError(f"size: expected 1 to {MAX_SIDE} pixels a side, found {size}")


def resize_image(image: Image.Image, size: Size) -> NDArray[np.uint8]:
    """Resize an image, which is the second half of `load_scan`.

    Args:
        image: of mode RGB or L.
        size: (height, width) of the result.

    Returns:
        RGB, uint8 [height, width, 3].

    Example:
        >>> resize_image(Image.new("L", (8, 8), 7), (1, 2)).tolist()
        [[[7, 7, 7], [7, 7, 7]]]
    """
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    if (
        image.mode != "RGB"
    ):  # later, because resizing three equal channels takes three times as long
        image = image.convert("RGB")
    return np.asarray(image)


def to_input(
    pixels: NDArray[np.uint8], out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return the network's input for an image: uint8 [H, W, 3] as float32 [3, H, W] in [0, 1].

    Args:
        pixels: as in `Scan`.
        out: an array to write the result to.

    Example:
        >>> to_input(np.array([[[255, 0, 51]]], np.uint8)).tolist()
        [[[1.0]], [[0.0]], [[0.20000001788139343]]]
    """
    image: NDArray[np.float32] = np.multiply(
        pixels.transpose(2, 0, 1), SCALE, out=out, dtype=np.float32
    )
    return image


def resize_map(values: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """Resize a probability map, float32 [H, W] in [0, 1], with the bilinear filter.

    Example:
        >>> resize_map(np.array([[0.0, 1.0]], np.float32), (1, 4)).tolist()
        [[0.0, 0.25, 0.75, 1.0]]
    """
    if values.shape == size:
        return values
    image = Image.fromarray(np.ascontiguousarray(values))
    resized = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    clipped: NDArray[np.float32] = np.clip(np.asarray(resized), 0.0, 1.0)
    return clipped

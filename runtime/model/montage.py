"""A picture of several slices of a volume, with their probabilities drawn over them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.data.volumes.mapped import release_pages
from runtime.data.volumes.volume import Volume
from runtime.metrics import THRESHOLD
from runtime.model.overlay import draw_overlay

_COLUMNS, _MOST = 4, 12
_SIDE = 256
"""Longest side of a slice, in pixels."""


def draw_montage(
    volume: Volume, gray: Callable[[int], NDArray[np.uint8]], probability: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Draw up to 12 slices, evenly spaced from the first to the last one with foreground.

    A volume without a probability of at least 0.5 is drawn as a whole. Pixels are as long and wide
    as the volume's spacing says.

    Args:
        gray: reads slice i, uint8 [rows, columns].
        probability: float32 [slices, rows, columns] in [0, 1].

    Returns:
        RGB, uint8 [H, W, 3].
    """
    found = []
    for index, each in enumerate(probability):
        if (each >= THRESHOLD).any():
            found.append(index)
        release_pages(probability)
    first, last = (found[0], found[-1]) if found else (0, volume.shape[0] - 1)
    count = min(_MOST, last - first + 1)
    chosen = np.unique(np.linspace(first, last, count).round().astype(int)).tolist()
    tiles = [_tile(volume, gray(index), probability[index]) for index in chosen]
    release_pages(probability)
    columns = min(_COLUMNS, len(tiles))
    height, width = tiles[0].shape[:2]
    picture = np.zeros((-(-len(tiles) // columns) * height, columns * width, 3), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * height, number % columns * width
        picture[top : top + height, left : left + width] = tile
    return picture


def _tile(
    volume: Volume, pixels: NDArray[np.uint8], probability: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return a slice with its probabilities, at a size that fits the spacing."""
    _, rows, columns = volume.spacing or (1.0, 1.0, 1.0)
    height, width = pixels.shape[0] * rows, pixels.shape[1] * columns
    scale = _SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resized = Image.fromarray(pixels).resize(size).convert("RGB")
    drawn = Image.fromarray(np.ascontiguousarray(probability)).resize(size)
    return draw_overlay(np.asarray(resized), np.clip(np.asarray(drawn), 0.0, 1.0))

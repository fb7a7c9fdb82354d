"""Orders of an image's pixels: the pixel in each row of a matrix.

An order is an int64 array of pixels, y * width + x, with NONE for a row without a pixel.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.winograd.transforms import KERNEL
from runtime.data.orientation import Size

Order = NDArray[np.int64]
NONE = -1


def raster(size: Size) -> Order:
    """Return the order of an image in memory, [height * width].

    Example:
        >>> raster((2, 3)).tolist()
        [0, 1, 2, 3, 4, 5]
    """
    return np.arange(size[0] * size[1], dtype=np.int64)


def pixels_at(y: Order, x: Order, size: Size) -> Order:
    """Return the pixels at coordinates, which broadcast; NONE outside the image."""
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    return np.where(inside, y * size[1] + x, NONE)


def tiles_along(length: int, tile: int) -> int:
    """Return the number of tiles that cover a side.

    Example:
        >>> tiles_along(10, tile=4)
        3
    """
    return -(-length // tile)


def even_then_odd(tile: int) -> Order:
    """Return 0, 2, 4, ..., 1, 3, 5, ...: an order in a tile that `halved` needs no gathering for.

    Example:
        >>> even_then_odd(4).tolist()
        [0, 2, 1, 3]
    """
    return np.concatenate([np.arange(0, tile, 2), np.arange(1, tile, 2)])


def tiled(size: Size, tile: int, tile_rows: range) -> Order:
    """Return the order of the pixels of some rows of output tiles, [tile * tile * tiles].

    Pixels are sorted by their place within the tile, even places before odd ones along both sides,
    then by tile.

    Example:
        >>> tiled((2, 4), tile=2, tile_rows=range(1)).tolist()  # two tiles side by side
        [0, 2, 1, 3, 4, 6, 5, 7]
    """
    places = even_then_odd(tile)
    return _within_tiles(size, tile, tile_rows, places).ravel()


def windows(size: Size, tile: int, tile_rows: range) -> Order:
    """Return the input pixels of output tiles of a 3x3 convolution with padding 1, [n * n, tiles].

    They are sorted by place within the window of n = tile + 2, then by tile; NONE is the padding.
    """
    places = np.arange(tile + KERNEL - 1) - KERNEL // 2
    return _within_tiles(size, tile, tile_rows, places).reshape(len(places) ** 2, -1)


def _within_tiles(size: Size, tile: int, tile_rows: range, places: Order) -> Order:
    y = np.asarray(tile_rows, np.int64) * tile + places[:, None]
    x = np.arange(tiles_along(size[1], tile)) * tile + places[:, None]
    return pixels_at(y[:, None, :, None], x[None, :, None, :], size)


def patches(
    size: Size, kernel: Size, stride: Size, before: Size, output: Size, order: Order
) -> Order:
    """Return the input pixels of a convolution, [outputs, kernel height * kernel width].

    Args:
        size: of the input.
        before: the padding above and to the left.
        output: the size of the output.
        order: of the output; a row without a pixel has only padding as its input.
    """
    y, x = np.divmod(order[:, None], output[1])
    row, column = np.divmod(np.arange(kernel[0] * kernel[1]), kernel[1])
    seen = pixels_at(y * stride[0] + row - before[0], x * stride[1] + column - before[1], size)
    return np.where(order[:, None] == NONE, NONE, seen)


def doubled(order: Order, size: Size) -> Order:
    """Return the order with each pixel replaced by its four pixels in an image of twice the size.

    The four are (0, 0), (0, 1), (1, 0), (1, 1), as a 2x2 transposed convolution of stride 2 gives
    them.

    Example:
        >>> doubled(raster((1, 2)), (1, 2)).tolist()
        [0, 1, 4, 5, 2, 3, 6, 7]
    """
    y, x = np.divmod(order[:, None], size[1])
    row, column = np.divmod(np.arange(4), 2)
    pixels = (2 * y + row) * (2 * size[1]) + 2 * x + column
    return np.where(order[:, None] == NONE, NONE, pixels).ravel()


def quarters(size: Size) -> Order:
    """Return the four pixels under each pixel of an image of half the size, [4, pixels]."""
    half = (size[0] // 2, size[1] // 2)
    return doubled(raster(half), half).reshape(-1, 4).T


def halved(order: Order, size: Size) -> tuple[int, Order] | None:
    """Return how an order splits into the four pixels under each pixel of a half-size image.

    Returns:
        (a, coarse), where the order as [2, a, 2, -1] has the four pixels of coarse, as [a, -1],
        along its first and third axis; None where it does not split in this way.
    """
    for a in (1, 2, 3):
        if len(order) % (4 * a):
            continue
        split = order.reshape(2, a, 2, -1).transpose(0, 2, 1, 3).reshape(4, -1)
        y, x = np.divmod(split[0], size[1])
        coarse = np.where(split[0] == NONE, NONE, y // 2 * (size[1] // 2) + x // 2)
        if np.array_equal(doubled(coarse, (size[0] // 2, size[1] // 2)), split.T.ravel()):
            return a, coarse
    return None


def locate_pixels(orders: Sequence[Order], size: Size) -> tuple[Order, Order]:
    """Return for each pixel the index of the order that has it, and its row there.

    Raises:
        ValueError: the orders together do not have each pixel exactly once.
    """
    count = size[0] * size[1]
    joined = np.concatenate(orders)
    if not np.array_equal(np.sort(joined[joined != NONE]), np.arange(count)):
        raise ValueError(f"expected each of {count} pixels once in {len(orders)} orders")
    lengths = [len(order) for order in orders]
    part = np.repeat(np.arange(len(orders)), lengths)
    row = np.concatenate([np.arange(length) for length in lengths])
    holds = joined != NONE
    parts, rows = np.empty(count, np.int64), np.empty(count, np.int64)
    parts[joined[holds]], rows[joined[holds]] = part[holds], row[holds]
    return parts, rows

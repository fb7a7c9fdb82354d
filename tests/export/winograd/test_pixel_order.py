import numpy as np
import pytest
from hypothesis import given, strategies as st

from export.winograd.pixel_order import (
    NONE,
    Order,
    doubled,
    halved,
    locate_pixels,
    patches,
    pixels_at,
    quarters,
    raster,
    tiled,
    tiles_along,
    windows,
)

SIDES = st.integers(1, 20)
SIZES = st.tuples(SIDES, SIDES)
EVEN_SIZES = st.tuples(SIDES.map(lambda n: 2 * n), SIDES.map(lambda n: 2 * n))
TILES = st.sampled_from((2, 4, 6))


def all_tiles(size: tuple[int, int], tile: int) -> Order:
    return tiled(size, tile, range(tiles_along(size[0], tile)))


def values(order: Order, image: Order) -> Order:
    """What rows in that order hold of an image, -1 where they hold nothing."""
    return np.where(order == NONE, -1, image.ravel()[order])


@given(SIZES, TILES, st.data())
def test_strips_of_tiles_have_each_pixel_once(
    size: tuple[int, int], tile: int, data: st.DataObject
) -> None:
    count = tiles_along(size[0], tile)
    cut = data.draw(st.integers(0, count))
    strips = [tiled(size, tile, range(cut)), tiled(size, tile, range(cut, count))]
    part, row = locate_pixels(strips, size)
    for pixel in range(size[0] * size[1]):
        assert strips[part[pixel]][row[pixel]] == pixel


def test_a_pixel_that_is_missing_or_twice_is_an_error() -> None:
    for order in ([0, 1, 2], [0, 1, 2, 3, 3]):
        with pytest.raises(ValueError, match="each of 4 pixels once in 1 orders"):
            locate_pixels([np.array(order)], (2, 2))


@given(SIZES, TILES)
def test_a_window_is_what_the_convolution_of_its_tile_sees(
    size: tuple[int, int], tile: int
) -> None:
    image = raster(size).reshape(size)
    down, across = (tiles_along(side, tile) for side in size)
    below, right = down * tile - size[0] + 1, across * tile - size[1] + 1
    padded = np.pad(image, ((1, below), (1, right)), constant_values=NONE)
    seen = windows(size, tile, range(down)).reshape(tile + 2, tile + 2, down, across)
    for y in range(down):
        for x in range(across):
            cut = padded[y * tile :, x * tile :][: tile + 2, : tile + 2]
            np.testing.assert_array_equal(seen[:, :, y, x], cut)


@given(SIZES, st.sampled_from((1, 3)), st.sampled_from((1, 2)), st.integers(0, 1))
def test_patches_are_those_of_a_sliding_window(
    size: tuple[int, int], kernel: int, stride: int, before: int
) -> None:
    padded = np.pad(raster(size).reshape(size), ((before, 3), (before, 3)), constant_values=NONE)
    views = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel))
    views = views[: size[0] : stride, : size[1] : stride]
    output = (views.shape[0], views.shape[1])
    order = np.append(raster(output), NONE)
    sides = (kernel, kernel), (stride, stride), (before, before)
    found = patches(size, *sides, output, order)
    np.testing.assert_array_equal(found[:-1], views.reshape(-1, kernel * kernel))
    assert (found[-1] == NONE).all()


@given(SIZES)
def test_doubling_is_repeating_each_pixel(size: tuple[int, int]) -> None:
    fine = (2 * size[0], 2 * size[1])
    nearest = raster(size).reshape(size).repeat(2, axis=0).repeat(2, axis=1)
    order = doubled(raster(size), size)
    np.testing.assert_array_equal(np.sort(order), raster(fine))
    np.testing.assert_array_equal(values(order, nearest), raster(size).repeat(4))


@given(EVEN_SIZES, TILES)
def test_halving_undoes_doubling(size: tuple[int, int], tile: int) -> None:
    order = all_tiles(size, tile)
    found = halved(order, size)
    assert found is not None
    a, coarse = found
    half = (size[0] // 2, size[1] // 2)
    repeated = raster(half).reshape(half).repeat(2, axis=0).repeat(2, axis=1)
    parents = values(order, repeated).reshape(2, a, 2, -1)
    for row in range(2):
        for column in range(2):
            np.testing.assert_array_equal(parents[row, :, column].ravel(), coarse)
    locate_pixels([coarse], half)


def test_an_image_in_raster_order_is_not_halves() -> None:
    assert halved(raster((8, 8)), (8, 8)) is None


@given(EVEN_SIZES)
def test_quarters_are_the_four_pixels_of_each(size: tuple[int, int]) -> None:
    image = raster(size).reshape(size)
    expected = [image[row::2, column::2].ravel() for row in range(2) for column in range(2)]
    np.testing.assert_array_equal(quarters(size), expected)


@given(SIZES, st.integers(-3, 25), st.integers(-3, 25))
def test_a_pixel_outside_the_image_is_none(size: tuple[int, int], y: int, x: int) -> None:
    inside = 0 <= y < size[0] and 0 <= x < size[1]
    expected = y * size[1] + x if inside else NONE
    assert pixels_at(np.array(y), np.array(x), size) == expected

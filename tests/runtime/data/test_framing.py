"""How images meet a network's input: sizes, windows, and maps that are put together again."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from runtime.core.settings import Resize
from runtime.data.framing import Framing, Piece, Windows, cut_windows, join_windows

SIDES = st.integers(1, 60)
SIZES = st.tuples(SIDES, SIDES)
INPUTS = st.tuples(st.integers(3, 24), st.integers(3, 24))
few = settings(max_examples=40, deadline=None)


def joined(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the map of a network that returns each pixel's first channel."""
    found = (
        ((window[..., 0] / np.float32(255)).astype(np.float32), piece)
        for window, piece in pieces(pixels, size)
    )
    ((probability, _),) = join_windows(found)
    return probability


def pieces(
    pixels: NDArray[np.uint8], size: tuple[int, int]
) -> Iterator[tuple[NDArray[np.uint8], Piece[None]]]:
    return cut_windows([(pixels, None)], size)


def noise(scaled: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*scaled, 3), np.uint8)


@given(INPUTS, SIZES, st.none() | SIZES)
def test_fit_and_tile_keep_the_proportions(
    size: tuple[int, int], original: tuple[int, int], view: tuple[int, int] | None
) -> None:
    """Each side is within half a pixel of one common scale; that of tile is the training's."""
    fit, tile = (Framing(size, rule, view).scaled(original) for rule in ("fit", "tile"))
    scale = min(size[0] / original[0], size[1] / original[1])
    assert all(abs(f - max(1, o * scale)) <= 1 for f, o in zip(fit, original, strict=True))
    assert fit[0] == size[0] or fit[1] == size[1]
    assert fit[0] <= size[0]
    assert fit[1] <= size[1]
    shown = view or size
    down, along = (t * v / (s * o) for t, v, s, o in zip(tile, shown, size, original, strict=True))
    slack = [v / (s * o) for v, s, o in zip(shown, size, original, strict=True)]
    assert abs(down - along) <= sum(slack)
    filled = [t >= s for t, s in zip(tile, size, strict=True)]
    assert all(filled) if view is None else any(filled)


@given(INPUTS, st.integers(1, 5), st.none() | SIZES, st.sampled_from(["fit", "tile"]))
def test_an_image_of_the_inputs_proportions_is_stretched_by_every_rule(
    size: tuple[int, int], times: int, view: tuple[int, int] | None, rule: Resize
) -> None:
    """Unless the view is known and smaller: windows then show the scale of the training."""
    original = size[0] * times, size[1] * times
    if rule == "tile" and view is not None:
        view = original
    assert Framing(size, rule, view).scaled(original) == size


@few
@given(SIZES, INPUTS)
def test_windows_cover_every_pixel_and_overlap_by_a_quarter(
    scaled: tuple[int, int], size: tuple[int, int]
) -> None:
    windows = Windows(scaled, size)
    seen = np.zeros(scaled, int)
    for index in range(windows.count):
        top, left = windows.place(index)
        seen[max(0, top) : top + size[0], max(0, left) : left + size[1]] += 1
    assert seen.min() >= 1
    firsts = sorted({windows.place(index)[0] for index in range(windows.count)})
    assert all(b - a <= size[0] - size[0] // 4 for a, b in pairwise(firsts))
    assert firsts[-1] + size[0] >= scaled[0]


@few
@given(SIZES, INPUTS)
def test_blended_weights_sum_to_one(scaled: tuple[int, int], size: tuple[int, int]) -> None:
    """So a network that returns the same everywhere returns it for the image."""
    white = np.full((*scaled, 3), 255, np.uint8)
    found = joined(white, size)
    assert found.shape == scaled
    np.testing.assert_allclose(found, 1.0, atol=1e-6)


@few
@given(SIZES, INPUTS, st.integers(0, 99))
def test_cutting_and_joining_changes_nothing(
    scaled: tuple[int, int], size: tuple[int, int], seed: int
) -> None:
    pixels = noise(scaled, seed)
    np.testing.assert_allclose(joined(pixels, size), pixels[..., 0] / 255.0, atol=1e-6)


@few
@given(st.integers(30, 60), st.integers(1, 9), st.integers(1, 9))
def test_a_network_of_pixels_moves_with_the_image(side: int, down: int, along: int) -> None:
    pixels = noise((side, side))
    moved = np.roll(pixels, (down, along), (0, 1))
    expected = np.roll(joined(pixels, (16, 24)), (down, along), (0, 1))
    np.testing.assert_allclose(joined(moved, (16, 24)), expected, atol=1e-6)


def test_an_image_of_the_inputs_size_is_one_window_to_the_bit() -> None:
    pixels = noise((16, 16))
    ((window, _),) = pieces(pixels, (16, 16))
    assert window is pixels
    np.testing.assert_array_equal(joined(pixels, (16, 16)), pixels[..., 0] / np.float32(255))


def test_margins_are_black_centered_and_cut_away() -> None:
    pixels = np.full((4, 10, 3), 200, np.uint8)
    ((window, _),) = pieces(pixels, (10, 10))
    assert window[3:7].min() == 200
    assert not window[:3].any()
    assert not window[7:].any()
    assert joined(pixels, (10, 10)).shape == (4, 10)


def test_the_weights_fall_linearly_towards_a_windows_edge() -> None:
    """Two windows of 8, 6 apart: within the two common pixels weights are 1/3 and 2/3."""
    windows = Windows((8, 14), (8, 8))
    assert [windows.place(index) for index in range(windows.count)] == [(0, 0), (0, 6)]
    maps = np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)
    pairs = zip(maps, (piece for _, piece in pieces(noise((8, 14)), (8, 8))), strict=True)
    ((found, _),) = join_windows(pairs)
    np.testing.assert_allclose(found[0], [0] * 6 + [1 / 3, 2 / 3] + [1] * 6, atol=1e-6)


@settings(max_examples=20)
@given(st.integers(200, 4000), st.integers(200, 4000))
def test_the_note_on_stretching_states_the_factor(height: int, width: int) -> None:
    note = Framing((64, 64), view=(300, 400)).stretch_note([(300, 400), (height, width)])
    factor = height / width * 400 / 300
    if abs(math.log(factor)) <= math.log(1.05):
        assert note is None
    else:
        words = f"{max(factor, 1 / factor):.2f} times as {'wide' if factor > 1 else 'high'}"
        assert note is not None
        assert words in note
        assert f"{width}x{height}" in note
    assert Framing((64, 64), "fit").stretch_note([(height, width)]) is None


@given(INPUTS, SIZES, st.integers(1, 60))
def test_an_image_within_the_view_is_fitted_and_a_larger_one_has_the_trainings_scale(
    size: tuple[int, int], original: tuple[int, int], more: int
) -> None:
    view = size[0] * 3, size[1] * 3
    tile, fit = (Framing(size, rule, view).scaled(original) for rule in ("tile", "fit"))
    if original[0] <= view[0] and original[1] <= view[1]:
        assert tile == fit
    larger = view[0] + more, original[1]
    scaled = Framing(size, "tile", view).scaled(larger)
    assert scaled == (round(larger[0] / 3), max(1, round(larger[1] / 3)))


@pytest.mark.parametrize("original", [(1, 10_000), (10_000, 1)])
def test_a_very_long_image_has_many_windows_at_once_known(original: tuple[int, int]) -> None:
    windows = Windows(Framing((16, 16), "tile").scaled(original), (16, 16))
    assert windows.count == 1 + math.ceil((160_000 - 16) / 12)

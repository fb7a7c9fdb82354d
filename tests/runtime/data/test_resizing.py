"""Resizing, against Pillow, and the input of a network."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from runtime.data.resizing import resize_image, resize_map, to_input
from tests.support.pictures import noise


def test_the_input_is_the_levels_divided_by_255_channels_first() -> None:
    pixels = noise(5, 7, 3)
    array = to_input(pixels)
    assert array.dtype == np.float32
    expected = np.moveaxis(pixels, 2, 0) / 255.0
    np.testing.assert_allclose(array, expected, rtol=2.0**-22)
    whole_range = to_input(np.array([[[0, 128, 255]]], np.uint8))
    assert whole_range.min() == 0.0
    assert whole_range.max() == 1.0


def test_the_input_is_written_into_the_given_buffer() -> None:
    pixels = noise(5, 7, 3)
    batch = np.full((2, 3, 5, 7), np.nan, np.float32)
    result = to_input(pixels, out=batch[1])
    assert np.shares_memory(result, batch)
    np.testing.assert_array_equal(batch[1], to_input(pixels))
    assert np.isnan(batch[0]).all()


MAPS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(0, 1, width=32),
)


@given(MAPS, st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_a_resized_map_has_its_size_and_stays_within_its_values(
    values: NDArray[np.float32], height: int, width: int
) -> None:
    resized = resize_map(values, (height, width))
    assert resized.shape == (height, width)
    assert resized.dtype == np.float32
    assert resized.min() >= 0.0
    assert resized.max() <= 1.0
    slack = 2.0**-20
    assert values.min() - slack <= resized.min() <= resized.max() <= values.max() + slack


def test_a_map_of_the_asked_size_is_not_changed() -> None:
    values = np.random.default_rng(0).random((5, 6), np.float32)
    np.testing.assert_array_equal(resize_map(values, (5, 6)), values)


def test_a_map_that_is_a_view_is_resized_as_it_is_seen() -> None:
    values = np.random.default_rng(0).random((12, 10), np.float32)
    view = values[::2, ::-1]
    np.testing.assert_array_equal(resize_map(view, (9, 9)), resize_map(view.copy(), (9, 9)))


@pytest.mark.parametrize("size", [(8, 4), (4, 8)])
def test_an_image_that_differs_in_one_side_alone_is_resized_as_pillow_does(
    size: tuple[int, int],
) -> None:
    image = Image.fromarray(noise(8, 8, 3))
    expected = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize_image(image, size), np.asarray(expected))

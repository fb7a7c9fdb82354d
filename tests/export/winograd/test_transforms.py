import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.signal import correlate

from export.winograd.transforms import POINTS, transform

TILES = st.sampled_from(sorted(POINTS))


@given(tile=TILES, seed=st.integers(0, 2**32 - 1))
def test_a_tile_is_the_correlation_of_its_window_with_the_kernel(tile: int, seed: int) -> None:
    t, rng = transform(tile), np.random.default_rng(seed)
    window, kernel = rng.normal(size=(t.window, t.window)), rng.normal(size=(3, 3))
    product = (t.weight @ kernel @ t.weight.T) * (t.input @ window @ t.input.T)
    found = t.output @ product @ t.output.T
    np.testing.assert_allclose(found, correlate(window, kernel, "valid"), atol=1e-10)


def test_the_matrices_are_lavin_and_grays() -> None:
    # Section 4.1 and 4.3 of the paper, whose rows may have both signs changed.
    two = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]
    np.testing.assert_allclose(abs(transform(2).input), np.abs(np.array(two)), atol=1e-15)
    weight = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
    np.testing.assert_allclose(abs(transform(2).weight), np.abs(np.array(weight)), atol=1e-15)
    output = [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ]
    np.testing.assert_array_equal(transform(4).output, output)
    four = [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
    np.testing.assert_allclose(transform(4).input, four, atol=1e-14)


def test_the_matrices_are_shared_and_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        transform(4).output[0, 0] = 2.0

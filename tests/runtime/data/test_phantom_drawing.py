"""The drawn scans have the physics that their description claims."""

import math
from dataclasses import replace

import numpy as np
import pytest

from runtime.data.phantom_drawing import Person, draw_slice


@pytest.fixture
def person() -> Person:
    """A head in the middle of the image, upright, without noise and without a bias field."""
    person = Person.draw(np.random.default_rng(3))
    return replace(person, angle=0.0, offset=(0.0, 0.0), bias=(0.0,) * 5, noise=0.0)


def test_noise_is_rician_which_outside_the_head_is_rayleigh(person: Person) -> None:
    noisy, _ = draw_slice(replace(person, noise=0.1), 0.0, 256, np.random.default_rng(0))
    corners = noisy[[*range(30), *range(226, 256)]][:, [*range(30), *range(226, 256)]] / 255.0
    assert corners.mean() == pytest.approx(0.1 * math.sqrt(math.pi / 2), rel=0.05)
    assert corners.std() == pytest.approx(0.1 * math.sqrt(2 - math.pi / 2), rel=0.05)


def test_the_bias_field_is_a_smooth_factor(person: Person) -> None:
    a, b, c, d, e = bias = (0.1, -0.05, 0.08, 0.06, -0.1)
    plain, _ = draw_slice(person, 0.0, 128, np.random.default_rng(0))
    biased, _ = draw_slice(replace(person, bias=bias), 0.0, 128, np.random.default_rng(0))
    y, x = (np.indices((128, 128)) + 0.5) / 64 - 1
    expected = np.exp(a * x + b * y + c * x * y + d * x**2 + e * y**2)
    usable = (plain >= 80) & (biased < 255)
    assert usable.sum() > 2000
    np.testing.assert_allclose((biased / np.maximum(plain, 1))[usable], expected[usable], rtol=0.02)


@pytest.mark.parametrize("depth", [0.0, 0.8])
def test_the_contour_encloses_the_lesion_that_is_drawn(person: Person, depth: float) -> None:
    """A lesion of another level changes the pixels within its contour, and none far outside."""
    bright, dark = (
        draw_slice(replace(person, lesion_level=level), depth, 128, np.random.default_rng(0))
        for level in (0.98, 0.02)
    )
    np.testing.assert_array_equal(bright[1], dark[1])
    rows, columns = np.nonzero(bright[0] - dark[0].astype(float) > 40)
    x, y = bright[1].T
    assert (columns.min(), columns.max()) == pytest.approx((x.min(), x.max()), abs=2.5)
    assert (rows.min(), rows.max()) == pytest.approx((y.min(), y.max()), abs=2.5)

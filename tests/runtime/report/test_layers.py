"""The layers over a scan."""

import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

from runtime.report.layers import boxes_svg, css_color, mask_layer, probability_layer


def test_an_outline_is_the_masks_rim_and_nothing_else() -> None:
    mask = np.zeros((12, 16), np.uint8)
    mask[2:9, 3:14] = 1
    layer = mask_layer(mask, (1, 2, 3), width=2)
    drawn = Image.new("L", (16, 12))
    ImageDraw.Draw(drawn).rectangle((3, 2, 13, 8), outline=255, width=2)
    np.testing.assert_array_equal(layer[..., 3], np.asarray(drawn))
    assert (layer[..., :3] == (1, 2, 3)).all()


def test_an_empty_mask_is_transparent_and_a_full_one_has_a_frame() -> None:
    assert not mask_layer(np.zeros((5, 5), np.uint8))[..., 3].any()
    full = mask_layer(np.ones((5, 5), np.uint8), width=1)[..., 3] > 0
    assert full.sum() == 16
    assert not full[1:-1, 1:-1].any()


def test_a_probability_is_the_more_opaque_the_higher() -> None:
    levels = np.linspace(0.0, 0.49, 50, dtype=np.float32)[None]
    alpha = probability_layer(levels)[0, :, 3].astype(int)
    assert alpha[0] == 0
    assert (np.diff(alpha) >= 0).all()
    assert alpha[-1] == pytest.approx(0.49 * 0.8 * 255, abs=1)


def test_what_is_at_least_a_half_has_a_full_line_round_it() -> None:
    probability = np.full((9, 9), 0.2, np.float32)
    probability[2:7, 2:7] = 0.5
    alpha = probability_layer(probability)[..., 3]
    assert (alpha == 255).sum() == 16
    assert alpha[4, 4] == round(0.5 * 0.8 * 255)


def test_boxes_are_drawn_where_they_are_and_small_ones_have_a_ring() -> None:
    source = boxes_svg([(10.0, 20.5, 300.0, 40.0), (5.0, 6.0, 2.5, 7.5)], (640, 480))
    assert 'viewBox="0 0 480 640"' in source
    assert re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/>', source
    ) == [
        ("10", "20.5", "300", "40"),
        ("5", "6", "2.5", "7.5"),
    ]
    assert re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', source) == [("6.25", "9.75")]


def test_a_color_in_css() -> None:
    assert css_color((255, 48, 32)) == "#ff3020"

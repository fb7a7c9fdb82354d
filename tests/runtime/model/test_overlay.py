"""Overlays mark what is predicted and what is annotated."""

from pathlib import Path

import numpy as np
from PIL import Image

from runtime.model.overlay import CONTOUR, HEAT, TARGET, draw_overlay, write_probability


def test_an_overlay_marks_what_is_predicted_and_what_is_annotated() -> None:
    pixels = np.full((20, 20, 3), 100, np.uint8)
    probability = np.zeros((20, 20), np.float32)
    probability[4:10, 4:10] = 1.0
    mask = np.zeros((20, 20), np.uint8)
    mask[12:18, 12:18] = 1
    picture = draw_overlay(pixels, probability, mask)
    assert (picture[0, 0] == 100).all()
    assert (picture[4, 4:10] == CONTOUR).all()
    assert (picture[12:18, 17] == TARGET).all()
    inside = picture[6, 6].astype(int)
    assert inside[0] > 100 > inside[1]
    assert (picture[14, 14] == 100).all()


def test_a_pixel_of_exactly_one_half_is_outlined() -> None:
    probability = np.zeros((5, 5), np.float32)
    probability[1:4, 1:4] = 0.5
    picture = draw_overlay(np.zeros((5, 5, 3), np.uint8), probability)
    outlined = (picture == CONTOUR).all(axis=2)
    assert outlined.sum() == 8  # a ring of 3x3 pixels
    assert not outlined[2, 2]


def test_red_grows_with_the_probability_below_and_above_one_half() -> None:
    row = np.array([0.0, 0.1, 0.3, 0.45], np.float32)
    picture = draw_overlay(np.full((1, 4, 3), 100, np.uint8), row[None]).astype(float)
    parts = (picture[0] - 100.0) / (np.array(HEAT) - 100.0)
    np.testing.assert_allclose(parts, np.outer(row, [0.55] * 3), atol=0.01)
    inside = draw_overlay(np.full((3, 3, 3), 100, np.uint8), np.ones((3, 3), np.float32))[1, 1]
    np.testing.assert_allclose((inside - 100.0) / (np.array(HEAT) - 100.0), 0.55, atol=0.01)


def test_a_region_at_the_edge_of_the_image_has_a_closed_outline() -> None:
    mask = np.ones((4, 4), np.uint8)
    picture = draw_overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32), mask)
    outlined = (picture == TARGET).all(axis=2)
    assert outlined.sum() == 12
    assert not outlined[1:3, 1:3].any()


def test_a_map_is_written_as_16_bit_levels_or_as_its_numbers(tmp_path: Path) -> None:
    probability = np.random.default_rng(0).random((6, 9)).astype(np.float32)
    probability[0, :2] = 0.0, 1.0
    write_probability(tmp_path / "map.png", probability)
    levels = np.asarray(Image.open(tmp_path / "map.png"))
    np.testing.assert_array_equal(levels, np.rint(probability.astype(float) * 65535))
    write_probability(tmp_path / "map.npy", probability)
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), probability)

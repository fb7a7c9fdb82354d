"""Overlays mark what is predicted and what is annotated."""

import numpy as np

from runtime.model.overlay import CONTOUR, TARGET, draw_overlay


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

"""Surface scores against all pairs of outline pixels, in float64."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from runtime.scoring.surface import SurfaceScores, mean_surface, outline, surface_scores

pytest.importorskip("scipy")

SIZE = (9, 7)
masks = arrays.arrays(bool, SIZE)
pixels = st.tuples(st.floats(0.2, 3.0), st.floats(0.2, 3.0))


def edge(mask: NDArray[np.bool]) -> list[tuple[int, int]]:
    """The foreground pixels with a neighbor that is background, or outside."""
    height, width = mask.shape
    return [
        (y, x)
        for y, x in zip(*np.nonzero(mask), strict=True)
        if any(
            not (0 <= v < height and 0 <= u < width and mask[v, u])
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        )
    ]


def nearest(
    ones: list[tuple[int, int]], others: list[tuple[int, int]], pixel: tuple[float, float]
) -> list[float]:
    """The distance of each of `ones` to the nearest of `others`."""
    return [
        min(math.hypot((y - v) * pixel[0], (x - u) * pixel[1]) for v, u in others) for y, x in ones
    ]


@settings(deadline=None)
@given(masks, masks, pixels, st.floats(0.0, 4.0))
def test_they_are_those_of_all_pairs_of_outline_pixels(
    predicted: NDArray[np.bool],
    target: NDArray[np.bool],
    pixel: tuple[float, float],
    tolerance: float,
) -> None:
    found = surface_scores(predicted, target, pixel=pixel, tolerance=tolerance)
    assert list(map(tuple, np.argwhere(outline(predicted)))) == edge(predicted)
    if not target.any():
        assert math.isnan(found.hd95)
        assert math.isnan(found.nsd)
    elif not predicted.any():
        assert found == SurfaceScores(math.hypot(9 * pixel[0], 7 * pixel[1]), 0.0)
    else:
        there = nearest(edge(predicted), edge(target), pixel)
        back = nearest(edge(target), edge(predicted), pixel)
        expected = max(np.percentile(there, 95), np.percentile(back, 95))
        assert found.hd95 == pytest.approx(expected, rel=1e-12)
        both = [*there, *back]
        near = sum(d <= tolerance for d in both), sum(d <= tolerance + 1e-6 for d in both)
        assert near[0] / len(both) <= found.nsd <= near[1] / len(both)


@settings(deadline=None)
@given(masks, masks, pixels)
def test_a_missed_target_is_worse_than_any_prediction(
    predicted: NDArray[np.bool], target: NDArray[np.bool], pixel: tuple[float, float]
) -> None:
    target[0, 0] = predicted[-1, -1] = True
    missed = surface_scores(np.zeros(SIZE, bool), target, pixel=pixel, tolerance=0.1)
    found = surface_scores(predicted, target, pixel=pixel, tolerance=0.1)
    assert found.hd95 < missed.hd95
    assert found.nsd >= missed.nsd == 0.0


def test_the_tolerance_includes_its_own_distance_however_it_is_rounded() -> None:
    target = np.zeros((40, 3), bool)
    target[20, 1] = True
    shifted = np.roll(target, 10, axis=0)
    assert surface_scores(shifted, target, pixel=(0.2, 0.2), tolerance=2.0).nsd == 1.0
    assert surface_scores(shifted, target, pixel=(0.2, 0.2), tolerance=1.99).nsd == 0.0


def test_a_mean_is_over_the_images_with_foreground() -> None:
    nothing = SurfaceScores(math.nan, math.nan)
    assert mean_surface([SurfaceScores(2.0, 1.0), nothing, SurfaceScores(4.0, 0.0)]) == (
        SurfaceScores(3.0, 0.5)
    )
    assert math.isnan(mean_surface([nothing]).nsd)

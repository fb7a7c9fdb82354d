"""Lesion counts against a flood fill, and the rules of matching."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from runtime.scoring.lesions import SIZES, LesionCounts, lesion_counts, lesion_terms

pytest.importorskip("scipy")

masks = arrays.arrays(bool, (8, 9))


def components(mask: NDArray[np.bool]) -> list[set[tuple[int, int]]]:
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    while left:
        stack = [left.pop()]
        found.append(set(stack))
        while stack:
            y, x = stack.pop()
            near = {(y + v, x + u) for v in (-1, 0, 1) for u in (-1, 0, 1)} & left
            left -= near
            found[-1] |= near
            stack += near
    return found


def diameter(component: set[tuple[int, int]], pixel: tuple[float, float]) -> float:
    return math.sqrt(4.0 * len(component) * pixel[0] * pixel[1] / math.pi)


@settings(deadline=None)
@given(masks, masks, st.sampled_from([(1.0, 1.0), (4.0, 6.0)]), st.sampled_from([0.0, 2.0, 12.0]))
def test_they_are_those_of_a_flood_fill(
    predicted: NDArray[np.bool],
    target: NDArray[np.bool],
    pixel: tuple[float, float],
    smallest: float,
) -> None:
    def large(mask: NDArray[np.bool]) -> list[set[tuple[int, int]]]:
        return [c for c in components(mask) if diameter(c, pixel) >= smallest]

    seen = set[tuple[int, int]]().union(*large(predicted))
    foreground = set(map(tuple, np.argwhere(target).tolist()))
    expected: dict[str, list[int]] = {k: [0] * 6 for k in ("found", "missed", "false")}
    for lesion in large(target):
        kind = "found" if lesion & seen else "missed"
        expected[kind][sum(diameter(lesion, pixel) >= limit for limit in SIZES)] += 1
    for lesion in large(predicted):
        if not lesion & foreground:
            expected["false"][sum(diameter(lesion, pixel) >= limit for limit in SIZES)] += 1
    found = lesion_counts(predicted, target, pixel=pixel, smallest=smallest)
    assert found == LesionCounts(**{kind: tuple(n) for kind, n in expected.items()})


def test_a_speck_of_a_prediction_neither_finds_a_lesion_nor_is_false() -> None:
    target = np.zeros((20, 20), bool)
    target[2:8, 2:8] = True
    speck = np.zeros((20, 20), bool)
    speck[3, 3] = speck[15, 15] = True
    assert lesion_counts(speck, target, smallest=2.0).missed == (0, 1, 0, 0, 0, 0)
    assert sum(lesion_counts(speck, target, smallest=2.0).false) == 0
    assert lesion_counts(speck, target).found == (0, 1, 0, 0, 0, 0)


def test_a_prediction_on_a_lesion_too_small_to_count_is_not_false() -> None:
    target, predicted = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    target[4, 4] = True
    predicted[2:8, 2:8] = True
    assert lesion_counts(predicted, target, smallest=2.0) == LesionCounts()


def test_the_recall_is_undefined_without_lesions() -> None:
    assert math.isnan(LesionCounts().recall)
    assert LesionCounts(found=(1, 0), missed=(0, 3), false=(0, 0)).recall == 0.25


def test_the_terms_of_a_recall_are_the_found_and_all() -> None:
    rng = np.random.default_rng(0)
    found, missed, false = counts = rng.integers(0, 9, (3, 5, 6)).astype(float)
    terms = lesion_terms(counts.transpose(1, 0, 2))
    np.testing.assert_array_equal(terms[:, 0], found.sum(axis=1))
    np.testing.assert_array_equal(terms[:, 1], (found + missed).sum(axis=1))
    np.testing.assert_array_equal(terms[:, 2], false.sum(axis=1))


@pytest.mark.parametrize(("place", "limit"), [*enumerate((5.0, 10.0, 20.0, 40.0, 80.0))])
def test_classes_of_size_end_at_5_10_20_40_and_80(place: int, limit: float) -> None:
    mask = np.ones((1, 1), bool)
    for diameter, expected in ((0.999 * limit, place), (1.001 * limit, place + 1)):
        side = diameter * math.sqrt(math.pi) / 2
        found = lesion_counts(mask, mask, pixel=(side, side)).found
        assert found.index(1) == expected


def test_numbers_become_counts() -> None:
    numbers = np.arange(3.0 * (len(SIZES) + 1)).reshape(3, -1)
    counts = LesionCounts.of(numbers)
    assert [counts.found, counts.missed, counts.false] == [tuple(row) for row in numbers]
    assert counts + LesionCounts() == counts

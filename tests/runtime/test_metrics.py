"""The metrics, against their equations written out, scikit-learn and statistics."""

import math
import statistics
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from runtime.metrics import (
    METRICS,
    PixelColumns,
    PixelSums,
    Scores,
    image_scores,
    image_values,
    pixel_sums,
    pooled,
    scores,
    spread,
    thresholded_sums,
)
from tests.support.maps import TOLERANCE, Pair, pairs


def by_the_equations(probability: NDArray[Any], mask: NDArray[Any]) -> Scores:
    """Equations 2 to 5 of the study, and Dice, pixel by pixel."""
    pixels = [(float(p), float(y)) for p, y in zip(probability.flat, mask.flat, strict=True)]

    def ratio(numerator: float, denominator: float) -> float:
        return numerator / denominator if denominator else math.nan

    overlap = math.fsum(y * p for p, y in pixels)
    target, predicted = math.fsum(y for _, y in pixels), math.fsum(p for p, _ in pixels)
    return Scores(
        accuracy=math.fsum(y * p + (1 - y) * (1 - p) for p, y in pixels) / len(pixels),
        recall=ratio(overlap, target),
        precision=ratio(overlap, predicted),
        iou=ratio(overlap, math.fsum(y + p - y * p for p, y in pixels)),
        dice=ratio(2 * overlap, target + predicted),
    )


def assert_same(found: Scores, expected: Scores) -> None:
    for name in METRICS:
        value = pytest.approx(getattr(expected, name), rel=0, abs=TOLERANCE, nan_ok=True)
        assert getattr(found, name) == value, name


def soft(probability: NDArray[Any], mask: NDArray[Any]) -> Scores:
    return scores(pixel_sums(probability, mask))


def sigmoid_maps(seed: int, count: int = 4) -> list[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Maps as a network gives them: mostly near 0 and 1, with a foreground of some percent."""
    rng = np.random.default_rng(seed)
    maps = []
    for _ in range(count):
        mask = (rng.random((32, 32)) < 0.05).astype(np.uint8)
        logit = rng.normal(0, 3, mask.shape) + 6.0 * mask - 3
        maps.append(((1 / (1 + np.exp(-logit))).astype(np.float32), mask))
    return maps


# The soft metrics


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_soft_metrics_are_the_studys_equations(pair: Pair) -> None:
    assert_same(soft(*pair), by_the_equations(*pair))


@pytest.mark.parametrize("seed", range(5))
def test_soft_metrics_of_a_networks_map_are_the_studys_equations(seed: int) -> None:
    for probability, mask in sigmoid_maps(seed):
        assert_same(soft(probability, mask), by_the_equations(probability, mask))


def test_a_large_map_of_single_precision_is_summed_in_double() -> None:
    probability = np.full((2048, 2048), 0.1, np.float32)
    mask = np.ones_like(probability, np.uint8)
    assert soft(probability, mask).recall == pytest.approx(float(np.float32(0.1)), abs=1e-12)


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_accuracy_is_one_minus_the_mean_absolute_error(pair: Pair) -> None:
    probability, mask = pair
    error = np.abs(probability.astype(np.float64) - mask).mean()
    assert soft(probability, mask).accuracy == pytest.approx(1 - error, abs=TOLERANCE)


@given(pairs(binary=True))
@settings(max_examples=60, deadline=None)
def test_on_zeros_and_ones_soft_and_thresholded_are_the_same(pair: Pair) -> None:
    assert pixel_sums(*pair) == thresholded_sums(*pair)


def by_scikit_learn(prediction: NDArray[Any], mask: NDArray[Any]) -> Scores:
    """The metrics of a prediction of zeros and ones."""
    guess, target = (array.ravel().astype(int) for array in (prediction, mask))
    undefined = {"zero_division": math.nan}
    f1 = reference.f1_score(target, guess, **undefined)
    nothing = not (guess.any() or target.any())
    return Scores(
        accuracy=reference.accuracy_score(target, guess),
        recall=reference.recall_score(target, guess, **undefined),
        precision=reference.precision_score(target, guess, **undefined),
        iou=math.nan if nothing else reference.jaccard_score(target, guess),
        dice=f1,
    )


@given(pairs(binary=True))
@settings(max_examples=60, deadline=None)
def test_on_zeros_and_ones_the_metrics_are_those_of_scikit_learn(pair: Pair) -> None:
    assert_same(soft(*pair), by_scikit_learn(*pair))


@pytest.mark.parametrize("seed", range(3))
def test_thresholded_metrics_of_a_networks_map_are_those_of_scikit_learn(seed: int) -> None:
    for probability, mask in sigmoid_maps(seed):
        found = scores(thresholded_sums(probability, mask))
        assert_same(found, by_scikit_learn(probability >= 0.5, mask))


def test_a_probability_of_exactly_one_half_is_foreground() -> None:
    half = np.array([0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1)])
    assert thresholded_sums(half, np.array([1, 1, 0])) == PixelSums(3, 2.0, 2.0, 1.0)


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_a_metric_is_in_0_to_1_and_nan_exactly_where_its_denominator_is_zero(pair: Pair) -> None:
    probability, mask = pair
    found, no_target, nothing_predicted = soft(*pair), not mask.any(), not probability.any()
    undefined = {
        "accuracy": False,
        "recall": no_target,
        "precision": nothing_predicted,
        "iou": no_target and nothing_predicted,
        "dice": no_target and nothing_predicted,
    }
    for name in METRICS:
        value = getattr(found, name)
        assert math.isnan(value) == undefined[name], name
        assert math.isnan(value) or 0.0 <= value <= 1.0, name


def test_rounding_takes_no_metric_above_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        mask = rng.random(300) < 0.5
        probability = (1 / (1 + np.exp(-rng.normal(0, 8, mask.size))) * mask).astype(np.float32)
        found = soft(probability, mask)
        for name in METRICS:
            assert 0.0 <= getattr(found, name) <= 1.0, name


def test_a_perfect_map_scores_one_and_its_opposite_zero() -> None:
    mask = np.eye(8, dtype=np.uint8)
    assert soft(mask.astype(np.float32), mask) == Scores(1.0, 1.0, 1.0, 1.0, 1.0)
    assert soft(1.0 - mask, mask) == Scores(0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("kind", [np.uint8, bool, np.float32, np.int64])
def test_any_type_of_mask_counts_alike(kind: type[np.generic]) -> None:
    ((probability, mask),) = sigmoid_maps(0, 1)
    assert pixel_sums(probability, mask.astype(kind)) == pixel_sums(probability, mask)


@pytest.mark.parametrize(("first", "second"), [((2, 3), (3, 2)), ((6,), (2, 3)), ((0,), (0,))])
def test_shapes_that_differ_or_are_empty_are_refused(
    first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="the same"):
        pixel_sums(np.zeros(first), np.zeros(second))


# Averages


@given(st.lists(pairs(), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_pooled_parts_score_as_their_concatenation(parts: list[Pair]) -> None:
    whole = [np.concatenate([part[k].ravel().astype(np.float64) for part in parts]) for k in (0, 1)]
    assert_same(pooled(pixel_sums(*part) for part in parts), by_the_equations(whole[0], whole[1]))


def test_pooled_scores_are_not_the_mean_over_images() -> None:
    images = [PixelSums(10, 1, 1, 1), PixelSums(10, 9, 9, 0)]
    assert pooled(images).recall == pytest.approx(1 / 10)
    assert spread([scores(image).recall for image in images]).mean == pytest.approx(1 / 2)


@given(st.integers(1, 50), st.floats(0.0, 1.0))
def test_without_foreground_only_the_accuracy_of_an_image_is_defined(
    pixels: int, share: float
) -> None:
    found = image_scores(PixelSums(pixels, 0.0, share * pixels, 0.0))
    assert found.accuracy == pytest.approx(1.0 - share)
    assert all(math.isnan(getattr(found, name)) for name in METRICS if name != "accuracy")


def test_with_foreground_an_images_metrics_are_the_equations_own() -> None:
    sums = PixelSums(9, 3.0, 4.5, 2.0)
    assert image_scores(sums) == scores(sums)
    missed = image_scores(PixelSums(9, 3.0, 0.0, 0.0))
    assert (missed.recall, missed.iou, missed.dice) == (0.0, 0.0, 0.0)
    assert math.isnan(missed.precision)


@given(st.lists(pairs(), min_size=1, max_size=5), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_columns_of_images_score_as_each_image_to_the_bit(parts: list[Pair], empty: int) -> None:
    images = [pixel_sums(*part) for part in parts] + [PixelSums(9, 0.0, 0.1 * empty, 0.0)]
    columns = PixelColumns(*np.array([astuple(image) for image in images], np.float64).T)
    for name, values in image_values(columns).items():
        each = [getattr(image_scores(image), name) for image in images]
        np.testing.assert_array_equal(values, each)
    assert columns.total() == sum(images, start=PixelSums(0, 0.0, 0.0, 0.0))


def test_nothing_pooled_is_undefined() -> None:
    assert all(math.isnan(getattr(pooled([]), name)) for name in METRICS)


VALUES = st.floats(-1e6, 1e6)


@given(st.lists(VALUES, min_size=2, max_size=20), st.integers(0, 5), st.randoms())
@settings(max_examples=80, deadline=None)
def test_spread_is_that_of_the_statistics_module_without_nan_which_is_counted(
    values: list[float], undefined: int, random: Any
) -> None:
    mixed = [*values, *[math.nan] * undefined]
    random.shuffle(mixed)
    found = spread(mixed)
    assert (found.images, found.undefined) == (len(values), undefined)
    q25, median, q75 = statistics.quantiles(values, n=4, method="inclusive")
    expected = (statistics.fmean(values), statistics.stdev(values), q25, median, q75)
    near = pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)
    assert (found.mean, found.std, found.q25, found.median, found.q75) == near


def test_one_value_has_no_standard_deviation() -> None:
    found = spread([0.25, math.nan])
    assert (found.mean, found.q25, found.median, found.q75) == (0.25, 0.25, 0.25, 0.25)
    assert math.isnan(found.std)
    assert (found.images, found.undefined) == (1, 1)


@pytest.mark.parametrize("count", [0, 3])
def test_without_a_value_everything_is_undefined(count: int) -> None:
    found = spread([math.nan] * count)
    assert (found.images, found.undefined) == (0, count)
    numbers = (found.mean, found.std, found.q25, found.median, found.q75)
    assert all(math.isnan(number) for number in numbers)

"""Calibration, against scikit-learn and its definitions written out."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.calibration import calibration_curve

from runtime.scoring.calibration import CALIBRATION_BINS, CalibrationSums
from tests.support.maps import TOLERANCE, Pair, pairs


def off_the_edges(seed: int, count: int, shape: tuple[int, int] = (40, 30)) -> list[Pair]:
    """Maps whose probabilities keep away from the bins' edges, where rounding would decide."""
    rng = np.random.default_rng(seed)
    found: list[Pair] = []
    for _ in range(count):
        edge = rng.integers(0, CALIBRATION_BINS, shape)
        probability = (edge + rng.uniform(0.01, 0.99, shape)) / CALIBRATION_BINS
        mask = (rng.random(shape) < probability**2).astype(np.uint8)
        found.append((probability, mask))
    return found


def accumulated(maps: list[Pair]) -> CalibrationSums:
    sums = CalibrationSums()
    for probability, mask in maps:
        sums.add(probability, mask)
    return sums


def joined(maps: list[Pair]) -> Pair:
    return np.concatenate([p for p, _ in maps]), np.concatenate([y for _, y in maps])


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_is_that_of_scikit_learns_calibration_curve(seed: int) -> None:
    maps = off_the_edges(seed, 3)
    probability, mask = (array.ravel() for array in joined(maps))
    observed, mean = calibration_curve(mask, probability, n_bins=CALIBRATION_BINS)
    pixels, _ = np.histogram(probability, CALIBRATION_BINS, (0.0, 1.0))
    gaps = np.abs(observed - mean) * pixels[pixels > 0]  # the curve leaves empty bins out
    expected = pytest.approx(gaps.sum() / mask.size, abs=TOLERANCE)
    assert accumulated(maps).result().ece == expected


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_is_its_definition_written_out(seed: int) -> None:
    maps = off_the_edges(seed, 2, (9, 7))
    probability, mask = joined(maps)
    bins: dict[int, list[tuple[float, int]]] = {}
    for p, y in zip(probability.ravel().tolist(), mask.ravel().tolist(), strict=True):
        bins.setdefault(math.floor(p * CALIBRATION_BINS), []).append((p, y))
    gaps = [
        len(found)
        * abs(statistics.fmean(y for _, y in found) - statistics.fmean(p for p, _ in found))
        for found in bins.values()
    ]
    result = accumulated(maps).result()
    assert result.ece == pytest.approx(sum(gaps) / mask.size, abs=TOLERANCE)
    for index in range(CALIBRATION_BINS):
        found = bins.get(index, [])
        assert result.bin_pixels[index] == len(found)
        mean_p, mean_y = (
            (statistics.fmean(pair[k] for pair in found) if found else math.nan) for k in (0, 1)
        )
        near_p, near_y = (pytest.approx(m, abs=TOLERANCE, nan_ok=True) for m in (mean_p, mean_y))
        assert result.bin_probability[index] == near_p
        assert result.bin_observed[index] == near_y


@given(st.lists(pairs(), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_brier_score_is_the_mean_squared_error_in_double(maps: list[Pair]) -> None:
    squares = [
        (float(p) - float(y)) ** 2
        for probability, mask in maps
        for p, y in zip(probability.flat, mask.flat, strict=True)
    ]
    found = accumulated(maps).result().brier
    assert found == pytest.approx(math.fsum(squares) / len(squares), rel=0, abs=TOLERANCE)


def test_images_added_one_at_a_time_and_all_at_once_agree() -> None:
    maps = off_the_edges(7, 6)
    apart, together = accumulated(maps).result(), accumulated([joined(maps)]).result()
    assert apart.bin_pixels == together.bin_pixels
    assert apart.brier == pytest.approx(together.brier, abs=TOLERANCE)
    assert apart.ece == pytest.approx(together.ece, abs=TOLERANCE)
    for name in ("bin_probability", "bin_observed"):
        assert getattr(apart, name) == pytest.approx(getattr(together, name), abs=TOLERANCE)


def test_every_probability_from_0_to_1_has_a_bin() -> None:
    probability = np.array([0.0, 1.0, np.nextafter(1.0, 0), 0.5])
    result = accumulated([(probability, np.array([0, 1, 1, 0], np.uint8))]).result()
    assert sum(result.bin_pixels) == 4
    assert (result.bin_pixels[0], result.bin_pixels[-1]) == (1, 2)


def test_a_perfect_map_is_calibrated_and_its_opposite_is_not() -> None:
    mask = np.eye(6, dtype=np.uint8)
    perfect = accumulated([(mask.astype(np.float32), mask)]).result()
    opposite = accumulated([(1.0 - mask, mask)]).result()
    assert (perfect.brier, perfect.ece) == (0.0, 0.0)
    assert (opposite.brier, opposite.ece) == (1.0, 1.0)


@pytest.mark.parametrize("pixels", [1, 8191, 8192, 8193, 20_000])
def test_no_pixel_of_a_large_image_is_lost(pixels: int) -> None:
    rng = np.random.default_rng(pixels)
    p, y = rng.random(pixels, np.float32), rng.integers(0, 2, pixels, np.uint8)
    found = accumulated([(p, y)]).result()
    assert sum(found.bin_pixels) == pixels
    assert found.brier == pytest.approx(((p.astype(np.float64) - y) ** 2).mean())
    assert np.nansum(np.multiply(found.bin_observed, found.bin_pixels)) == pytest.approx(y.sum())


def test_calibration_of_nothing_is_undefined() -> None:
    result = CalibrationSums().result()
    assert math.isnan(result.brier)
    assert math.isnan(result.ece)
    assert result.bin_pixels == (0,) * CALIBRATION_BINS


def test_calibration_has_fifteen_bins_as_its_source() -> None:
    """Guo, Pleiss, Sun, Weinberger 2017 and the study's tables use 15; ECE depends on it."""
    rng = np.random.default_rng(0)
    p = rng.random(5000)
    y = (rng.random(5000) < p**2).astype(np.uint8)
    sums = CalibrationSums()
    sums.add(p, y)
    found = sums.result()
    bins = np.minimum((p * 15).astype(int), 14)
    inside = [bins == n for n in range(15)]
    gaps = [members.mean() * abs(y[members].mean() - p[members].mean()) for members in inside]
    assert found.bin_pixels == tuple(int(members.sum()) for members in inside)
    assert found.ece == pytest.approx(sum(gaps))
    assert found.brier == pytest.approx(((p - y) ** 2).mean())

"""What a curve does: against scipy, by hand, and by properties."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau, median_abs_deviation

from bench.study.claims.curve_measures import (
    Curve,
    excess_at,
    final_level,
    fluctuation,
    late_change,
    peak,
    settling_epoch,
    smallest_rise,
    steepest_epoch,
    trend,
)

EPOCHS = np.arange(1.0, 26.0)
CURVES = arrays(np.float64, 25, elements=st.floats(0.0, 1.0, width=32))


def exponential(epochs: float) -> Curve:
    """A curve from 0 to 1 that has that time constant."""
    return np.asarray(1.0 - np.exp(-EPOCHS / epochs))


@given(CURVES)
def test_the_trend_is_kendalls_and_has_a_sign(curve: Curve) -> None:
    found = trend(curve)
    if np.ptp(curve) > 0:
        assert found == pytest.approx(kendalltau(EPOCHS, curve).statistic)
    assert trend(-curve) == pytest.approx(-found)


@given(CURVES, st.floats(0.5, 3.0), st.floats(-1.0, 1.0))
def test_shape_measures_do_not_depend_on_scale_and_offset(
    curve: Curve, scale: float, offset: float
) -> None:
    # Rounded, so that a value does not fall onto the other side of a limit.
    curve = np.round(curve, 2)
    other = curve * scale + offset
    assert late_change(other) == pytest.approx(late_change(curve), abs=1e-9)
    assert fluctuation(other) == pytest.approx(scale * fluctuation(curve), abs=1e-9)
    assert smallest_rise(other) == pytest.approx(scale * smallest_rise(curve), abs=1e-9)


def test_a_curve_that_has_settled_has_converged_and_a_straight_one_has_not() -> None:
    assert late_change(exponential(2.0)) < 0.01
    assert late_change(EPOCHS) == pytest.approx(5 / 24)
    assert late_change(-EPOCHS) == pytest.approx(-5 / 24)
    assert late_change(np.full(25, 0.3)) == 0.0


def test_a_slower_curve_settles_later() -> None:
    found = [settling_epoch(exponential(epochs)) for epochs in (1.0, 3.0, 6.0)]
    assert found == sorted(set(found))
    assert settling_epoch(np.full(25, 0.3)) == 1.0
    disturbed = exponential(1.0)
    disturbed[19] = 0.0
    assert settling_epoch(disturbed) == 21.0


def test_the_final_level_is_the_mean_of_the_last_fifth() -> None:
    assert final_level(EPOCHS) == pytest.approx(np.mean([21, 22, 23, 24, 25]))
    assert final_level(EPOCHS[:3]) == 3.0


def test_fluctuation_is_the_deviation_of_noise_whatever_the_course() -> None:
    rng = np.random.default_rng(0)
    found = [fluctuation(exponential(8.0) + rng.normal(0.0, 0.05, 25)) for _ in range(400)]
    assert np.mean(found) == pytest.approx(0.05, rel=0.07)
    assert fluctuation(3.0 * EPOCHS) == pytest.approx(0.0, abs=1e-12)


def test_a_curve_rises_throughout_only_if_each_fifth_is_higher() -> None:
    assert smallest_rise(exponential(5.0)) > 0
    dented = exponential(5.0)
    dented[10:15] -= 0.5
    assert smallest_rise(dented) < 0


@pytest.mark.parametrize("epoch", [3, 9, 20])
def test_the_steepest_epoch_is_the_middle_of_a_step(epoch: int) -> None:
    assert steepest_epoch(np.tanh((EPOCHS - epoch) / 1.5)) == epoch


def test_a_peak_is_found_where_it_is_and_measured_against_the_noise() -> None:
    rng = np.random.default_rng(1)
    curve = 0.5 + rng.normal(0.0, 0.01, 25)
    flat = peak(curve)[1]
    curve[11] += 0.2
    epoch, height = peak(curve)
    assert epoch == 12
    assert height > 5 > flat
    excess = np.array([excess_at(curve, number) for number in range(1, 26)])
    expected = excess[11] / median_abs_deviation(excess, scale="normal")
    assert height == pytest.approx(expected, rel=1e-3)
    assert excess_at(curve, 12) == pytest.approx(0.2, abs=0.03)
    assert peak(np.full(25, 0.5)) == (1, 0.0)


def test_what_was_not_recorded_is_undefined() -> None:
    missing, short = np.full(25, np.nan), np.array([0.5, 0.6])
    for measure in (trend, final_level, late_change, settling_epoch, fluctuation, smallest_rise,
                    steepest_epoch):  # fmt: skip
        assert np.isnan(measure(missing)), measure
    for measure in (fluctuation, smallest_rise, steepest_epoch):
        assert np.isnan(measure(short)), measure
    assert np.isnan([peak(missing)[1], peak(short)[1]]).all()

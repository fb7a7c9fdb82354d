"""Bootstrap intervals against scipy and scikit-learn, and by simulated coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from sklearn.metrics import jaccard_score

from runtime.core.errors import ConfigError
from runtime.scoring.bootstrap import MAX_DRAWN, MIN_UNITS, Bootstrap
from tests.support.intervals import expanded


@pytest.mark.parametrize("groups", [6, 10, 30, 215])
def test_the_level_is_expanded_as_with_scipy_s_distributions(groups: int) -> None:
    assert 1.0 - 2.0 * Bootstrap(groups, resamples=1)._tail == pytest.approx(
        expanded(0.95, groups), abs=1e-3
    )


def test_the_interval_of_a_pooled_metric_is_that_of_scipy() -> None:
    rng = np.random.default_rng(2)
    truth, guess = rng.integers(0, 2, (2, 60, 25))
    overlap = (truth & guess).sum(axis=1)
    union = (truth | guess).sum(axis=1)

    def pooled(index: NDArray[np.int64]) -> float:
        return float(overlap[index].sum() / union[index].sum())

    terms = np.stack([overlap, union], axis=1).astype(np.float64)
    found = Bootstrap(60, resamples=4000).interval(terms, lambda s: s[..., 0] / s[..., 1])
    assert found.value == pytest.approx(jaccard_score(truth.ravel(), guess.ravel()))
    draws = [pooled(rng.integers(0, 60, 60)) for _ in range(4000)]
    tail = (1.0 - expanded(0.95, 60)) / 2.0
    low, high = np.quantile(draws, (tail, 1.0 - tail))
    assert found.low == pytest.approx(low, abs=0.1 * (high - low))
    assert found.high == pytest.approx(high, abs=0.1 * (high - low))


@pytest.mark.parametrize("groups", [None, 60])
def test_the_interval_holds_a_known_difference_in_93_to_97_of_100_trials(
    groups: int | None,
) -> None:
    images, truth, trials = 150, 0.03, 500
    rng = np.random.default_rng(9)
    hits = ungrouped = 0
    for trial in range(trials):
        owner = np.arange(images)
        if groups is not None:
            owner = np.concatenate([np.arange(groups), rng.integers(0, groups, images - groups)])
        # What a group's images share: one would believe too much if each counted as its own.
        shared = rng.normal(truth, 0.06, images)[owner]
        difference = shared + rng.normal(0.0, 0.08, images)
        found = Bootstrap(images, owner.tolist(), resamples=600, seed=trial).mean(difference)
        hits += found.low <= truth <= found.high
        if groups is not None and trial < 150:
            naive = Bootstrap(images, resamples=600, seed=trial).mean(difference)
            ungrouped += naive.low <= truth <= naive.high
    assert 0.93 <= hits / trials <= 0.97
    if groups is not None:
        assert ungrouped / 150 < 0.92


@pytest.mark.parametrize("order", ["mixed", "sorted", "periodic"])
def test_many_images_have_the_interval_of_the_central_limit_theorem(order: str) -> None:
    images = 8 * MAX_DRAWN
    values = np.random.default_rng(3).lognormal(0.0, 0.8, images)
    if order != "mixed":
        values.sort()
    if order == "periodic":
        values = values.reshape(-1, MAX_DRAWN).T.ravel()
    found = Bootstrap(images).mean(values)
    half = 1.96 * values.std() / math.sqrt(images)
    assert found.value == pytest.approx(values.mean())
    # A width of 2,500 sets has a standard error of 1.4 %, and that of 10,000 draws 1 %.
    assert found.high - found.low == pytest.approx(2 * half, rel=0.06)
    assert (found.low + found.high) / 2 == pytest.approx(found.value, abs=0.1 * half)


def test_groups_of_many_images_stay_together() -> None:
    groups, size = 2 * MAX_DRAWN, 4
    owner = np.repeat(np.arange(groups), size)
    values = np.random.default_rng(4).normal(0.0, 1.0, groups)[owner]
    bootstrap = Bootstrap(len(owner), owner.tolist())
    found = bootstrap.mean(values)
    assert bootstrap.groups == groups
    assert found.high - found.low == pytest.approx(2 * 1.96 / math.sqrt(groups), rel=0.06)


@given(st.lists(st.integers(0, 15), min_size=1, max_size=30), st.integers(0, 1000))
def test_a_constant_has_an_interval_of_no_width(owners: list[int], seed: int) -> None:
    values = np.full(len(owners), 0.25)
    found = Bootstrap(len(owners), owners, resamples=50, seed=seed).mean(values)
    assert found.value == pytest.approx(0.25)
    if len(set(owners)) >= MIN_UNITS:
        assert (found.low, found.high) == pytest.approx((0.25, 0.25))
    else:
        assert found.withheld


@given(st.integers(MIN_UNITS, 40), st.integers(0, 1000))
def test_swapping_the_networks_turns_the_interval_round(images: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=images)
    draws = Bootstrap(images, resamples=200, seed=seed)
    found, turned = draws.mean(values), draws.mean(-values)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_independent_draws_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.5, 0.1, 150), rng.normal(0.3, 0.2, 120)
    found = Bootstrap(150).mean_difference(first, Bootstrap(120, seed=1), second)
    error = math.sqrt(first.var(ddof=1) / 150 + second.var(ddof=1) / 120)
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)


@pytest.mark.parametrize(
    ("owners", "reason"),
    [
        (range(10), None),
        (range(9), "9 images are too few for an interval, which needs 10"),
        (range(1), "1 image is too few for an interval, which needs 10"),
        ([i // 2 for i in range(20)], None),
        (
            [i // 2 for i in range(18)],
            "18 images in 9 groups are too few for an interval, which needs 10 groups",
        ),
        ([0] * 30, "30 images in 1 group are too few for an interval, which needs 10 groups"),
    ],
)
def test_an_interval_needs_ten_images_and_ten_groups(owners: list[int], reason: str | None) -> None:
    values = np.random.default_rng(0).random(len(owners))
    found = Bootstrap(len(owners), owners, resamples=100).mean(values)
    assert found.value == pytest.approx(values.mean())
    assert found.withheld == reason
    assert math.isnan(found.low) == math.isnan(found.high) == (reason is not None)
    assert not (reason and found.excludes_zero)


def test_undefined_images_do_not_count_towards_the_ten() -> None:
    values = np.array([0.5] * 9 + [math.nan] * 30)
    assert Bootstrap(39).mean(values).withheld
    assert Bootstrap(39).mean(np.array([0.5] * 10 + [math.nan] * 29)).withheld is None


def test_a_difference_of_two_sets_is_withheld_if_either_is_small() -> None:
    large, small = np.ones(20), np.ones(9)
    for first, second in ((large, small), (small, large)):
        found = Bootstrap(len(first)).mean_difference(first, Bootstrap(len(second), seed=1), second)
        assert math.isnan(found.value)
        assert found.withheld == "9 images are too few for an interval, which needs 10"


def test_groups_that_do_not_match_the_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="groups"):
        Bootstrap(3, [0, 1])
    with pytest.raises(ConfigError, match="groups"):
        Bootstrap(0)


def test_the_mean_of_another_set_is_subtracted_within_the_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.5, 0.1, 40), rng.normal(0.2, 0.1, 40)
    found = Bootstrap(40).mean_difference(first, Bootstrap(40, seed=1), second)
    assert 0.2 < found.low < found.value < found.high < 0.4


def test_two_sets_are_drawn_by_two_seeds() -> None:
    values = np.ones(20)
    with pytest.raises(ValueError, match="expected another seed than 3 for the second set"):
        Bootstrap(20, seed=3).mean_difference(values, Bootstrap(20, seed=3), values)


def test_the_smaller_set_decides_how_far_an_interval_is_expanded() -> None:
    """Fewer groups have a longer tail, whichever set has them."""
    rng = np.random.default_rng(0)
    few, many = rng.normal(0.5, 0.1, 12), rng.normal(0.5, 0.001, 600)
    alone = Bootstrap(12).mean(few)
    for found in (
        Bootstrap(12).mean_difference(few, Bootstrap(600, seed=1), many),
        Bootstrap(600, seed=1).mean_difference(many, Bootstrap(12), few),
    ):
        assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.01)


def test_another_seed_draws_other_images() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (Bootstrap(50, resamples=500, seed=s).mean(values) for s in (3, 3, 4))
    assert first == again
    assert first != other
    assert first.value == other.value

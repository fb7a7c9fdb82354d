"""Paired differences, against scipy's bootstrap and scikit-learn, and by simulated coverage."""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from scipy.stats import bootstrap as scipy_bootstrap, norm, t as student
from sklearn.metrics import jaccard_score

from runtime.core.errors import ConfigError
from runtime.data.coco import Dataset
from runtime.metrics import METRICS
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import Comparison, Summary, compare, soft_values
from runtime.scoring.evaluation import Evaluation, score

Doubles = NDArray[np.float64]


def evaluation(name: str, data: Dataset, seed: int, level: float) -> Evaluation:
    """Score maps that are the mask, blurred by noise of the given level."""
    rng = np.random.default_rng(seed)
    samples = data.split("train").samples
    outcomes = []
    for sample in samples:
        mask = sample.mask((32, 32))
        noise = rng.random(mask.shape)
        probability = ((1.0 - level) * mask + level * noise).astype(np.float32)
        outcomes.append((probability, mask))
    return score(name, (32, 32), samples, outcomes)


@pytest.fixture(scope="module")
def pair(phantom_data: Dataset) -> tuple[Evaluation, Evaluation]:
    return evaluation("a", phantom_data, 0, 0.5), evaluation("b", phantom_data, 1, 0.3)


@pytest.fixture(scope="module")
def compared(pair: tuple[Evaluation, Evaluation]) -> Comparison:
    return compare(*pair)


def test_values_are_the_evaluations_own(
    pair: tuple[Evaluation, Evaluation], compared: Comparison
) -> None:
    one, other = pair
    for metric in METRICS:
        mean = compared.find(metric)
        assert mean.one == pytest.approx(one.soft.per_image[metric].mean)
        assert mean.other == pytest.approx(other.soft.per_image[metric].mean)
        assert mean.difference.value == pytest.approx(mean.other - mean.one)
        pooled = compared.find(metric, "pooled")
        assert pooled.one == pytest.approx(getattr(one.soft.pooled, metric))
        assert pooled.other == pytest.approx(getattr(other.soft.pooled, metric))
        hard = compared.find(metric, "per image at 0.5")
        assert hard.other == pytest.approx(other.thresholded.per_image[metric].mean)
        deviation = compared.find(metric, "standard deviation")
        values = soft_values(one, metric)
        assert deviation.one == pytest.approx(np.nanstd(values), abs=1e-7)


def expanded(level: float, groups: int) -> float:
    """Hesterberg's level, from scipy's distributions."""
    t = student.ppf(0.5 + level / 2.0, groups - 1)
    return float(1.0 - 2.0 * norm.cdf(-math.sqrt(groups / (groups - 1)) * t))


@pytest.mark.parametrize("groups", [6, 10, 30, 215])
def test_the_level_is_expanded_as_with_scipy_s_distributions(groups: int) -> None:
    assert 1.0 - 2.0 * Bootstrap(groups, resamples=1)._tail == pytest.approx(
        expanded(0.95, groups), abs=1e-3
    )


def test_the_interval_is_that_of_scipy(
    pair: tuple[Evaluation, Evaluation], compared: Comparison
) -> None:
    difference = soft_values(pair[1], "iou") - soft_values(pair[0], "iou")
    expected = scipy_bootstrap(
        (difference,),
        np.mean,
        confidence_level=expanded(0.95, len(difference)),
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(5),
    )
    found = compared.find("iou").difference
    width = expected.confidence_interval.high - expected.confidence_interval.low
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.05 * width)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.05 * width)


def test_the_interval_of_a_pooled_metric_is_that_of_scipy() -> None:
    rng = np.random.default_rng(2)
    truth, guess = rng.integers(0, 2, (2, 60, 25))
    overlap = (truth & guess).sum(axis=1)
    union = (truth | guess).sum(axis=1)

    def pooled(index: NDArray[np.int64]) -> float:
        return float(jaccard_score(truth[index].ravel(), guess[index].ravel()))

    terms = np.stack([overlap, union], axis=1).astype(np.float64)
    found = Bootstrap(60, resamples=4000).interval(terms, lambda s: s[..., 0] / s[..., 1])
    assert found.value == pytest.approx(pooled(np.arange(60)))
    draws = [pooled(rng.integers(0, 60, 60)) for _ in range(400)]
    tail = (1.0 - expanded(0.95, 60)) / 2.0
    low, high = np.quantile(draws, (tail, 1.0 - tail))
    assert found.low == pytest.approx(low, abs=0.2 * (high - low))
    assert found.high == pytest.approx(high, abs=0.2 * (high - low))


@pytest.mark.parametrize("groups", [None, 60])
def test_the_interval_holds_a_known_difference_in_93_to_97_of_100_trials(
    groups: int | None,
) -> None:
    images, truth, trials = 150, 0.03, 1000
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
        if groups is not None and trial < 300:
            naive = Bootstrap(images, resamples=600, seed=trial).mean(difference)
            ungrouped += naive.low <= truth <= naive.high
    assert 0.93 <= hits / trials <= 0.97
    if groups is not None:
        assert ungrouped / 300 < 0.92


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 1000))
def test_a_constant_has_an_interval_of_no_width(owners: list[int], seed: int) -> None:
    values = np.full(len(owners), 0.25)
    found = Bootstrap(len(owners), owners, resamples=50, seed=seed).mean(values)
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


@given(st.integers(2, 40), st.integers(0, 1000))
def test_swapping_the_networks_turns_the_interval_round(images: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=images)
    draws = Bootstrap(images, resamples=200, seed=seed)
    found, turned = draws.mean(values), draws.mean(-values)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_a_network_does_not_differ_from_itself(pair: tuple[Evaluation, Evaluation]) -> None:
    for difference in compare(pair[0], pair[0]).differences:
        interval = difference.difference
        assert (interval.value, interval.low, interval.high) == pytest.approx((0.0, 0.0, 0.0))


def test_undefined_images_are_left_out_of_a_difference_and_counted(phantom_data: Dataset) -> None:
    samples = phantom_data.split("train").samples[:4]
    masks = [sample.mask((32, 32)) for sample in samples]
    nothing = [(np.zeros((32, 32), np.float32), mask) for mask in masks]
    half = [(np.full((32, 32), 0.5, np.float32), mask) for mask in masks]
    one = score("one", (32, 32), samples, [*nothing[:1], *half[1:]])
    other = score("other", (32, 32), samples, half)
    found = compare(one, other).find("precision")
    assert found.left_out == 1
    assert found.difference.value == pytest.approx(0.0)
    empty = compare(score("none", (32, 32), samples, nothing), other).find("precision")
    assert empty.left_out == 4
    assert math.isnan(empty.difference.value)
    assert math.isnan(empty.difference.low)


def test_independent_draws_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.5, 0.1, 150), rng.normal(0.3, 0.2, 120)
    found = Bootstrap(150).mean_difference(first, Bootstrap(120, seed=1), second)
    error = math.sqrt(first.var(ddof=1) / 150 + second.var(ddof=1) / 120)
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_other_images_are_refused(pair: tuple[Evaluation, Evaluation]) -> None:
    with pytest.raises(ConfigError, match="the same images"):
        compare(pair[0], replace(pair[1], samples=pair[1].samples[1:]))
    with pytest.raises(ConfigError, match="groups"):
        Bootstrap(3, [0, 1])
    with pytest.raises(ConfigError, match="groups"):
        Bootstrap(0)


def test_the_same_seed_gives_the_same_interval(pair: tuple[Evaluation, Evaluation]) -> None:
    assert compare(*pair) == compare(*pair)


def test_every_difference_is_the_second_minus_the_first_and_within_its_interval(
    pair: tuple[Evaluation, Evaluation], compared: Comparison
) -> None:
    assert {d.kind for d in compared.differences} == set(get_args(Summary))
    assert len(compared.differences) == len(METRICS) * len(get_args(Summary))
    for difference in compared.differences:
        interval = difference.difference
        assert interval.value == pytest.approx(difference.other - difference.one, abs=1e-9)
        assert interval.low <= interval.value <= interval.high, difference
    for metric in METRICS:
        soft, hard = compared.find(metric, "pooled"), compared.find(metric, "pooled at 0.5")
        for found, averages in (
            (soft, [one.soft for one in pair]),
            (hard, [one.thresholded for one in pair]),
        ):
            expected = tuple(getattr(average.pooled, metric) for average in averages)
            assert (found.one, found.other) == pytest.approx(expected)


def test_the_mean_of_another_set_is_subtracted_within_the_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.5, 0.1, 40), rng.normal(0.2, 0.1, 40)
    found = Bootstrap(40).mean_difference(first, Bootstrap(40, seed=1), second)
    assert 0.2 < found.low < found.value < found.high < 0.4


def test_the_smaller_set_decides_how_far_an_interval_is_expanded() -> None:
    """Fewer groups have a longer tail, whichever set has them."""
    rng = np.random.default_rng(0)
    few, many = rng.normal(0.5, 0.1, 6), rng.normal(0.5, 0.001, 600)
    alone = Bootstrap(6).mean(few)
    for found in (
        Bootstrap(6).mean_difference(few, Bootstrap(600, seed=1), many),
        Bootstrap(600, seed=1).mean_difference(many, Bootstrap(6), few),
    ):
        assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.01)


def test_another_seed_draws_other_images() -> None:
    values = np.random.default_rng(0).normal(size=50)
    first, again, other = (Bootstrap(50, resamples=500, seed=s).mean(values) for s in (3, 3, 4))
    assert first == again
    assert first != other
    assert first.value == other.value


def test_undefined_images_are_left_out_of_a_deviation_and_counted(phantom_data: Dataset) -> None:
    samples = phantom_data.split("train").samples[:4]
    masks = [sample.mask((32, 32)) for sample in samples]
    levels = (0.0, 0.2, 0.5, 0.9)
    one = score(
        "one",
        (32, 32),
        samples,
        [
            (np.where(m, v, 0.1 * v).astype(np.float32), m)
            for m, v in zip(masks, levels, strict=True)
        ],
    )
    other = score("other", (32, 32), samples, [(m.astype(np.float32), m) for m in masks])
    found = compare(one, other).find("precision", "standard deviation")
    assert found.left_out == 1
    assert found.one == pytest.approx(np.nanstd(soft_values(one, "precision")), abs=1e-6)

"""Paired differences: their values, their images, and their intervals against scipy."""

import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from runtime.core.errors import ConfigError
from runtime.data.coco import Dataset
from runtime.data.samples import Sample
from runtime.metrics import METRICS
from runtime.scoring.bootstrap import Bootstrap
from runtime.scoring.comparison import Comparison, Summary, compare, soft_values
from runtime.scoring.evaluation import Evaluation, score
from tests.support.intervals import expanded


def evaluation(name: str, data: Dataset, seed: int, level: float) -> Evaluation:
    """Score maps that are the mask, blurred by noise of the given level."""
    rng = np.random.default_rng(seed)
    samples = [replace(sample, patient=None) for sample in data.split("train").samples]
    outcomes = []
    for sample in samples:
        mask = sample.mask((32, 32), "boxes")
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
    reference, candidate = pair
    for metric in METRICS:
        mean = compared.find(metric)
        assert mean.reference == pytest.approx(reference.soft.per_image[metric].mean)
        assert mean.candidate == pytest.approx(candidate.soft.per_image[metric].mean)
        assert mean.difference.value == pytest.approx(mean.candidate - mean.reference)
        pooled = compared.find(metric, "pooled")
        assert pooled.reference == pytest.approx(getattr(reference.soft.pooled, metric))
        assert pooled.candidate == pytest.approx(getattr(candidate.soft.pooled, metric))
        hard = compared.find(metric, "per image at 0.5")
        assert hard.candidate == pytest.approx(candidate.thresholded.per_image[metric].mean)
        deviation = compared.find(metric, "standard deviation")
        deviations = [np.nanstd(soft_values(one, metric)) for one in pair]
        assert (deviation.reference, deviation.candidate) == pytest.approx(deviations, abs=1e-7)


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


def test_a_network_does_not_differ_from_itself(pair: tuple[Evaluation, Evaluation]) -> None:
    for difference in compare(pair[0], pair[0]).differences:
        interval = difference.difference
        assert (interval.value, interval.low, interval.high) == pytest.approx((0.0, 0.0, 0.0))


def test_a_difference_states_how_many_images_are_behind_it(phantom_data: Dataset) -> None:
    samples = phantom_data.split("train").samples
    masks = [sample.mask((32, 32), "boxes") for sample in samples]
    nothing = [(np.zeros((32, 32), np.float32), mask) for mask in masks]
    half = [(np.full((32, 32), 0.5, np.float32), mask) for mask in masks]
    reference = score("reference", (32, 32), samples, [*nothing[:1], *half[1:]])
    candidate = score("candidate", (32, 32), samples, half)
    found = compare(reference, candidate).find("precision")
    assert (found.images, found.groups) == (len(samples) - 1, len(samples) - 1)
    assert found.difference.value == pytest.approx(0.0)
    empty = compare(score("none", (32, 32), samples, nothing), candidate).find("precision")
    assert empty.images == 0
    assert math.isnan(empty.difference.value)
    assert math.isnan(empty.difference.low)


@pytest.mark.parametrize(("defined", "withheld"), [(9, True), (10, False)])
def test_a_difference_of_too_few_images_is_withheld(
    phantom_data: Dataset, defined: int, withheld: bool
) -> None:
    samples = phantom_data.split("train").samples
    masks = [sample.mask((32, 32), "boxes") for sample in samples]
    sharp = [(mask.astype(np.float32), mask) for mask in masks]
    nothing = [(np.zeros((32, 32), np.float32), mask) for mask in masks]
    reference = score("a", (32, 32), samples, [*sharp[:defined], *nothing[defined:]])
    comparison = compare(reference, score("b", (32, 32), samples, sharp))
    found = comparison.find("precision", "per image at 0.5")
    assert found.images == defined
    assert (found.difference.withheld is not None) == withheld
    assert math.isnan(found.difference.value) == withheld
    assert comparison.find("recall", "per image at 0.5").difference.withheld is None


def test_images_without_foreground_are_behind_accuracies_and_pools_alone() -> None:
    mask = np.eye(4, dtype=np.uint8)
    samples = [Sample(Path(f"{n}.png"), f"{n}.png", 4, 4, ()) for n in range(20)]
    masks = [mask] * 12 + [0 * mask] * 8
    first = score("a", (4, 4), samples, [(np.full((4, 4), np.float32(0.2)), m) for m in masks])
    second = score("b", (4, 4), samples, [(np.full((4, 4), np.float32(0.6)), m) for m in masks])
    comparison = compare(first, second)
    kinds: tuple[Summary, ...] = ("per image", "per image at 0.5", "standard deviation")
    for kind in kinds:
        assert comparison.find("accuracy", kind).images == 20
        assert comparison.find("iou", kind).images == 12
        assert comparison.find("recall", kind).images == 12
    for metric in METRICS:
        found = comparison.find(metric)
        means = [np.nanmean(soft_values(one, metric)) for one in (first, second)]
        assert (found.reference, found.candidate) == pytest.approx(means)
    assert comparison.find("iou", "pooled").images == 20
    # Nothing is predicted at 0.5 by the first, so no image has two precisions to compare.
    assert comparison.find("precision", "per image at 0.5").images == 0


def test_the_groups_of_the_bootstrap_given_are_drawn(pair: tuple[Evaluation, Evaluation]) -> None:
    groups = [number // 2 for number in range(len(pair[0].samples))]
    found = compare(*pair, Bootstrap(len(groups), groups, level=0.9))
    assert (found.groups, found.level) == (len(groups) // 2, 0.9)
    assert found.find("iou").difference.withheld  # eight groups are too few


def test_other_images_are_refused(pair: tuple[Evaluation, Evaluation]) -> None:
    with pytest.raises(ConfigError, match="the same images"):
        compare(pair[0], replace(pair[1], samples=pair[1].samples[1:]))


def test_the_same_seed_gives_the_same_interval(pair: tuple[Evaluation, Evaluation]) -> None:
    assert compare(*pair) == compare(*pair)


def test_every_difference_is_the_second_minus_the_first_and_within_its_interval(
    pair: tuple[Evaluation, Evaluation], compared: Comparison
) -> None:
    of_others = "per patient", "per volume"
    kinds = {kind for kind in get_args(Summary) if not kind.startswith(of_others)}
    assert {d.kind for d in compared.differences} == kinds
    assert len(compared.differences) == len(METRICS) * len(kinds)
    for difference in compared.differences:
        interval = difference.difference
        assert interval.value == pytest.approx(
            difference.candidate - difference.reference, abs=1e-9
        )
        assert interval.low <= interval.value <= interval.high, difference
    for metric in METRICS:
        soft, hard = compared.find(metric, "pooled"), compared.find(metric, "pooled at 0.5")
        for found, averages in (
            (soft, [one.soft for one in pair]),
            (hard, [one.thresholded for one in pair]),
        ):
            expected = tuple(getattr(average.pooled, metric) for average in averages)
            assert (found.reference, found.candidate) == pytest.approx(expected)


def test_a_deviation_is_over_the_images_where_both_are_defined(phantom_data: Dataset) -> None:
    samples = phantom_data.split("train").samples[:4]
    masks = [sample.mask((32, 32), "boxes") for sample in samples]
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
    assert found.images == 3
    assert found.reference == pytest.approx(np.nanstd(soft_values(one, "precision")), abs=1e-6)
